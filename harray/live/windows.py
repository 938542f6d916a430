"""A stream's last seconds, and windows of it: as many frames as the model takes, evenly spaced in time.

A window is made as a clip is: its frames are those that a player shows at evenly spaced times from its first to its
last frame (`harray.videos.frames.uniform_frames`), so frames may come at any rate, evenly or not.

Letters: P people, T frames, K joints, C coordinates, F scene frames, S scene tokens, D features.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harray.scenes.encoder import scene_frame_indices
from harray.videos.timeline import TIE_SEC, frames_at


@dataclass(frozen=True, kw_only=True)
class Window:
    """One person's last seconds, or the whole picture's; what a decision is made on."""

    track: int | None  # None: the whole picture
    start_sec: float
    end_sec: float
    height_px: int
    width_px: int
    keypoints_PTKC1: np.ndarray  # px, then confidence in [0, 1]; the best seen person first, as in a clip
    place: int  # of the track among the people; 0 for the whole picture
    scene_tokens_FSD: np.ndarray | None


@dataclass
class Sighting:
    """One person in one frame."""

    box_4: np.ndarray
    confidence: float
    keypoints_KC1: np.ndarray

    @property
    def height_px(self) -> float:
        return max(1.0, float(self.box_4[3] - self.box_4[1]))


@dataclass
class Moment:
    """One frame of the past: who was seen in it."""

    time_sec: float
    people: dict[int, Sighting]  # by track


@dataclass
class History:
    """The last `window_sec` of the shot that is being shown."""

    window_sec: float
    moments: deque[Moment] = field(default_factory=deque)
    scenes: deque[tuple[float, np.ndarray]] = field(default_factory=deque)  # time, tokens [S, D]

    def add(self, moment: Moment, tokens_SD: np.ndarray | None) -> None:
        """Take in a frame, and forget what no window reaches any more."""
        self.moments.append(moment)
        if tokens_SD is not None:
            self.scenes.append((moment.time_sec, tokens_SD))
        oldest = moment.time_sec - self.window_sec - TIE_SEC
        while len(self.moments) > 1 and self.moments[0].time_sec < oldest:
            self.moments.popleft()
        while len(self.scenes) > 1 and self.scenes[1][0] < oldest:  # one before the window may be the nearest
            self.scenes.popleft()

    @property
    def start_sec(self) -> float:
        return self.moments[0].time_sec

    @property
    def end_sec(self) -> float:
        return self.moments[-1].time_sec

    def frames(self, num_frames: int) -> list[Moment]:
        """The frames shown at evenly spaced times from the first to the last."""
        times = np.array([moment.time_sec for moment in self.moments])
        steps = np.diff(times)
        early_sec = (float(np.median(steps)) / 2 if len(steps) else 0.0) + TIE_SEC
        wanted = np.linspace(times[0], times[-1], num_frames)
        return [self.moments[i] for i in frames_at(times, wanted, early_sec)]

    def scene_tokens(self, frames: Sequence[Moment], num_scene_frames: int) -> np.ndarray | None:
        """Tokens `[F, S, D]` that lie nearest to the frames which `predict` would have looked at."""
        if not num_scene_frames or not self.scenes:
            return None
        at = [frames[i].time_sec for i in scene_frame_indices(len(frames), num_scene_frames)]
        times = np.array([time_sec for time_sec, _ in self.scenes])
        return np.stack([self.scenes[int(np.abs(times - time_sec).argmin())][1] for time_sec in at])


def keypoints_of(frames: Sequence[Moment], tracks: Sequence[int], num_joints: int) -> np.ndarray:
    """`[P, T, K, C + 1]` of these people, 0 where they were not found."""
    keypoints_PTKC1 = np.zeros((len(tracks), len(frames), num_joints, 3), np.float32)
    for person, track in enumerate(tracks):
        for t, moment in enumerate(frames):
            if (sighting := moment.people.get(track)) is not None:
                keypoints_PTKC1[person, t] = sighting.keypoints_KC1
    return keypoints_PTKC1


def nearest(track: int, frames: Sequence[Moment]) -> int | None:
    """Who is nearest to somebody over these frames, in their heights; None where nobody else is seen."""
    away: dict[int, list[float]] = {}
    for moment in frames:
        if (person := moment.people.get(track)) is None:
            continue
        middle = (person.box_4[:2] + person.box_4[2:]) / 2
        for other, sighting in moment.people.items():
            if other != track:
                there = (sighting.box_4[:2] + sighting.box_4[2:]) / 2
                away.setdefault(other, []).append(float(np.linalg.norm(there - middle)) / person.height_px)
    known = {other: float(np.mean(each)) for other, each in away.items() if 2 * len(each) >= len(frames) / 2}
    return min(known, key=lambda other: known[other]) if known else None


def best_ranked(frames: Sequence[Moment], num_people: int) -> list[int]:
    """Tracks as a clip keeps them: there long, sure and large (`harray.poses.tracks.Track.rank`)."""
    of: dict[int, list[Sighting]] = {}
    for moment in frames:
        for track, sighting in moment.people.items():
            of.setdefault(track, []).append(sighting)

    def rank(track: int) -> float:
        boxes_N4 = np.stack([sighting.box_4 for sighting in of[track]])
        areas = (boxes_N4[:, 2] - boxes_N4[:, 0]) * (boxes_N4[:, 3] - boxes_N4[:, 1])
        confidence = np.mean([sighting.confidence for sighting in of[track]])
        return len(boxes_N4) * float(confidence) * float(np.sqrt(areas.mean() + 1.0))

    return sorted(of, key=rank, reverse=True)[:num_people]
