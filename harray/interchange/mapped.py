"""Keypoints of one layout brought to another by the names of their joints."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.pickles import SkeletonFile
from harray.skeleton import GENERIC, generic_layout, layout_named, places_in

FEWEST = 3  # joints that both must have


def brought_to(path: Path, file: SkeletonFile, wanted: str | None) -> SkeletonFile:
    """The clips in the wanted layout; joints that it alone has are missing.

    Joints of which the file says nothing, a generic layout, take the wanted one where that has as many.

    Raises:
        InputError: an unknown layout, or one that has hardly a joint in common.
    """
    layout = file.layout
    if layout is None or wanted in (None, layout.name):
        return file
    target = generic_layout(layout.num_joints) if wanted == GENERIC else layout_named(str(wanted))
    if GENERIC in (wanted, layout.name.rstrip("0123456789"), target.name.rstrip("0123456789")):
        if target.num_joints != layout.num_joints:
            raise InputError(
                f"{path}: its keypoints have {layout.num_joints} joints without names, but skeleton {target.name} has "
                f"{target.num_joints}; leave --skeleton out"
            )
        return dataclasses.replace(file, layout=target, skeleton=target.name)
    places = places_in(layout, target)
    absent = [joint for joint, place in zip(target.joints, places, strict=True) if place is None]
    if target.num_joints - len(absent) < FEWEST:
        raise InputError(
            f"{path}: of the joints of {target.name} its skeleton, {layout.name}, has "
            f"{target.num_joints - len(absent)}, too few to bring one to the other; leave --skeleton out"
        )
    said = f"{layout.name} is brought to {target.name} by the names of joints"
    if absent:
        said += f"; {', '.join(absent)} are missing there"
    return dataclasses.replace(
        file,
        annotations=[_onto(each, places) for each in file.annotations],
        layout=target,
        skeleton=target.name,
        said=(*file.said, said),
    )


def _onto(annotation: Annotation, places: Sequence[int | None]) -> Annotation:
    order = [0 if place is None else place for place in places]
    is_absent = np.array([place is None for place in places])
    keypoints, scores = annotation.keypoints_MTVC, annotation.scores_MTV
    given = np.ones(keypoints.shape[:3], np.float32) if scores is None else scores
    return dataclasses.replace(
        annotation,
        keypoints_MTVC=np.where(is_absent[:, None], 0, keypoints[..., order, :]),
        scores_MTV=np.where(is_absent, 0, given[..., order]),
    )
