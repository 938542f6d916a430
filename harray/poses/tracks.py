"""The people of a clip: detections per frame, linked over time, the best tracks first.

    detections of frame t, is it a cut? --Tracker--> track of each detection --best first--> max_people

Letters: P people (tracks kept), T frames, N people of a frame, K joints, C coordinates.
"""

import dataclasses

import numpy as np

from harray.poses.detector import FrameDetections
from harray.poses.tracker import NO_TRACK, Tracker

STEP_SEC = 0.2  # between frames whose times are not given


@dataclasses.dataclass
class Track:
    """One person: which detection of which frame."""

    frames: list[int] = dataclasses.field(default_factory=list)
    boxes: list[np.ndarray] = dataclasses.field(default_factory=list)  # float32 [4]
    confidences: list[float] = dataclasses.field(default_factory=list)
    keypoints: list[np.ndarray] = dataclasses.field(default_factory=list)  # float32 [K, C + 1]

    @property
    def rank(self) -> float:
        """Length times mean confidence times the square root of the mean area: what is long, confident and large."""
        boxes_T4 = np.stack(self.boxes)
        areas = (boxes_T4[:, 2] - boxes_T4[:, 0]) * (boxes_T4[:, 3] - boxes_T4[:, 1])
        return len(self.frames) * float(np.mean(self.confidences)) * float(np.sqrt(areas.mean() + 1.0))


def track_people(
    detections: list[FrameDetections],
    max_people: int,
    *,
    time_sec_T: np.ndarray | None = None,
    is_cut_T: np.ndarray | None = None,
) -> np.ndarray:
    """The best tracks of a clip. No track continues across a cut.

    Args:
        detections: of every frame in order of time; all with the same number of joints.
        max_people: how many tracks to keep.
        time_sec_T: when the frames were shown; None: `STEP_SEC` apart.
        is_cut_T: bool, whether a new shot begins with the frame (`harray.poses.cuts`); None: nowhere.

    Returns:
        float32 [max_people, T, K, C + 1]: x px, y px, confidence in [0, 1]; the best track first. Where a person
        or a frame is missing all values are 0: the place is kept.
    """
    times = np.arange(len(detections)) * STEP_SEC if time_sec_T is None else time_sec_T
    cuts = np.zeros(len(detections), bool) if is_cut_T is None else is_cut_T
    tracker, tracks = Tracker(), dict[int, Track]()
    for frame, found in enumerate(detections):
        names_N = tracker.update(found, float(times[frame]), is_cut=bool(cuts[frame]))
        for j in np.flatnonzero(names_N != NO_TRACK):
            track = tracks.setdefault(int(names_N[j]), Track())
            track.frames.append(frame)
            track.boxes.append(found.boxes_N4[j])
            track.confidences.append(float(found.confidence_N[j]))
            track.keypoints.append(found.keypoints_NKC1[j])
    joints, coordinates = detections[0].keypoints_NKC1.shape[1:]
    keypoints_PTKC1 = np.zeros((max_people, len(detections), joints, coordinates), np.float32)
    best = sorted(tracks.values(), key=lambda track: track.rank, reverse=True)[:max_people]
    for person, track in enumerate(best):
        keypoints_PTKC1[person, track.frames] = np.stack(track.keypoints)
    return keypoints_PTKC1
