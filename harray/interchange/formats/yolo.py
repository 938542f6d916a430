"""ultralytics: a text file a frame, a line a person, in shares of the picture; and its JSON.

    class  x y w h  (x y [score]) a joint  [score of the box]  [track]

Source: https://docs.ultralytics.com/datasets/pose, `Results.save_txt`, `Results.to_json`. How many numbers a joint has
is told by `kpt_shape` of a data.yaml beside or above, else by the number of columns: 17 joints where that fits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import layout_for, points_of
from harray.interchange.formats.source import JSON, TEXT, Source
from harray.skeleton import SkeletonLayout

BOX = 5  # numbers before the joints
BODY = 17


def fits(source: Source) -> bool:
    """Rows of one whole number and at least ten numbers, the next four of which are a box in shares."""
    if source.kind != TEXT or not source.path.name.lower().endswith((".txt", ".txt.gz")):
        return False
    rows = _rows(source.text)
    if not rows:
        return bool(source.data.get("kpt_shape")) or (source.series > 1 and not source.text.strip())
    return all(
        len(row) >= BOX + 6
        and row[0] == int(row[0]) >= 0
        and all(-0.01 <= value <= 1.01 for value in row[1:BOX])
        for row in rows
    )


def read(source: Source) -> list[FoundClip | FoundFrame]:
    name, number = source.frame()
    rows = _rows(source.text)
    if not rows:
        return [FoundFrame(clip=name, layout=None, moment=Moment(people=(), number=number))]
    num_joints, size = _shape(source, rows)
    end = BOX + num_joints * size
    people = []
    for row in rows:
        points = np.array(row[BOX:end]).reshape(num_joints, size)
        rest = row[end:]
        track = int(rest[-1]) if rest and rest[-1] >= 0 and rest[-1] == int(rest[-1]) else None
        points[(points[:, :2] == 0).all(axis=1)] = 0
        people.append(
            Person(points_VC=points[:, :2], scores_V=points[:, 2] if size == 3 else None, track=track)
        )
    moment = Moment(people=tuple(people), number=number)
    return [FoundFrame(clip=name, layout=layout_for(num_joints), moment=moment)]


def fits_json(source: Source) -> bool:
    """Lists of detections with a box, a class and keypoints x, y, visible."""
    if source.kind != JSON:
        return False
    frames = source.json
    first = next((each for each in _flattened(frames) if isinstance(each, Mapping)), {})
    keypoints = first.get("keypoints")
    return isinstance(keypoints, Mapping) and isinstance(keypoints.get("x"), list) and "box" in first


def read_json(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    name, number = source.frame()
    if content and isinstance(content[0], Mapping) and "frame" not in content[0]:
        people, layout = _detections(source, content)
        return [FoundFrame(clip=name, layout=layout, moment=Moment(people=people, number=number))]
    frames: dict[int, list[Any]] = {}
    for place, each in enumerate(content):
        if isinstance(each, Mapping):
            frames.setdefault(int(each["frame"]), []).append(each)
        else:
            frames[place] = list(each)
    found = {place: _detections(source, each) for place, each in frames.items()}
    layout = next((each for _, each in found.values() if each is not None), None)
    if layout is None:
        raise InputError(f"{source.path}: no person in any frame")
    moments = [Moment(people=people, number=place) for place, (people, _) in sorted(found.items())]
    return [clip_of(source.name, layout, moments, fps=source.fps)]


def _flattened(frames: Any) -> list[Any]:
    if not isinstance(frames, list):
        return []
    return [each for frame in frames for each in (frame if isinstance(frame, list) else [frame])]


def _detections(
    source: Source, detections: Sequence[Any]
) -> tuple[tuple[Person, ...], SkeletonLayout | None]:
    people, layout = [], None
    for number, each in enumerate(detections):
        found = points_of(each.get("keypoints")) if isinstance(each, Mapping) else None
        if found is None:
            raise InputError(f"{source.path}: detection {number}: expected keypoints with x, y and visible")
        points, scores, _ = found
        layout = layout_for(len(points))
        people.append(Person(points_VC=points[:, :2], scores_V=scores, track=each.get("track_id")))
    return tuple(people), layout


def _rows(text: str) -> list[list[float]]:
    """Numbers of every line but comments; empty where a line holds anything else."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    try:
        return [[float(word) for word in words] for words in lines if words]
    except ValueError:
        return []


def _shape(source: Source, rows: Sequence[Sequence[float]]) -> tuple[int, int]:
    """Joints, and numbers a joint.

    Raises:
        InputError: lines of different lengths, or numbers that may be one thing or another.
    """
    lengths = {len(row) for row in rows}
    told = source.data.get("kpt_shape")
    rest = {length - BOX for length in lengths}
    if told:
        num_joints, size = int(told[0]), int(told[1])
        if all(0 <= each - num_joints * size <= 2 for each in rest):
            return num_joints, size
        raise InputError(
            f"{source.path}: lines of {sorted(lengths)} numbers do not fit kpt_shape {list(told)} of "
            f"{source.data['from']}"
        )
    if len(lengths) > 1:
        raise InputError(f"{source.path}: lines of {sorted(lengths)} numbers, expected one number of columns")
    [count] = rest
    for size in (3, 2):
        if 0 <= count - BODY * size <= 2:
            return BODY, size
    values = np.array(rows)[:, BOX:]
    fitting = []
    for extra in (0, 1, 2):
        for size in (3, 2):
            if count > extra and (count - extra) % size == 0:
                third = values[:, : count - extra].reshape(len(rows), -1, size)[..., -1]
                if size == 2 or _are_scores(third):
                    fitting.append(((count - extra) // size, size))
        if fitting:
            break
    certain = [each for each in fitting if each[1] == 3] or fitting
    flags = [each for each in certain if each[1] == 3 and _are_flags(values, each)]
    if len(fitting) == 1 or flags:
        return (flags or certain)[0]
    ways = " or ".join(f"{joints} joints of {size} numbers" for joints, size in fitting)
    raise InputError(
        f"{source.path}: {count} numbers after the box: {ways or 'no number of joints fits'}; put a data.yaml with "
        "kpt_shape beside it"
    )


def _are_scores(third: np.ndarray) -> bool:
    return bool(((third >= 0) & (third <= 1)).all()) or bool(np.isin(third, (0, 1, 2)).all())


def _are_flags(values: np.ndarray, shape: tuple[int, int]) -> bool:
    joints, size = shape
    third = values[:, : joints * size].reshape(len(values), joints, size)[..., -1]
    return bool(np.isin(third, (0, 1, 2)).all())


def kpt_shape(text: str) -> list[int] | None:
    """`kpt_shape` of a data.yaml."""
    found = re.search(r"^\s*kpt_shape\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*\]", text, re.MULTILINE)
    return [int(found[1]), int(found[2])] if found else None
