"""MediaPipe, MoveNet and their like: JSON of frames with points `{x, y[, z], visibility or score[, name]}`; arrays.

    [{"keypoints": [{"x", "y", "z", "visibility"}, ...]}, ...]        a frame each; an empty list: nobody
    {"frames": [{"frame": 0, "landmarks": [...]}]}, {"0": [[x, y, score], ...]}, [[[x, y, score], ...], ...]

33 points are blazepose33, 17 coco17, 21 hand21; points with names are taken by these. MediaPipe's z, a guess in units
of the picture's width, is left out; its world landmarks (metres about the hips) are taken in 3D. Sources:
https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker, https://www.tensorflow.org/hub/tutorials/movenet
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import layout_for, layout_of_names, points_of
from harray.interchange.formats.source import JSON, NPY, Source
from harray.skeleton import SkeletonLayout

WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks", "keypoints3D")
FLAT = (
    "keypoints",
    "landmarks",
    "pose_landmarks",
    "poseLandmarks",
    "pose",
    "joints",
    "keypoint",
    "points",
    "normalized_landmarks",
    "landmark",
    "skeleton",
)
PEOPLE = (
    "people",
    "persons",
    "poses",
    "bodies",
    "detections",
    "instances",
    "predictions",
    "skeletons",
    "humans",
)
FRAMES = (
    "frames",
    "instance_info",
    "data",
    "results",
    "sequence",
    "keypoints",
    "landmarks",
    "poses",
    "annotations",
    "pose_landmarks",
)
NUMBERS = (
    "frame",
    "frame_index",
    "frame_id",
    "frame_number",
    "frame_num",
    "frame_idx",
    "frameIndex",
    "index",
)
LABELS = ("label", "action", "class", "category", "activity")
SCORE_LISTS = ("keypoint_scores", "keypoints_scores", "scores", "score", "confidence", "keypoint_score")
TRACKS = ("track_id", "track", "person_id", "id")
CENTRED = -0.15  # coordinates below which many are no shares of a picture, but metres about the hips
HOLISTIC = {1662: 132, 258: 132, 1692: 132, 132: 132, 99: 99, 51: 51, 66: 66, 34: 34, 63: 63, 126: 126}

Points = tuple[np.ndarray, np.ndarray | None, list[str] | None]


def fits(source: Source) -> bool:
    return source.kind == JSON and _moments(source, source.json) is not None


def read(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    moments = _moments(source, content)
    assert moments is not None
    people = [points for _, found in moments for points, _ in found]
    if not people:
        raise InputError(f"{source.path}: nobody in any of {len(moments)} frames")
    counts = {len(points[0]) for points in people}
    if len(counts) > 1:
        raise InputError(
            f"{source.path}: people of {sorted(counts)} joints, expected one number of joints in all"
        )
    coordinates, said = _coordinates([points[0] for points in people])
    layout, order = _layout(people[0], coordinates)
    made = [
        Moment(people=tuple(_person(points, track, order) for points, track in found), number=number)
        for number, found in moments
    ]
    if len(made) == 1 and source.series > 1:
        name, number = source.frame()
        moment = Moment(people=made[0].people, number=number)
        return [FoundFrame(clip=name, layout=layout, moment=moment, said=tuple(said))]
    clip = clip_of(source.name, layout, made, coordinates=coordinates, said=said, fps=source.fps)
    if isinstance(content, Mapping):
        label = next((content[key] for key in LABELS if isinstance(content.get(key), str)), None)
        return [_with_label(clip, label)]
    return [clip]


def fits_array(source: Source) -> bool:
    return source.kind == NPY


def read_array(source: Source) -> list[FoundClip | FoundFrame]:
    """One person as [frames, joints, 2 to 4], or flat as tutorials of MediaPipe write it."""
    array = np.asarray(source.array)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{source.path}: entries of type {array.dtype}, expected numbers")
    array, said = array.astype(np.float64), list[str]()
    if array.ndim in (1, 2):
        array = _unflattened(source, array, said)
    array = array.reshape(
        [size for i, size in enumerate(array.shape) if size != 1 or i in (0, array.ndim - 1)]
    )
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 4:
        raise InputError(
            f"{source.path}: shape {array.shape} may be [frames, people, joints, ...] or [people, frames, joints, "
            "...]; "
            "save each person alone, or a skeleton pickle"
        )
    if array.ndim != 3 or not 2 <= array.shape[2] <= 4 or array.shape[1] < 3:
        raise InputError(
            f"{source.path}: shape {source.array.shape}, expected [frames, joints, 2 to 4] or flat frames of MediaPipe"
        )
    points_TVC, scores = _scores_of(array, said)
    coordinates, more = _coordinates(list(points_TVC))
    layout = layout_for(array.shape[1], coordinates)
    people = [
        (Person(points_VC=_missing(points), scores_V=None if scores is None else scores[i]),)
        if points.any()
        else ()
        for i, points in enumerate(points_TVC)
    ]
    if len(people) == 1 and source.series > 1:
        name, number = source.frame()
        moment = Moment(people=people[0], number=number)
        return [FoundFrame(clip=name, layout=layout, moment=moment, said=tuple(said + more))]
    moments = [Moment(people=each) for each in people]
    return [clip_of(source.name, layout, moments, coordinates=coordinates, said=said + more, fps=source.fps)]


def _unflattened(source: Source, array: np.ndarray, said: list[str]) -> np.ndarray:
    if array.ndim == 2 and 2 <= array.shape[1] <= 4:
        return array[None]
    rows = array[None] if array.ndim == 1 else array
    length = rows.shape[1]
    used = HOLISTIC.get(length)
    if used is None:
        raise InputError(
            f"{source.path}: frames of {length} numbers, expected 33 x 4 or 33 x 3 (MediaPipe), 17 x 3 (MoveNet), or "
            "[frames, joints, 2 to 4]"
        )
    if used < length:
        said.append(f"the first {used} of {length} numbers a frame are the body; face and hands are left out")
    size = {132: 4, 99: 3, 51: 3, 66: 2, 34: 2, 63: 3, 126: 3}[used]
    if used == 126:
        said.append("two hands of 21 points")
    return rows[:, :used].reshape(len(rows), -1, size)


def _scores_of(array: np.ndarray, said: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates and scores; MoveNet's y, x, score are told by bodies being taller than wide."""
    size = array.shape[2]
    if size == 4:
        return array[..., :3], array[..., 3]
    if size == 2:
        return array, None
    third = array[..., 2]
    if array.shape[1] in (33, 21) and (third < 0).any():
        return array, None  # x, y, z
    if third.min() < 0 or third.max() > 1.5:
        return array, None
    xy, scores = array[..., :2], third
    if array.shape[1] == 17 and xy.max() <= 1.5:
        spread = np.median(np.ptp(xy, axis=1), axis=0)
        if spread[0] > spread[1]:
            said.append(
                "the first coordinate spans more than the second: taken for y, x, score, as MoveNet gives them"
            )
            return xy[..., ::-1], scores
        said.append("taken for x, y, score, as the second coordinate spans more than the first")
    return xy, scores


def _moments(source: Source, content: Any) -> list[tuple[int | None, list[tuple[Points, Any]]]] | None:
    """(number, people) of every frame; None where it is nothing of the kind."""
    if isinstance(content, list):
        return _of_list(source, content)
    if not isinstance(content, Mapping):
        return None
    if content and all(str(key).isdigit() for key in content):
        frames = [_frame(each) for each in content.values()]
        if any(frames) and all(each is not None for each in frames):
            return [(int(key), each or []) for key, each in zip(content, frames, strict=True)]
        return None
    for key in FRAMES:
        if isinstance(content.get(key), list | Mapping):
            found = _moments(source, content[key])
            if found is not None and any(people for _, people in found):
                return found
    one = _frame(content)
    return [(None, one)] if one else None


def _of_list(
    source: Source, content: Sequence[Any]
) -> list[tuple[int | None, list[tuple[Points, Any]]]] | None:
    if not content:
        return None
    if (alone := points_of(content)) is not None and not _is_frames_of_lists(content):
        return [(None, [(alone, None)])]
    frames = [_frame(each) for each in content]
    if any(each is None for each in frames) or not any(frames):
        return None
    return [(_number(each), found or []) for each, found in zip(content, frames, strict=True)]


def _is_frames_of_lists(content: Sequence[Any]) -> bool:
    return isinstance(content[0], list) and bool(content[0]) and isinstance(content[0][0], list | Mapping)


def _frame(value: Any) -> list[tuple[Points, Any]] | None:
    """The people of a frame; empty where it shows nobody, None where it is no frame."""
    if value is None or value == [] or value == {}:
        return []
    if (points := points_of(value)) is not None:
        return [(points, None)]
    if isinstance(value, Mapping):
        if (scored := _with_scores_beside(value)) is not None:
            return [scored]
        world = next(
            (key for key in WORLD if value.get(key) and not any(value.get(each) for each in FLAT)), None
        )
        for key in (*([world] if world else []), *FLAT, *PEOPLE):
            if key in value:
                found = _frame(value[key])
                if found is not None:
                    track = next((value[each] for each in TRACKS if isinstance(value.get(each), int)), None)
                    alone = (
                        track is not None and len(found) == 1 and not any(each in value for each in NUMBERS)
                    )
                    return [(found[0][0], track)] if alone else found
        return None
    if isinstance(value, list):
        people = [_frame(each) for each in value]
        if all(each is not None for each in people):
            return [person for each in people for person in each or []]
    return None


def _with_scores_beside(person: Mapping[str, Any]) -> tuple[Points, Any] | None:
    """MMPose's person: keypoints [[x, y], ...] with keypoint_scores beside them."""
    key = next((key for key in FLAT if isinstance(person.get(key), list)), None)
    scores = next((person[name] for name in SCORE_LISTS if isinstance(person.get(name), list)), None)
    points = points_of(person[key]) if key is not None and scores is not None else None
    if points is None or scores is None or points[1] is not None or len(scores) != len(points[0]):
        return None
    track = next((person[each] for each in TRACKS if isinstance(person.get(each), int)), None)
    return (points[0], np.array(scores, np.float64), points[2]), track


def _number(frame: Any) -> int | None:
    if isinstance(frame, Mapping):
        for key in NUMBERS:
            if isinstance(frame.get(key), int) and not isinstance(frame.get(key), bool):
                return frame[key]
    return None


def _layout(points: Points, coordinates: int) -> tuple[SkeletonLayout, list[int]]:
    if points[2]:
        return layout_of_names(points[2])
    count = len(points[0])
    return layout_for(count, coordinates), list(range(count))


def _person(points: Points, track: Any, order: Sequence[int]) -> Person:
    where, scores, _ = points
    return Person(
        points_VC=_missing(where[list(order)]),
        scores_V=None if scores is None else scores[list(order)],
        track=track,
    )


def _missing(points_VC: np.ndarray) -> np.ndarray:
    return np.where((points_VC[:, :2] == 0).all(axis=1)[:, None], np.nan, points_VC)


def _coordinates(people: Sequence[np.ndarray]) -> tuple[int, list[str]]:
    """How many coordinates to keep."""
    if people[0].shape[1] == 2:
        return 2, []
    values = np.concatenate([points[:, :2].ravel() for points in people])
    values = values[np.isfinite(values)]
    if len(values) and np.quantile(values, 0.1) < CENTRED:
        return 3, ["coordinates lie about 0: taken for metres about the hips, in 3D"]
    return 2, ["z, a guess of depth in another unit, is left out"]


def _with_label(clip: FoundClip, label: str | None) -> FoundClip:
    return dataclasses.replace(clip, label=label)
