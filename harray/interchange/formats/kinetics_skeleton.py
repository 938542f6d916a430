"""Kinetics-skeleton: a JSON file a clip, as ST-GCN (Yan et al. 2018) published OpenPose's results.

    {"data": [{"frame_index", "skeleton": [{"pose": flat x, y in [0, 1], "score": [...]}]}], "label", "label_index"}

Numbers of frames count from 1 in some files and from 0 in others; people have no tracks. Where all scores of a file are
0 they say nothing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import flat, layout_for, numbers
from harray.interchange.formats.source import JSON, Source
from harray.skeleton import COCO18

LABELS = ("label", "label_index", "has_skeleton")


def fits(source: Source) -> bool:
    if source.kind != JSON or not isinstance(source.json, Mapping):
        return False
    data = source.json.get("data")
    return isinstance(data, list) and all(isinstance(each, Mapping) and "skeleton" in each for each in data)


def is_label_file(content: Any) -> bool:
    """Whether it is the list of labels that goes with the clips, name -> label, label_index, has_skeleton."""
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(
            isinstance(each, Mapping) and "label" in each and "keypoints" not in each
            for each in content.values()
        )
    )


def read(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    frames = [(each.get("frame_index"), _people(source, each["skeleton"])) for each in content["data"]]
    people = [person for _, found in frames for person in found]
    counts = {len(person.points_VC) for person in people}
    if len(counts) > 1:
        raise InputError(
            f"{source.path}: people of {sorted(counts)} joints, expected one number of joints in all"
        )
    said = []
    scored = [person.scores_V for person in people if person.scores_V is not None]
    if scored and not np.concatenate(scored).any():
        said = ["all scores are 0: they say nothing, and joints that have coordinates count as seen"]
        frames = [(number, tuple(_unscored(person) for person in found)) for number, found in frames]
    clip = clip_of(
        source.name,
        layout_for(counts.pop(), openpose=True) if counts else COCO18,
        [Moment(people=found, number=number) for number, found in frames],
        said=said,
        fps=source.fps,
    )
    label = content.get("label", content.get("label_index"))
    return [_labelled(clip, label)]


def _people(source: Source, skeletons: Any) -> tuple[Person, ...]:
    found = []
    for each in skeletons:
        points = flat(each["pose"], 2, f"{source.path}: pose")
        scores = numbers(each["score"], f"{source.path}: score") if "score" in each else None
        if scores is not None and len(scores) != len(points):
            raise InputError(
                f"{source.path}: {len(points)} joints with {len(scores)} scores; expected as many"
            )
        points[(points == 0).all(axis=1)] = np.nan
        if np.isfinite(points).any():
            found.append(Person(points_VC=points, scores_V=scores))
    return tuple(found)


def _unscored(person: Person) -> Person:
    return Person(points_VC=person.points_VC)


def _labelled(clip: FoundClip, label: Any) -> FoundClip:
    return dataclasses.replace(
        clip, label=None if label is None else label if isinstance(label, int) else str(label)
    )
