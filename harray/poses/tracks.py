"""Detections per frame to people over time.

    detections of frame t --assignment (Hungarian) to the tracks so far--> tracks --best first--> max_people

Letters: P people (tracks kept), M tracks so far, T frames, N people of a frame, K joints, C coordinates.

A track and a detection are compared by the distance of their box centres in units of box size, by the overlap of
the boxes, and by the ratio of their sizes; the costs of a frame are assigned together
(`scipy.optimize.linear_sum_assignment`), as in SORT (Bewley et al. 2016) without its motion model: sampled frames
lie a tenth of a second and more apart.
"""

import dataclasses

import numpy as np

from harray.poses.boxes import overlap
from harray.poses.detector import FrameDetections

REACH = 1.0  # farthest step between neighbouring frames, in box sizes
REACH_PER_GAP = 0.25  # and how much farther for every frame without a detection
MAX_REACH = 2.0
YOUTH = 0.5  # cost of a track of one frame; a second box on a person must not take over the person's track
SAME_POSE = 0.1  # mean distance of confident joints, in box sizes, under which two detections are one person
MIN_CONFIDENCE = 0.3  # of the joints that are compared
FORBIDDEN = 1e6


@dataclasses.dataclass
class Track:
    """One person: which detection of which frame."""

    frames: list[int]
    boxes: list[np.ndarray]  # float32 [4]
    confidences: list[float]
    keypoints: list[np.ndarray]  # float32 [K, C + 1]

    @property
    def rank(self) -> float:
        """Length times mean confidence times the root of the mean area: what is there long, sure and large."""
        boxes_T4 = np.stack(self.boxes)
        areas = (boxes_T4[:, 2] - boxes_T4[:, 0]) * (boxes_T4[:, 3] - boxes_T4[:, 1])
        return len(self.frames) * float(np.mean(self.confidences)) * float(np.sqrt(areas.mean() + 1.0))


def link_people(detections: list[FrameDetections], max_people: int) -> np.ndarray:
    """The best tracks of a clip.

    Args:
        detections: of every frame in order of time; all with the same number of joints.
        max_people: how many tracks to keep.

    Returns:
        float32 [max_people, T, K, C + 1]: x px, y px, confidence in [0, 1]; the best track first. Where a person
        or a frame is missing all values are 0: the place is kept.
    """
    joints, coordinates = detections[0].keypoints_NKC1.shape[1:]
    keypoints_PTKC1 = np.zeros((max_people, len(detections), joints, coordinates), np.float32)
    best = sorted(_tracks(detections), key=lambda track: track.rank, reverse=True)[:max_people]
    for person, track in enumerate(best):
        keypoints_PTKC1[person, track.frames] = np.stack(track.keypoints)
    return keypoints_PTKC1


def _tracks(detections: list[FrameDetections]) -> list[Track]:
    from scipy.optimize import linear_sum_assignment

    tracks: list[Track] = []
    for frame, found in enumerate(map(_without_doubles, detections)):
        num_found = len(found.confidence_N)
        costs = _costs(tracks, frame, found.boxes_N4) if tracks else np.zeros((0, num_found))
        rows, columns = linear_sum_assignment(costs)
        pairs = {int(j): int(i) for i, j in zip(rows, columns, strict=True) if costs[i, j] < FORBIDDEN}
        for j in range(num_found):
            if j not in pairs:
                tracks.append(Track([], [], [], []))
            track = tracks[pairs[j]] if j in pairs else tracks[-1]
            track.frames.append(frame)
            track.boxes.append(found.boxes_N4[j])
            track.confidences.append(float(found.confidence_N[j]))
            track.keypoints.append(found.keypoints_NKC1[j])
    return tracks


def _without_doubles(found: FrameDetections) -> FrameDetections:
    """Less the detections whose pose is that of a more confident one: boxes of different widths on one person
    survive the suppression by overlap."""
    keep: list[int] = []
    for j in range(len(found.confidence_N)):  # the most confident first
        if not any(_is_same_pose(found, i, j) for i in keep):
            keep.append(j)
    return FrameDetections(
        boxes_N4=found.boxes_N4[keep],
        confidence_N=found.confidence_N[keep],
        keypoints_NKC1=found.keypoints_NKC1[keep],
    )


def _is_same_pose(found: FrameDetections, i: int, j: int) -> bool:
    first, second = found.keypoints_NKC1[i], found.keypoints_NKC1[j]
    both_K = (first[:, -1] > MIN_CONFIDENCE) & (second[:, -1] > MIN_CONFIDENCE)
    if both_K.sum() < 3:
        return False
    distance = np.linalg.norm(first[both_K, :2] - second[both_K, :2], axis=-1).mean()
    return bool(distance < SAME_POSE * min(_size(found.boxes_N4[i]), _size(found.boxes_N4[j])))


def _costs(tracks: list[Track], frame: int, boxes_N4: np.ndarray) -> np.ndarray:
    """float [tracks, N]: how unlike each track each detection is; FORBIDDEN where it is out of reach."""
    last_M14 = np.stack([track.boxes[-1] for track in tracks])[:, None]
    gap_M1 = np.array([[frame - track.frames[-1] - 1] for track in tracks])
    length_M1 = np.array([[len(track.frames)] for track in tracks])
    size_M1, sizes_N = _size(last_M14), _size(boxes_N4)
    apart_MN = np.linalg.norm(_centre(boxes_N4) - _centre(last_M14), axis=-1)
    distance_MN = apart_MN / np.maximum(size_M1, sizes_N)
    ratio_MN = np.abs(np.log(sizes_N / size_M1))
    reach_M1 = np.minimum(MAX_REACH, REACH + REACH_PER_GAP * gap_M1)
    cost_MN = distance_MN / reach_M1 + (1.0 - overlap(last_M14, boxes_N4)) + 0.5 * ratio_MN
    cost_MN = cost_MN + 0.05 * gap_M1 + YOUTH / length_M1
    return np.where((distance_MN < reach_M1) & (ratio_MN < np.log(3.0)), cost_MN, FORBIDDEN)


def _centre(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _size(boxes: np.ndarray) -> np.ndarray:
    """Mean of width and height, at least 1 px."""
    return np.maximum((boxes[..., 2:] - boxes[..., :2]).mean(axis=-1), 1.0)
