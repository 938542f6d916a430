"""Tracking, one frame after another: for the frames of a clip in a loop, and for a camera's as they arrive.

    people so far --where each is expected now--> costs [M, N] --assignment (Hungarian)--> track of each detection

A person is expected where they would be at the speed they had, in the pose they had; the longer ago that was, the
less is made of the speed, for who walks behind somebody comes out on the other side, and who embraces them does not.
Detections are compared with that by the distance of their places in units of box size, by the overlap of the boxes,
by the pose (like object keypoint similarity, with one tolerance for all joints), by its shape alone, wherever it is
(who passes somebody does not turn round), and by the ratio of sizes. The costs of a frame are assigned together
(`scipy.optimize.linear_sum_assignment`), as in SORT (Bewley et al. 2016). Speed is measured in seconds, so that
frames may lie a thirtieth of a second or a second apart. A cut ends all tracks.

Letters: M people so far, N people of a frame, K joints, C coordinates.
"""

import dataclasses
import math

import numpy as np

from harray.poses.boxes import iou
from harray.poses.detector import FrameDetections

NO_TRACK = -1  # of a duplicate detection of a person
REACH = 0.5  # largest step in box sizes between two frames, however close in time
REACH_PER_SEC = 2.5  # added for every second between them
MAX_REACH = 2.0
MAX_RATIO = 3.0  # of sizes
HORIZON_SEC = 1.0  # beyond it, speed does not predict a position
KEEPING_SEC = 0.5  # time constant with which the speed of somebody who is not detected decays
SPEED_SEC = 0.5  # over which speed is averaged
MEMORY_SEC = 10.0  # after which a track ends: whoever comes back gets a new one
SAME_PLACE = (
    0.15  # distance of a joint from its expected place, in box sizes, that halves the similarity of poses
)
SAME_SHAPE = 0.05  # the same after the whole pose was aligned with the detection
NEW_TRACK_PENALTY = (
    1.2  # cost of a track of one frame, so that a duplicate box does not take over an older track
)
ABSENCE = (
    0.5  # cost of a gap: not detected in the frame before, as happens where people stand behind one another
)
ABSENCE_PER_SEC = 0.25  # and of every second of that
UNLIKE = 6.0  # cost from which a detection starts a new track
SAME_POSE = 0.1  # mean distance of confident joints, in box sizes, under which two detections are one person
MIN_CONFIDENCE = 0.3  # of the joints that are compared
MIN_JOINTS = 3  # that can be compared; with fewer, boxes speak for the pose


@dataclasses.dataclass
class _Person:
    """A tracked person as last seen."""

    track: int
    time_sec: float
    box: np.ndarray  # float [4]
    keypoints: np.ndarray  # float [K, C + 1]
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))  # px / s
    num_seen: int = 1

    def step(self, time_sec: float, absent_sec: float) -> np.ndarray:
        """px [2] that they are expected to have moved since, of which frames did not show them for `absent_sec`."""
        moving_sec = min(time_sec - self.time_sec - absent_sec, HORIZON_SEC)
        return self.velocity * (moving_sec + KEEPING_SEC * (1.0 - math.exp(-absent_sec / KEEPING_SEC)))

    def see(self, box: np.ndarray, keypoints: np.ndarray, time_sec: float, moved_2: np.ndarray) -> None:
        """Detected again, so many px (x, y) from where they were."""
        if (passed_sec := time_sec - self.time_sec) > 0:
            newest = moved_2 / passed_sec
            weight = max(1.0 / self.num_seen, 1.0 - math.exp(-passed_sec / SPEED_SEC))
            self.velocity = self.velocity + weight * (newest - self.velocity)
            self.num_seen += 1
        self.time_sec, self.box, self.keypoints = time_sec, box, keypoints


class Tracker:
    """Gives every detection the number of its track. Its memory does not grow with time."""

    def __init__(self) -> None:
        self._people: list[_Person] = []
        self._num_tracks = 0
        self._time_sec = -math.inf

    def update(self, found: FrameDetections, time_sec: float, *, is_cut: bool = False) -> np.ndarray:
        """The tracks of a frame's detections.

        Args:
            found: the frame's people, the most confident first.
            time_sec: of the frame, not before the one before.
            is_cut: whether a new shot begins; nobody of the shot before goes on.

        Returns:
            int [N]: a number that no other person has, from 0; `NO_TRACK` for a second detection of somebody.
        """
        self._people = [
            person for person in self._people if not is_cut and time_sec - person.time_sec <= MEMORY_SEC
        ]
        tracks_N = np.full(len(found.confidence_N), NO_TRACK)
        real = _without_doubles(found)
        boxes_N4, keypoints_NKC1 = found.boxes_N4[real], found.keypoints_NKC1[real]
        known = self._assigned(boxes_N4, keypoints_NKC1, time_sec)
        for place, (j, box, keypoints) in enumerate(zip(real, boxes_N4, keypoints_NKC1, strict=True)):
            if place in known:
                person, moved_2 = known[place]
                person.see(box, keypoints, time_sec, moved_2)
            else:
                person = _Person(self._num_tracks, time_sec, box, keypoints)
                self._people.append(person)
                self._num_tracks += 1
            tracks_N[j] = person.track
        self._time_sec = time_sec
        return tracks_N

    def _assigned(
        self, boxes_N4: np.ndarray, keypoints_NKC1: np.ndarray, time_sec: float
    ) -> dict[int, tuple[_Person, np.ndarray]]:
        """The tracked person of each detection, where one matches, and how far they moved, px [2]."""
        from scipy.optimize import linear_sum_assignment

        if not self._people or not len(boxes_N4):
            return {}
        costs_MN, moved_MN2 = self._costs(boxes_N4, keypoints_NKC1, time_sec)
        rows, columns = linear_sum_assignment(costs_MN)
        return {
            int(j): (self._people[i], moved_MN2[i, j])
            for i, j in zip(rows, columns, strict=True)
            if costs_MN[i, j] < UNLIKE
        }

    def _costs(
        self, boxes_N4: np.ndarray, keypoints_NKC1: np.ndarray, time_sec: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """float [M, N], cost of assigning each detection to each person, `UNLIKE` where it is out of reach; and
        [M, N, 2], px from the one to the other."""
        people = self._people
        passed_M = np.array([time_sec - person.time_sec for person in people])
        absent_M = np.maximum(passed_M - (time_sec - self._time_sec), 0.0)
        steps = [each.step(time_sec, absent_sec) for each, absent_sec in zip(people, absent_M, strict=True)]
        step_M12 = np.stack(steps)[:, None]
        last_M14 = np.stack([person.box for person in people])[:, None]
        pose_M1KC1 = np.stack([person.keypoints for person in people])[:, None]
        seen_M1 = np.array([[person.num_seen] for person in people])
        size_MN = np.maximum(_size(last_M14), _size(boxes_N4))
        ratio_MN = np.abs(np.log(_size(boxes_N4) / _size(last_M14)))
        moved_MN2 = _displacement(last_M14, pose_M1KC1, boxes_N4, keypoints_NKC1)
        off_MN = np.linalg.norm(moved_MN2 - step_M12, axis=-1) / size_MN
        reach_M1 = np.minimum(MAX_REACH, REACH + REACH_PER_SEC * passed_M)[:, None]
        overlap_MN = iou(last_M14 + np.tile(step_M12, 2), boxes_N4)
        poses = pose_M1KC1, keypoints_NKC1
        in_place_MN = _pose_similarity(*poses, step_M12, SAME_PLACE * size_MN, overlap_MN)
        in_shape_MN = _pose_similarity(*poses, moved_MN2, SAME_SHAPE * size_MN, overlap_MN)
        cost_MN = off_MN / reach_M1 + (1.0 - overlap_MN) + (2.0 - in_place_MN - in_shape_MN) + 0.5 * ratio_MN
        absence_M = np.where(absent_M > 0, ABSENCE + ABSENCE_PER_SEC * absent_M, 0.0)
        cost_MN = cost_MN + absence_M[:, None] + NEW_TRACK_PENALTY / seen_M1
        near_MN = np.minimum(off_MN, np.linalg.norm(moved_MN2, axis=-1) / size_MN) < reach_M1
        is_near_MN = near_MN & (ratio_MN < math.log(MAX_RATIO))
        return np.where(is_near_MN, np.minimum(cost_MN, UNLIKE), UNLIKE), moved_MN2


def _displacement(
    box: np.ndarray, keypoints: np.ndarray, others: np.ndarray, poses: np.ndarray
) -> np.ndarray:
    """px `[..., 2]` from one detection to another, broadcast: the median of the joints that both show, else of the
    boxes' centres: a box changes with every raised arm, and with whoever stands before it."""
    both = _both(keypoints, poses)
    by_box = (others[..., :2] + others[..., 2:] - box[..., :2] - box[..., 2:]) / 2
    enough = both.sum(axis=-1)[..., None] >= MIN_JOINTS
    by_joints = _median_joint(poses[..., :2] - keypoints[..., :2], both)
    return np.where(enough, by_joints, by_box)


def _median_joint(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """`[..., 2]`: the medians over the joints of `[..., K, 2]` that are counted, `[..., K]`; anything where none is.

    `np.nanmedian` takes twenty times as long for so few.
    """
    num_joints = counted.shape[-1]
    ordered = np.sort(np.where(counted[..., None], values, np.inf), axis=-2).reshape(-1, num_joints, 2)
    num = np.maximum(counted.sum(axis=-1), 1).ravel()
    rows = np.arange(len(num))
    median = (ordered[rows, (num - 1) // 2] + ordered[rows, num // 2]) / 2
    return median.reshape(*counted.shape[:-1], 2)


def _pose_similarity(
    pose_M1KC1: np.ndarray,
    keypoints_NKC1: np.ndarray,
    step_MN2: np.ndarray,
    tolerance_MN: np.ndarray,
    otherwise_MN: np.ndarray,
) -> np.ndarray:
    """float [M, N] in [0, 1]: of the poses moved by a step with those found, the mean over joints that both show.

    A joint that is off by the tolerance (px) counts half; where too few can be compared it is `otherwise`.
    """
    both_MNK = _both(pose_M1KC1, keypoints_NKC1)
    expected_MNK2 = pose_M1KC1[..., :2] + step_MN2[..., None, :]
    off_MNK = np.linalg.norm(expected_MNK2 - keypoints_NKC1[..., :2], axis=-1) / tolerance_MN[..., None]
    alike_MN = (np.exp2(-(off_MNK**2)) * both_MNK).sum(axis=-1)
    num_MN = both_MNK.sum(axis=-1)
    return np.where(num_MN >= MIN_JOINTS, alike_MN / np.maximum(num_MN, 1), otherwise_MN)


def _both(keypoints: np.ndarray, poses: np.ndarray) -> np.ndarray:
    return (keypoints[..., -1] > MIN_CONFIDENCE) & (poses[..., -1] > MIN_CONFIDENCE)


def _without_doubles(found: FrameDetections) -> list[int]:
    """All but the detections whose pose is that of a more confident one: boxes of different widths on one person
    survive the suppression by overlap."""
    keep: list[int] = []
    for j in range(len(found.confidence_N)):  # the most confident first
        if not any(_is_same_pose(found, i, j) for i in keep):
            keep.append(j)
    return keep


def _is_same_pose(found: FrameDetections, i: int, j: int) -> bool:
    first, second = found.keypoints_NKC1[i], found.keypoints_NKC1[j]
    both_K = _both(first, second)
    if both_K.sum() < MIN_JOINTS:
        return False
    distance = np.linalg.norm(first[both_K, :2] - second[both_K, :2], axis=-1).mean()
    return bool(distance < SAME_POSE * min(_size(found.boxes_N4[i]), _size(found.boxes_N4[j])))


def _size(boxes: np.ndarray) -> np.ndarray:
    """Mean of width and height, at least 1 px."""
    return np.maximum((boxes[..., 2:] - boxes[..., :2]).mean(axis=-1), 1.0)
