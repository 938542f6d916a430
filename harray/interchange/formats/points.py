"""Keypoints as JSON writes them: flat lists, lists of lists, lists or dicts of named points."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import Person
from harray.skeleton import (
    BLAZEPOSE33,
    BODY25,
    COCO17,
    COCO18,
    HALPE26,
    HAND21,
    KINECT20,
    LAYOUTS,
    NTU25,
    SkeletonLayout,
    generic_layout,
    own_layout,
    part_of,
)

SCORE_KEYS = (
    "score",
    "confidence",
    "conf",
    "visibility",
    "visible",
    "v",
    "c",
    "likelihood",
    "presence",
    "prob",
)
_BY_COUNT = {layout.num_joints: layout for layout in (COCO17, COCO18, HALPE26, BLAZEPOSE33, HAND21)}
_LEADING = {133: COCO17, 136: HALPE26}  # whole bodies whose first joints are a known layout
_WORDS = {"l": "left", "r": "right", "lt": "left", "rt": "right", "lft": "left", "rgt": "right"}
_OTHERS = {
    "mouth_left": "left_mouth",
    "mouth_right": "right_mouth",
    "pelvis": "mid_hip",
    "midhip": "mid_hip",
    "hip_center": "mid_hip",
    "left_foot": "left_foot_index",
    "right_foot": "right_foot_index",
}


def flat(values: Any, size: int, where: str) -> np.ndarray:
    """A flat list of numbers as `[V, size]`.

    Raises:
        InputError: it is none, or not a multiple of `size` long.
    """
    array = numbers(values, where)
    if array.ndim != 1 or len(array) % size:
        raise InputError(f"{where}: found {len(array)} numbers, expected {size} a joint")
    return array.reshape(-1, size)


def numbers(values: Any, where: str) -> np.ndarray:
    """Nested lists as float64; null as not a number.

    Raises:
        InputError: ragged lists, or something else than numbers.
    """
    try:
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{where}: found entries that are no numbers or of unlike length; expected numbers"
        ) from error


def scored(points: np.ndarray) -> Person:
    """`[V, 3]` x, y, score, or `[V, 2]` x, y."""
    return Person(points_VC=points[:, :2], scores_V=points[:, 2] if points.shape[1] == 3 else None)


def layout_for(num_joints: int, coordinates: int = 2, *, openpose: bool = False) -> SkeletonLayout:
    """The layout that tools of pose estimation usually mean by so many joints; a generic one where none is usual."""
    if coordinates == 3 and num_joints in (20, 25):
        return KINECT20 if num_joints == 20 else NTU25
    if num_joints == 25 and openpose:
        return BODY25
    return _BY_COUNT.get(num_joints) or generic_layout(num_joints)


def leading(points: np.ndarray) -> tuple[np.ndarray, SkeletonLayout | None]:
    """The body of a whole-body skeleton, without face and hands."""
    layout = _LEADING.get(len(points))
    return (points[: layout.num_joints], layout) if layout else (points, None)


def plain(name: str) -> str:
    """A joint's name as layouts spell it.

    >>> [plain(each) for each in ("LEFT_WRIST", "leftElbow", "R Knee", "RShoulder", "mouth (left)", "nose")]
    ['left_wrist', 'left_elbow', 'right_knee', 'right_shoulder', 'left_mouth', 'nose']
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=^[LR])(?=[A-Z][a-z])", "_", str(name).strip())
    words = [word for word in re.split(r"[^A-Za-z0-9]+", text.lower()) if word]
    words = [_WORDS.get(word, word) for word in words]
    if words and words[0] not in ("left", "right") and words[-1] in ("left", "right") and len(words) > 1:
        words = [words[-1], *words[:-1]]
    joined = "_".join(words)
    return _OTHERS.get(joined, joined)


def layout_of_names(
    names: Sequence[str], bones: Sequence[tuple[int, int]] = ()
) -> tuple[SkeletonLayout, list[int]]:
    """The layout of named joints, and the place of each of its joints among the names.

    A layout of harray where it has just these joints, in any order; part of one where it has all of them; else the
    file's own.
    """
    spelt = [plain(name) for name in names]
    for known in LAYOUTS.values():
        if len(set(spelt)) == len(spelt) and set(spelt) == set(known.joints):
            return known, [spelt.index(joint) for joint in known.joints]
    for known in LAYOUTS.values():
        if len(set(spelt)) == len(spelt) >= 5 and set(spelt) <= set(known.joints) and not bones:
            return part_of(known, spelt), list(range(len(spelt)))
    return own_layout([str(name) for name in names], bones), list(range(len(names)))


def points_of(value: Any) -> tuple[np.ndarray, np.ndarray | None, list[str] | None] | None:
    """Coordinates `[V, C]`, scores and names of what is one person's points; None where it is nothing of the kind."""
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if not isinstance(value, list) or len(value) < 3:
        return None
    if all(isinstance(point, Mapping) and "x" in point and "y" in point for point in value):
        names = [str(point.get("name") or point.get("part") or "") for point in value]
        return *_of_points(value), names if all(names) else None
    are_lists = all(isinstance(point, list) and 2 <= len(point) <= 4 for point in value)
    if are_lists and len({len(point) for point in value}) == 1 and all(map(_is_numbers, value)):
        array = np.array(value, dtype=np.float64)
        return array[:, :2], None if array.shape[1] == 2 else array[:, -1], None
    return None


def _of_mapping(value: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None, list[str] | None] | None:
    xs, ys = value.get("x"), value.get("y")
    if isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys) >= 3:
        score = next((value[key] for key in SCORE_KEYS if isinstance(value.get(key), list)), None)
        points = np.stack([np.array(xs, np.float64), np.array(ys, np.float64)], axis=1)
        return points, None if score is None else np.array(score, np.float64), None
    points = list(value.values())
    if len(points) >= 3 and all(
        isinstance(point, Mapping) and "x" in point and "y" in point for point in points
    ):
        return *_of_points(points), [str(name) for name in value]
    return None


def _of_points(points: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray | None]:
    key = next((key for key in SCORE_KEYS if all(key in point for point in points)), None)
    coordinates = ["x", "y", "z"] if all("z" in point for point in points) else ["x", "y"]
    nan = float("nan")
    array = np.array([[_number(point.get(axis), nan) for axis in coordinates] for point in points])
    return array, None if key is None else np.array([_number(point.get(key), 0.0) for point in points])


def _number(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _is_numbers(values: Sequence[Any]) -> bool:
    return all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
    )
