"""People whose truth is known: drawn figures that run, wave or stand, as a detector would report them."""

import dataclasses

import numpy as np
import pytest

from harray.poses.detector import FrameDetections
from harray.poses.tracker import MEMORY_SEC, NO_TRACK, Tracker, _median_joint
from harray.poses.tracks import track_people
from harray.synth import motions
from harray.synth.figure import NUM_JOINTS, Camera, points_in_space
from harray.synth.people import make_actor

HEIGHT = 120.0  # px, of a standing person
MIDDLE = 320.0


@dataclasses.dataclass
class Film:
    """Detections of people, and who is who: `people[i][t]` is the pose of person i, NaN where they were not found."""

    detections: list
    people: list
    time_sec_T: np.ndarray


def figure(place_T, faces, *, time_sec_T, motion=motions.running, seed=0, height=HEIGHT):
    """A person's points `[T, M, 2]` px about a place that moves; `faces` is -1 for left, 1 for right."""
    rng = np.random.default_rng(seed)
    camera = Camera(yaw_deg=60.0 * faces, tilt_deg=3.0, scale_px=height, center_px=(0.0, 200.0))
    moves = motion(rng.random() + time_sec_T, rng)
    points, _ = camera.project(points_in_space(make_actor(0, seed).body, moves))
    return points + np.stack([place_T, np.zeros_like(place_T)], -1)[:, None]


def film(*figures, time_sec_T, lost=(), seed=0):
    """As a detector finds them: with errors of 1 % of the height, in order of confidence.

    Args:
        lost: who is not found when, as (person, first frame, last frame).
    """
    rng, detections = np.random.default_rng(seed), []
    people = [np.full((len(time_sec_T), NUM_JOINTS, 2), np.nan, np.float32) for _ in figures]
    for t in range(len(time_sec_T)):
        boxes, joints = [], []
        for i, points in enumerate(figures):
            if any(who == i and first <= t <= last for who, first, last in lost):
                continue
            people[i][t] = points[t, :NUM_JOINTS] + rng.normal(0, 0.01 * HEIGHT, (NUM_JOINTS, 2))
            joints.append(people[i][t])
            boxes.append(np.concatenate([points[t].min(0) - 4, points[t].max(0) + 4]))
        confidence = rng.uniform(0.5, 0.9, len(boxes))
        order = np.argsort(-confidence)
        sure = np.full((len(boxes), NUM_JOINTS, 1), 0.9)
        poses = np.concatenate([np.reshape(joints, (-1, NUM_JOINTS, 2)), sure], -1)
        detections.append(
            FrameDetections(
                boxes_N4=np.reshape(boxes, (-1, 4)).astype(np.float32)[order],
                confidence_N=confidence.astype(np.float32)[order],
                keypoints_NKC1=poses.astype(np.float32)[order],
            )
        )
    return Film(detections, people, time_sec_T)


def names(film):
    """For each person the set of track numbers that they were given where all were found.

    Where two are at the same place and one is found, nothing may tell which.
    """
    tracker, given = Tracker(), [set() for _ in film.people]
    for t, found in enumerate(film.detections):
        tracks_N = tracker.update(found, float(film.time_sec_T[t]))
        if len(tracks_N) < len(film.people):
            continue
        for j, pose in enumerate(found.keypoints_NKC1[..., :2]):
            who = next(i for i, poses in enumerate(film.people) if np.array_equal(poses[t], pose))
            given[who].add(int(tracks_N[j]))
    return given


def is_told_apart(film):
    """Whether each person has one number from the first to the last frame, and no other has it."""
    first, second = names(film)
    return len(first) == len(second) == 1 and not first & second


STEPS_SEC = [1 / 30, 0.1, 0.2, 0.4]
SPEEDS = [0.4, 1.0, 2.0]  # heights a second


def times(step_sec, speed):
    """As long as two people take to meet from three heights' distance and to part as far."""
    return np.arange(0, 3.0 / speed + step_sec, step_sec)


def towards(time_sec_T, speed, *, way):
    return MIDDLE + way * speed * HEIGHT * (time_sec_T - time_sec_T[-1] / 2)


def hidden_while_crossing(speed, others_speed, time_sec_T, person=1):
    """The frames in which two bodies lie over one another."""
    apart = np.abs((speed + others_speed) * HEIGHT * (time_sec_T - time_sec_T[-1] / 2))
    behind = np.flatnonzero(apart < 0.15 * HEIGHT)
    return [(person, behind[0], behind[-1])] if len(behind) else []


@pytest.mark.parametrize("step_sec", STEPS_SEC)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("hides", [False, True])
def test_two_people_who_cross_keep_their_tracks(speed, step_sec, hides):
    time_sec_T = times(step_sec, speed)
    right = figure(towards(time_sec_T, speed, way=1), 1, time_sec_T=time_sec_T, seed=1)
    left = figure(towards(time_sec_T, speed, way=-1), -1, time_sec_T=time_sec_T, seed=2)
    lost = hidden_while_crossing(speed, speed, time_sec_T) if hides else []
    assert is_told_apart(film(right, left, time_sec_T=time_sec_T, lost=lost))


@pytest.mark.parametrize("step_sec", STEPS_SEC)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("who_is_hidden", [0, 1])
def test_someone_who_passes_somebody_standing_keeps_their_track(speed, step_sec, who_is_hidden):
    time_sec_T = times(step_sec, speed)
    passing = figure(towards(time_sec_T, speed, way=1), 1, time_sec_T=time_sec_T, seed=1)
    standing = figure(
        np.full(len(time_sec_T), MIDDLE), 0.3, time_sec_T=time_sec_T, motion=motions.waving, seed=2
    )
    lost = hidden_while_crossing(speed, 0, time_sec_T, who_is_hidden)
    assert is_told_apart(film(passing, standing, time_sec_T=time_sec_T, lost=lost))


def test_two_people_who_meet_and_part_again_keep_their_tracks():
    """They stop half a height apart, and go back as they came, without turning round."""
    time_sec_T = np.arange(0, 6, 0.2)
    apart = HEIGHT * (0.25 + np.abs(np.clip(np.abs(time_sec_T - 3) - 0.7, 0, None)))
    right = figure(MIDDLE - apart, 1, time_sec_T=time_sec_T, seed=1)
    left = figure(MIDDLE + apart, -1, time_sec_T=time_sec_T, seed=2)
    assert is_told_apart(film(right, left, time_sec_T=time_sec_T))
    assert is_told_apart(film(right, left, time_sec_T=time_sec_T, lost=[(0, 13, 16)]))


@pytest.mark.parametrize("num_lost", [1, 3, 8])
def test_somebody_who_is_not_found_for_some_frames_is_known_again(num_lost):
    time_sec_T = np.arange(0, 4, 0.2)
    walking = figure(100 + 60 * time_sec_T, 1, time_sec_T=time_sec_T, seed=1)
    (given,) = names(film(walking, time_sec_T=time_sec_T, lost=[(0, 6, 5 + num_lost)]))
    assert len(given) == 1


def test_who_comes_back_after_long_is_somebody_else_and_nobody_is_kept_for_ever():
    time_sec_T = np.array([0.0, 0.2, 0.2 + MEMORY_SEC + 0.1])
    standing = figure(np.full(3, MIDDLE), 1, time_sec_T=time_sec_T, seed=1)
    (given,) = names(film(standing, time_sec_T=time_sec_T))
    assert given == {0, 1}
    tracker, noise = Tracker(), np.random.default_rng(0)
    for t in range(300):
        corner = noise.uniform(0, 10_000, (3, 2))
        found = FrameDetections(
            boxes_N4=np.concatenate([corner, corner + 50], -1).astype(np.float32),
            confidence_N=np.full(3, 0.5, np.float32),
            keypoints_NKC1=np.zeros((3, NUM_JOINTS, 3), np.float32),
        )
        tracker.update(found, t * 1.0)
    assert len(tracker._people) <= 3 * (MEMORY_SEC + 1)


def test_a_cut_starts_new_tracks_even_at_the_same_place_in_the_same_pose():
    time_sec_T = np.arange(8) * 0.2
    standing = figure(np.full(8, MIDDLE), 1, time_sec_T=time_sec_T, motion=motions.standing, seed=1)
    shot = film(standing, time_sec_T=time_sec_T)
    is_cut_T = np.arange(8) == 3
    whole = track_people(shot.detections, 2, time_sec_T=time_sec_T)
    assert whole[0].any(axis=(1, 2)).all()
    assert not whole[1].any()
    parts = track_people(shot.detections, 2, time_sec_T=time_sec_T, is_cut_T=is_cut_T)
    assert parts.any(axis=(2, 3)).tolist() == [(np.arange(8) >= 3).tolist(), (np.arange(8) < 3).tolist()]
    np.testing.assert_array_equal(parts.sum(axis=0), whole[0])


def test_frames_at_the_same_time_and_frames_without_anybody_are_no_trouble():
    time_sec_T = np.zeros(4)
    standing = figure(np.full(4, MIDDLE), 1, time_sec_T=time_sec_T, motion=motions.standing, seed=1)
    (given,) = names(film(standing, time_sec_T=time_sec_T, lost=[(0, 1, 1)]))
    assert given == {0}


def test_a_second_detection_of_somebody_has_no_track():
    (found,) = film(
        figure(np.full(1, MIDDLE), 1, time_sec_T=np.zeros(1), seed=1), time_sec_T=np.zeros(1)
    ).detections
    twice = FrameDetections(
        boxes_N4=np.repeat(found.boxes_N4, 2, axis=0),
        confidence_N=np.array([0.9, 0.4], np.float32),
        keypoints_NKC1=np.repeat(found.keypoints_NKC1, 2, axis=0),
    )
    assert Tracker().update(twice, 0.0).tolist() == [0, NO_TRACK]


def test_the_median_joint_is_that_of_the_joints_that_count():
    random = np.random.default_rng(0)
    values, counted = random.normal(size=(3, 4, 17, 2)), random.random((3, 4, 17)) < 0.4
    expected = np.nanmedian(np.where(counted[..., None], values, np.nan), axis=-2)
    np.testing.assert_allclose(_median_joint(values, counted), expected)
