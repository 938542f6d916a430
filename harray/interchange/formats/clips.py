"""What readers give: clips, or single frames that become clips with those beside them.

Letters: M people, T frames, V joints, C coordinates (2 or 3).
"""

import dataclasses
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from harray.errors import InputError
from harray.poses.detector import FrameDetections
from harray.poses.tracker import NO_TRACK, Tracker
from harray.skeleton import SkeletonLayout

MOST_GAPS = 10  # frames without an entry for each that has one; beyond, numbers are no numbers of frames


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Somebody in a frame; what is missing has a score of 0 or coordinates that are not finite."""

    points_VC: np.ndarray
    scores_V: np.ndarray | None = None
    track: Hashable = None  # who it is, where the file says so


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """Who is in a frame."""

    people: tuple[Person, ...]
    number: int | None = None  # of the frame; None: as they come


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FoundClip:
    """A clip of a file."""

    name: str  # path below what was asked for
    layout: SkeletonLayout
    keypoints_MTVC: np.ndarray
    scores_MTV: np.ndarray | None = None
    frame_index_T: np.ndarray | None = None
    size_hw: tuple[int, int] = (0, 0)  # px; (0, 0) where it is not known
    label: str | int | None = None
    group: str | None = None
    splits: tuple[str, ...] = ()
    said: tuple[str, ...] = ()  # what is to be said of it


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FoundFrame:
    """A frame that is a file of its own."""

    clip: str
    layout: SkeletonLayout | None  # None where it shows nobody
    moment: Moment
    size_hw: tuple[int, int] = (0, 0)
    said: tuple[str, ...] = ()


def clip_of(
    name: str,
    layout: SkeletonLayout,
    moments: Sequence[Moment],
    *,
    coordinates: int = 2,
    said: Sequence[str] = (),
    fps: float | None = None,
) -> FoundClip:
    """Frames as a clip: in order of their numbers, gaps filled with nobody, people put into their tracks.

    A file's own tracks are taken where every person of every frame has one, and no two of a frame the same; else
    people are tracked here.
    """
    said = list(said)
    ordered, numbers = _in_order(moments, said)
    scored = any(person.scores_V is not None for moment in ordered for person in moment.people)
    tracks = _own_tracks(ordered)
    if tracks is None:
        tracks = _tracked(ordered, numbers, fps or 25.0)
        if any(track is None for names in tracks for track in names):
            said.append("who is found twice in a frame, or without a joint, is passed over there")
        if max((len(moment.people) for moment in ordered), default=0) > 1:
            said.append("people without tracks of their own are tracked from frame to frame")
    people: dict[Hashable, int] = {}
    for names in tracks:
        for track in names:
            if track is not None:
                people.setdefault(track, len(people))
    first = numbers[0] if numbers is not None else 0
    num_frames = numbers[-1] - first + 1 if numbers is not None else len(ordered)
    shape = max(len(people), 1), num_frames, layout.num_joints
    keypoints = np.full((*shape, coordinates), np.nan, np.float32)
    scores = np.zeros(shape, np.float32)
    for place, (moment, names) in enumerate(zip(ordered, tracks, strict=True)):
        at = numbers[place] - first if numbers is not None else place
        for person, track in zip(moment.people, names, strict=True):
            if track is not None:
                keypoints[people[track], at] = person.points_VC[:, :coordinates]
                scores[people[track], at] = 1 if person.scores_V is None else person.scores_V
    if not scored and not any("scores" in line for line in said):
        said.append("no scores: joints that have coordinates count as seen")
    seen_T = np.any(np.isfinite(keypoints).all(-1), axis=(0, 2))
    if num_frames - int(seen_T.sum()):
        said.append("frames that show nobody keep their place")
    return FoundClip(
        name=name,
        layout=layout,
        keypoints_MTVC=np.nan_to_num(keypoints, nan=0.0),
        scores_MTV=np.where(np.isfinite(keypoints).all(-1), scores, 0),
        frame_index_T=None if numbers is None or first == 0 else np.arange(first, first + num_frames),
        said=tuple(said),
    )


def merged(
    frames: Sequence[FoundFrame], where: str, own_name: str, fps: float | None = None
) -> list[FoundClip]:
    """Frames of one clip each, as clips; in order of the clips' names.

    Args:
        own_name: of a clip whose files have no name but numbers.

    Raises:
        InputError: frames of several skeletons, or none that shows anybody.
    """
    layouts = {each.layout.name: each.layout for each in frames if each.layout is not None}
    if len(layouts) != 1:
        found = "several skeletons (" + ", ".join(sorted(layouts)) + ")" if layouts else "nobody in any frame"
        raise InputError(f"{where}: found {found}, expected keypoints of one skeleton")
    [layout] = layouts.values()
    by_clip: dict[str, list[FoundFrame]] = {}
    for frame in frames:
        by_clip.setdefault(frame.clip, []).append(frame)
    clips = []
    for name, members in sorted(by_clip.items()):
        coordinates = {person.points_VC.shape[1] for each in members for person in each.moment.people}
        said = dict.fromkeys(line for each in members for line in each.said)
        clip = clip_of(
            name or own_name,
            layout,
            [each.moment for each in members],
            coordinates=min(coordinates, default=2),
            said=list(said),
            fps=fps,
        )
        clips.append(dataclasses.replace(clip, size_hw=members[0].size_hw))
    return clips


def _in_order(moments: Sequence[Moment], said: list[str]) -> tuple[list[Moment], list[int] | None]:
    """Moments one a frame, and their places in time; None where they follow one another without gaps."""
    if any(moment.number is None for moment in moments):
        return list(moments), None
    by_number: dict[int, list[Person]] = {}
    for moment in moments:
        by_number.setdefault(moment.number or 0, []).extend(moment.people)
    numbers = sorted(by_number)
    ordered = [Moment(people=tuple(by_number[number]), number=number) for number in numbers]
    steps = Counter(np.diff(numbers).tolist())
    step = int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1
    places = [(number - numbers[0]) // step for number in numbers]
    if places[-1] + 1 > (MOST_GAPS + 1) * len(numbers):
        said.append("numbers of frames leap; the frames are taken in their order, without gaps")
        return ordered, None
    if len(steps) > 1:
        said.append("frames without an entry show nobody and keep their place")
    if step > 1:
        said.append(f"frames are numbered every {step}; they are taken as {step} frames apart")
        return ordered, places
    return ordered, numbers


def _own_tracks(moments: Sequence[Moment]) -> list[list[Hashable]] | None:
    tracks = [[person.track for person in moment.people] for moment in moments]
    if any(track is None for names in tracks for track in names):
        return None
    return tracks if all(len(set(names)) == len(names) for names in tracks) else None


def _tracked(moments: Sequence[Moment], numbers: Sequence[int] | None, fps: float) -> list[list[Hashable]]:
    """Of each frame's people the numbers of their tracks; None for who is there twice or not at all."""
    scale = _scale(moments)
    tracker, tracks = Tracker(), []
    for place, moment in enumerate(moments):
        found = [_detection(person, scale) for person in moment.people]
        there = [i for i, each in enumerate(found) if each is not None]
        there.sort(key=lambda i: -found[i][1])  # ty: ignore[not-subscriptable]
        names: list[Hashable] = [None] * len(found)
        if there:
            kept = [found[i] for i in there]
            detections = FrameDetections(
                boxes_N4=np.stack([each[0] for each in kept]),  # ty: ignore[not-subscriptable]
                confidence_N=np.array([each[1] for each in kept], np.float32),  # ty: ignore[not-subscriptable]
                keypoints_NKC1=np.stack([each[2] for each in kept]),  # ty: ignore[not-subscriptable]
            )
            time_sec = ((numbers[place] - numbers[0]) if numbers is not None else place) / fps
            for i, track in zip(there, tracker.update(detections, time_sec), strict=True):
                names[i] = None if track == NO_TRACK else int(track)
        tracks.append(names)
    return tracks


def _scale(moments: Sequence[Moment]) -> float:
    """What brings shares of a picture, or metres, to what a tracker takes for pixels."""
    values = [np.abs(person.points_VC[:, :2]).ravel() for moment in moments for person in moment.people]
    values = [each[np.isfinite(each)] for each in values[:500]]
    top = float(np.quantile(np.concatenate(values), 0.95)) if values and sum(map(len, values)) else 1.0
    return 1.0 if top > 10 else 1000.0


def _detection(person: Person, scale: float) -> tuple[np.ndarray, float, np.ndarray] | None:
    points = person.points_VC[:, :2].astype(np.float32)
    scores = np.ones(len(points), np.float32) if person.scores_V is None else person.scores_V
    is_seen = np.isfinite(points).all(-1) & np.isfinite(scores) & (scores > 0)
    is_seen &= (points != 0).any(-1) & (points != -1).any(-1)
    if not is_seen.any():
        return None
    points = np.where(is_seen[:, None], points * scale, 0)
    seen = points[is_seen]
    scores = np.where(is_seen, np.clip(scores, 0, 1), 0).astype(np.float32)
    box = np.concatenate([seen.min(axis=0), seen.max(axis=0)]).astype(np.float32)
    return box, float(scores.mean()), np.concatenate([points, scores[:, None]], axis=1)
