"""DeepLabCut's csv and h5: rows of headers scorer, [individuals,] bodyparts, coords; then a row a frame.

Source: https://github.com/DeepLabCut/DeepLabCut. The h5 is a table of pandas; nothing pickled in it is run.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.arrays import texts
from harray.interchange.formats.clips import FoundClip, FoundFrame
from harray.interchange.formats.source import HDF5, TABLE, Source, number_in
from harray.interchange.safe_pickle import load_plain
from harray.skeleton import own_layout


def is_deeplabcut(source: Source) -> bool:
    if source.kind not in (TABLE,):
        return False
    rows = list(csv.reader(io.StringIO(source.text[:20000])))[:5]
    first = [row[0].strip().lower() if row else "" for row in rows]
    return "bodyparts" in first and "coords" in first


def read_deeplabcut(source: Source) -> list[FoundClip | FoundFrame]:
    """DeepLabCut's csv: header rows scorer, [individuals,] bodyparts, coords; an index column."""
    rows = [row for row in csv.reader(io.StringIO(source.text)) if row]
    heads = {row[0].strip().lower(): row for row in rows[:5]}
    last = next(i for i, row in enumerate(rows) if row[0].strip().lower() == "coords")
    first = 1
    while first < len(rows[last]) and not rows[last][first].strip():
        first += 1  # labelled data has the picture's folder in columns of its own
    parts, coords = heads["bodyparts"], heads["coords"]
    who = heads.get("individuals", [""] * len(parts))
    keys = [(who[i].strip(), parts[i].strip(), coords[i].strip().lower()) for i in range(first, len(parts))]
    values = np.array(
        [
            [number_in(row[i]) if i < len(row) else np.nan for i in range(first, len(parts))]
            for row in rows[last + 1 :]
        ]
    )
    numbers = [int(row[0]) for row in rows[last + 1 :] if row[0].strip().isdigit()]
    return [deeplabcut_clip(source, keys, values, numbers)]


def deeplabcut_clip(
    source: Source, keys: Sequence[tuple[str, str, str]], values: np.ndarray, numbers: Sequence[int]
) -> FoundClip:
    """Columns (individual, body part, x, y or likelihood) of a table as a clip.

    Raises:
        InputError: no rows, or a body part without x and y.
    """
    joints = list(dict.fromkeys(part for _, part, _ in keys))
    people = list(dict.fromkeys(who for who, _, _ in keys if who != "single")) or [""]
    alone = [part for who, part, _ in keys if who == "single" and people != ["single"]]
    said = [f"{len(set(alone))} parts of no individual are left out"] if alone and people != [""] else []
    if said:
        joints = [joint for joint in joints if joint not in alone]
    column = {key: i for i, key in enumerate(keys)}
    if not len(values) or any(
        (people[0], joint, axis) not in column for joint in joints for axis in ("x", "y")
    ):
        raise InputError(f"{source.path}: expected x and y of every body part, and a row a frame")
    shape = len(people), len(values), len(joints)
    keypoints, scores = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    for m, who in enumerate(people):
        for v, joint in enumerate(joints):
            if (x := column.get((who, joint, "x"))) is None:
                continue
            keypoints[m, :, v, 0], keypoints[m, :, v, 1] = values[:, x], values[:, column[who, joint, "y"]]
            at = column.get((who, joint, "likelihood"))
            scores[m, :, v] = 1.0 if at is None else values[:, at]
    is_there = np.isfinite(keypoints).all(-1)
    if not is_there.all():
        said.append("joints with empty cells count as missing")
    first = numbers[0] if len(numbers) == len(values) else 0
    return FoundClip(
        name=_video_of(source.name),
        layout=own_layout(joints),
        keypoints_MTVC=np.nan_to_num(keypoints),
        scores_MTV=np.where(is_there, np.nan_to_num(scores), 0),
        frame_index_T=np.array(numbers) if first and (np.diff(numbers) > 0).all() else None,
        said=tuple(said),
    )


def _video_of(name: str) -> str:
    """The video's name in that of DeepLabCut's file."""
    return re.sub(r"DLC_[A-Za-z0-9]*_?.*$", "", name).rstrip("_- ") or name


def is_deeplabcut_h5(source: Source) -> bool:
    if source.kind != HDF5:
        return False
    with source.hdf5() as file:
        return _dlc_table(file) is not None


def read_deeplabcut_h5(source: Source) -> list[FoundClip | FoundFrame]:
    with source.hdf5() as file:
        group = _dlc_table(file)
        assert group is not None
        try:
            columns, values = (
                _dlc_fixed(group) if "axis0" in group or "block0_values" in group else _dlc_rows(group)
            )
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{source.path}: a pandas table that is not DeepLabCut's ({error}); save it as csv beside"
            ) from error
    keys = [(names[1] if len(names) > 3 else "", names[-2], names[-1].lower()) for names in columns]
    return [deeplabcut_clip(source, keys, values, range(len(values)))]


def _dlc_table(file: Any) -> Any:
    return next(
        (
            group
            for group in file.values()
            if hasattr(group, "attrs") and str(_attr(group, "pandas_type")) in ("frame_table", "frame")
        ),
        None,
    )


def _attr(group: Any, name: str) -> Any:
    value = group.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else value


def _dlc_rows(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """pandas' table format: columns stand pickled in an attribute; plain containers are read, nothing is run."""
    axes = group.attrs["non_index_axes"]
    raw = axes.tobytes() if hasattr(axes, "tobytes") else axes
    columns = load_plain(io.BytesIO(raw if isinstance(raw, bytes) else str(raw).encode("latin-1")))[0][1]
    values = np.concatenate(
        [group["table"][name] for name in group["table"].dtype.names if name.startswith("values_block")],
        axis=1,
    )
    return [tuple(map(str, each)) for each in columns], np.asarray(values, np.float64)


def _dlc_fixed(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray]:
    levels = sorted(name for name in group if re.fullmatch(r"block0_items_level\d+", name))
    codes = sorted(name for name in group if re.fullmatch(r"block0_items_label\d+", name))
    names = [texts(group[name][()]) for name in levels]
    places = [np.asarray(group[name][()], int) for name in codes]
    columns = list(
        zip(*([level[i] for i in place] for level, place in zip(names, places, strict=True)), strict=True)
    )
    return columns, np.asarray(group["block0_values"][()], np.float64)
