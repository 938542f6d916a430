"""A feature store out to a skeleton pickle."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.files import write_atomically
from harray.interchange.annotations import Annotation
from harray.interchange.pickles import SkeletonFile, write_skeletons
from harray.interchange.rows import DATASET
from harray.store import FeatureStore

COLUMNS = ["frame_index", "frame_sec", "height_px", "width_px", "keypoints"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What went into a pickle."""

    pickle: str
    exported: int
    unlabelled: int  # clips left out: an annotation's label is the number of a class
    skeleton: str
    keypoints_shape: tuple[int, ...]  # of the store
    left_out: str | None  # skeleton of the store's second keypoints: a pickle holds one kind


def export_skeletons(store: FeatureStore, pickle: Path, *, overwrite: bool = False) -> Exported:
    """Write the labelled clips of a store, whole or not at all; a store imported from it has the same rows.

    Raises:
        InputError: a file is there already, no clip has a label, or the file cannot be written.
    """
    pickle = pickle.absolute()
    if pickle.is_dir() or (pickle.exists() and not overwrite):
        raise InputError(f"{pickle}: it exists already; name a new file, or overwrite a pickle with --force")
    rows = store.read(columns=COLUMNS)
    labelled = rows.filter(rows["label"].is_valid())
    if not len(labelled):
        raise InputError(
            f"store {store.path}: none of its {len(rows)} clips has a label to export; extract or import with labels"
        )
    file = skeleton_file(store, labelled)
    try:
        write_atomically(pickle, lambda part: write_skeletons(part, file))
    except OSError as error:
        raise InputError(f"{pickle}: cannot be written ({error.strerror}); name another file") from error
    return Exported(
        pickle=str(pickle),
        exported=len(labelled),
        unlabelled=len(rows) - len(labelled),
        skeleton=store.settings.skeleton,
        keypoints_shape=store.settings.keypoints_shape,
        left_out=store.settings.second_skeleton,
    )


def skeleton_file(store: FeatureStore, rows: Any) -> SkeletonFile:
    """Rows of `FeatureStore.read`, all labelled, as the content of a pickle."""
    keypoints = np.concatenate([chunk.to_numpy_ndarray() for chunk in rows["keypoints"].chunks])
    values = rows.drop_columns("keypoints").to_pylist()
    classes = sorted({row["label"] for row in values})
    label_of = {name: label for label, name in enumerate(classes)}
    frame_dirs = unique_names(_stem(row) for row in values)
    splits: dict[str, list[str]] = {}
    for frame_dir, row in zip(frame_dirs, values, strict=True):
        for split in row["splits"]:
            splits.setdefault(split, []).append(frame_dir)
    return SkeletonFile(
        annotations=[
            Annotation(
                frame_dir=frame_dir,
                label=label_of[row["label"]],
                size_hw=(row["height_px"], row["width_px"]),
                keypoints_MTVC=keypoints_PTKC1[..., :-1],
                scores_MTV=keypoints_PTKC1[..., -1],
                frame_index_T=np.asarray(row["frame_index"]),
                frame_sec_T=np.asarray(row["frame_sec"]),
                group=row["group"],
            )
            for frame_dir, row, keypoints_PTKC1 in zip(frame_dirs, values, keypoints, strict=True)
        ],
        splits=splits,
        skeleton=store.settings.skeleton,
        layout=store.skeleton,
        label_map=tuple(classes),
        people_ranked=True,
    )


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in order; of equal ones the later are numbered: run, run-2, run-3."""
    names = list(names)
    taken, unique = set(names), []
    seen: set[str] = set()
    for name in names:
        number, choice = 1, name
        while choice in seen or (number > 1 and choice in taken):
            number += 1
            choice = f"{name}-{number}"
        seen.add(choice)
        unique.append(choice)
    return unique


def _stem(row: dict[str, Any]) -> str:
    """An imported clip's frame_dir, a video's name without folder and suffix."""
    return row["path"].partition("#")[2] if row["dataset"] == DATASET else Path(row["path"]).stem
