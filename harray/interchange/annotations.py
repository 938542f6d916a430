"""One clip of a skeleton pickle, checked: from the dict of the file, and back to it.

Letters: M people, T frames, V joints, C coordinates (2 or 3).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from harray.errors import InputError
from harray.interchange.safe_pickle import PickledArray

REQUIRED = ("frame_dir", "total_frames", "label", "keypoint")
LARGEST = 2**31  # frame numbers and sizes stand in the store as int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotation:
    """One clip of a skeleton pickle."""

    frame_dir: str  # its name, unique in the file
    label: int | str | None  # the number of a class from 0, its name, or None where nothing says it
    size_hw: tuple[int, int]  # px; (0, 0) where it is not known
    keypoints_MTVC: np.ndarray  # of numbers
    scores_MTV: np.ndarray | None = None  # None where the file has none
    frame_index_T: np.ndarray | None = None  # source frames; None where the frames are the source's
    frame_sec_T: np.ndarray | None = None  # their times
    group: str | None = None  # actor or source video


def annotation_from(fields: Any, where: str, *, needs_size: bool = True) -> Annotation:
    """Check the fields of one clip.

    Args:
        where: file and number of the clip, for the message.
        needs_size: whether 2D keypoints need the size of their pictures, to tell pixels from shares of it.

    Raises:
        InputError: a field is missing, is of another kind or shape, or does not fit another; it is named.
    """
    if not isinstance(fields, Mapping):
        raise InputError(
            f"{where}: found {type(fields).__name__}, expected a dict with {', '.join(REQUIRED)}"
        )
    if isinstance(fields.get("frame_dir"), str):
        where = f"{where} ({fields['frame_dir']})"
    if missing := [name for name in REQUIRED if fields.get(name) is None]:
        raise InputError(f"{where}: no field {' and '.join(missing)}; expected {', '.join(REQUIRED)}")
    keypoints = _numbers(fields, "keypoint", where)
    shape = keypoints.shape
    last = (2, 3) if fields.get("keypoint_score") is not None else (2, 3, 4)  # with the score as the last
    if len(shape) != 4 or 0 in shape[1:] or shape[3] not in last:
        _refuse(where, "keypoint", f"shape {shape}", "[people, frames, joints, 2 or 3]")
    if (total := _whole(fields, "total_frames", where)) != shape[1]:
        _refuse(where, "total_frames", total, f"{shape[1]}, the frames that keypoint has")
    return Annotation(
        frame_dir=_text(fields, "frame_dir", where),
        label=_whole(fields, "label", where),
        size_hw=_size(fields, where, is_needed=needs_size and shape[3] == 2),
        keypoints_MTVC=keypoints,
        scores_MTV=_shaped(fields, "keypoint_score", shape[:3], where),
        frame_index_T=_per_frame(fields, "frame_index", shape[1], where),
        frame_sec_T=_per_frame(fields, "frame_sec", shape[1], where),
        group=None if fields.get("group") is None else _text(fields, "group", where),
    )


def fields_of(annotation: Annotation) -> dict[str, Any]:
    """The dict of the file. Coordinates and scores are float32: float16 would lose pixels above 1024."""
    fields: dict[str, Any] = {
        "frame_dir": annotation.frame_dir,
        "total_frames": annotation.keypoints_MTVC.shape[1],
        "label": annotation.label,
        "keypoint": annotation.keypoints_MTVC.astype(np.float32),
    }
    if annotation.size_hw != (0, 0):
        fields |= {"img_shape": annotation.size_hw, "original_shape": annotation.size_hw}
    if annotation.scores_MTV is not None:
        fields["keypoint_score"] = annotation.scores_MTV.astype(np.float32)
    if annotation.frame_index_T is not None:
        fields["frame_index"] = annotation.frame_index_T.astype(np.int32)
    if annotation.frame_sec_T is not None:
        fields["frame_sec"] = annotation.frame_sec_T.astype(np.float64)
    return fields if annotation.group is None else {**fields, "group": annotation.group}


def _numbers(fields: Mapping[str, Any], name: str, where: str) -> np.ndarray:
    """An array of numbers, from one or from nested lists; refused where they are ragged or hold anything else."""
    value = fields[name]
    if not isinstance(value, PickledArray | list | tuple):
        _refuse(where, name, type(value).__name__, "an array or nested lists of numbers")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        expected = "the same number of entries in each; zeros stand for who or what is missing"
        _refuse(where, name, "ragged lists", expected)
    if array.dtype.kind not in "fiu":
        _refuse(where, name, f"entries of type {array.dtype}", "numbers")
    return array


def _shaped(fields: Mapping[str, Any], name: str, shape: tuple[int, ...], where: str) -> np.ndarray | None:
    """A field that may lack, with the shape that keypoint asks for."""
    if fields.get(name) is None:
        return None
    array = _numbers(fields, name, where)
    if array.shape != shape:
        _refuse(where, name, f"shape {array.shape}", f"{shape}, as keypoint has")
    return array


def _per_frame(fields: Mapping[str, Any], name: str, num_frames: int, where: str) -> np.ndarray | None:
    array = _shaped(fields, name, (num_frames,), where)
    if array is not None and not ((array >= 0) & (array < LARGEST)).all():
        _refuse(where, name, "entries that are negative, huge or no numbers", "the place of every frame")
    return array


def _size(fields: Mapping[str, Any], where: str, *, is_needed: bool) -> tuple[int, int]:
    if fields.get("img_shape") is None:
        if is_needed:
            _refuse(where, "img_shape", "none", "(height, width) of the frames, px")
        return 0, 0
    size = _numbers(fields, "img_shape", where)
    if size.ndim != 1 or len(size) < 2 or not ((size[:2] >= 1) & (size[:2] < LARGEST)).all():
        _refuse(where, "img_shape", size.tolist(), "(height, width) of the frames, px")
    return int(size[0]), int(size[1])


def _whole(fields: Mapping[str, Any], name: str, where: str) -> int:
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(where, name, f"{value!r:.40}", "a whole number from 0")
    return value


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value or not value.isprintable():
        _refuse(where, name, f"{value!r:.40}", "a name")
    return value


def _refuse(where: str, field: str, found: object, expected: str) -> NoReturn:
    raise InputError(f"{where}: {field}: found {found}, expected {expected}")
