"""Kinect text files: NTU RGB+D's `.skeleton`, and MSR-Action3D's twenty lines a frame.

    NTU   frames; per frame the bodies; per body id, 6 whole numbers, lean x y, state; 25; then a line a joint:
          x y z (metres), depth x y, colour x y, quaternion, state 0 not tracked, 1 inferred, 2 tracked
    MSR   a line a joint, 20 a frame, no header: x y z (metres) and a number that says nothing

Sources: https://github.com/shahroudy/NTURGB-D; W. Li, Z. Zhang, Z. Liu (2010). MSR's order begins with the shoulders;
which of its sides is left follows from x, which grows to the right of whoever faces the camera.
"""

import dataclasses
import re

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.source import TEXT, Source
from harray.skeleton import KINECT20, NTU25
from harray.videos.named import ntu_parts

_MSR = """
left_shoulder right_shoulder shoulder_center spine left_hip right_hip hip_center left_elbow right_elbow left_wrist
right_wrist left_hand right_hand left_knee right_knee left_ankle right_ankle left_foot right_foot head
"""
MSR: list[str] = list(_MSR.split())
_MSR_NAME = re.compile(r"(a\d{2})_(s\d{2})_e\d{2}")
SCORE_OF_STATE = np.array([0.0, 0.5, 1.0])


def is_ntu(source: Source) -> bool:
    if source.kind != TEXT:
        return False
    if source.path.name.lower().endswith((".skeleton", ".skeleton.gz")):
        return True
    lines = source.text.lstrip("\ufeff").split("\n", 5)[:5]
    counts = [len(line.split()) for line in lines]
    return len(counts) == 5 and counts[:2] == [1, 1] and counts[2] == 10 and counts[3] == 1


def read_ntu(source: Source) -> list[FoundClip | FoundFrame]:
    lines = iter(source.text.split("\n"))
    try:
        moments = [_frame(source, lines, number) for number in range(int(next(lines)))]
    except InputError:
        raise
    except (StopIteration, ValueError, IndexError) as error:
        raise InputError(
            f"{source.path}: broken off or not NTU's ({error or 'the file ends too early'})"
        ) from error
    people = [person for moment in moments for person in moment.people]
    inferred = any((person.scores_V == 0.5).any() for person in people if person.scores_V is not None)
    said = ["joints that are inferred, not tracked, have confidence 0.5"] if inferred else []
    clip = clip_of(source.name, NTU25, moments, coordinates=3, said=said, fps=source.fps)
    named = ntu_parts(source.stem)
    if named is None:
        return [clip]
    return [_with(clip, named.label, named.group, tuple(named.splits()))]


def _frame(source: Source, lines, number: int) -> Moment:
    people = []
    for _ in range(int(next(lines))):
        header = next(lines).split()
        num_joints = int(next(lines))
        if num_joints != 25 or len(header) < 10:
            raise InputError(
                f"{source.path}: found bodies of {num_joints} joints with {len(header)} numbers before them, "
                "expected 25 "
                "and 10: not a body of NTU RGB+D"
            )
        rows = np.array([next(lines).split() for _ in range(num_joints)], np.float64)
        if rows.ndim != 2 or rows.shape[1] < 3:
            raise InputError(f"{source.path}: joints of shape {rows.shape}, expected 25 lines of x y z ...")
        states = rows[:, 11] if rows.shape[1] > 11 else np.full(25, 2)
        scores = SCORE_OF_STATE[np.clip(states, 0, 2).astype(int)]
        if np.isfinite(rows[:, :3]).all(-1).any() and rows[:, :3].any():
            people.append(Person(points_VC=rows[:, :3], scores_V=scores, track=header[0]))
    return Moment(people=tuple(people), number=number)


def is_msr(source: Source) -> bool:
    """Twenty lines of four numbers a frame, in metres."""
    if source.kind != TEXT or (
        not re.search(r"skeleton", source.stem, re.IGNORECASE) and not _MSR_NAME.search(source.stem)
    ):
        return False
    rows = _msr_rows(source)
    return rows is not None and len(rows) % 20 == 0 and rows.shape[1] in (3, 4)


def read_msr(source: Source) -> list[FoundClip | FoundFrame]:
    rows = _msr_rows(source)
    assert rows is not None
    frames = rows[:, :3].reshape(-1, 20, 3)[:, [MSR.index(joint) for joint in KINECT20.joints]]
    if np.median(np.abs(frames)) > 20:
        raise InputError(
            f"{source.path}: coordinates of about {np.median(np.abs(frames)):.0f}: pixels; expected the "
            "real-world file, in metres"
        )
    said = ["joints are put from MSR-Action3D's order into kinect20's"]
    if rows.shape[1] == 4 and not (rows[:, 3] > 0).all():
        said.append(
            "the fourth number is no confidence: joints with 0 there have good places, and count as seen"
        )
    moments = [
        Moment(people=(Person(points_VC=points, scores_V=np.ones(20)),) if points.any() else ())
        for points in frames
    ]
    clip = clip_of(source.name, KINECT20, moments, coordinates=3, said=said, fps=source.fps)
    named = _MSR_NAME.search(source.stem)
    return [_with(clip, named[1], named[2], ()) if named else clip]


def _msr_rows(source: Source) -> np.ndarray | None:
    try:
        rows = np.array([line.split() for line in source.text.split("\n") if line.strip()], np.float64)
    except ValueError:
        return None
    return rows if rows.ndim == 2 and len(rows) else None


def _with(clip: FoundClip, label: str | None, group: str | None, splits: tuple[str, ...]) -> FoundClip:
    return dataclasses.replace(clip, label=label, group=group, splits=splits)
