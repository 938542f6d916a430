import numpy as np
import pytest

from harray.poses.detector import FrameDetections
from harray.poses.tracks import track_people


def frame(*people):
    """People of a frame as (x, y, size, confidence); the box is a square around (x, y), every joint is at (x, y)."""
    boxes = [[x - size / 2, y - size / 2, x + size / 2, y + size / 2] for x, y, size, _ in people]
    keypoints = [[[x, y, confidence]] * 3 for x, y, _, confidence in people]
    return FrameDetections(
        boxes_N4=np.array(boxes, np.float32).reshape(-1, 4),
        confidence_N=np.array([person[3] for person in people], np.float32),
        keypoints_NKC1=np.array(keypoints, np.float32).reshape(-1, 3, 3),
    )


def places(keypoints_PTKC1, person=0):
    """x of the first joint over time, None where the person is missing."""
    joint = keypoints_PTKC1[person, :, 0]
    return [float(x) if confidence > 0 else None for x, _, confidence in joint]


def test_two_people_who_pass_each_other_slowly_keep_their_names():
    detections = [frame((10 * t, 50, 60, 0.9), (100 - 10 * t, 150, 40, 0.8)) for t in range(11)]
    detections[1::2] = [frame((100 - 10 * t, 150, 40, 0.8), (10 * t, 50, 60, 0.9)) for t in range(1, 11, 2)]
    keypoints = track_people(detections, 2)
    assert keypoints.shape == (2, 11, 3, 3)
    assert places(keypoints, 0) == [10 * t for t in range(11)]
    assert places(keypoints, 1) == [100 - 10 * t for t in range(11)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([(0, 0, 40, 0.5)] * 6, [(300, 0, 40, 0.5)] * 4),  # longer
        ([(0, 0, 40, 0.9)] * 6, [(300, 0, 40, 0.6)] * 6),  # more confident
        ([(0, 0, 90, 0.7)] * 6, [(300, 0, 40, 0.7)] * 6),  # larger
    ],
    ids=["longer", "more confident", "larger"],
)
def test_the_best_track_comes_first(first, second):
    both = [frame(*(track[t] for track in (second, first) if t < len(track))) for t in range(6)]
    keypoints = track_people(both, 2)
    assert set(places(keypoints, 0)) == {0.0}
    assert set(places(keypoints, 1)) - {None} == {300.0}
    assert track_people(both, 1).shape[0] == 1


def test_a_frame_without_the_person_keeps_its_place_with_confidence_zero():
    detections = [frame((5, 5, 40, 0.9)), frame(), frame(), frame((9, 5, 40, 0.9))]
    keypoints = track_people(detections, 1)
    assert places(keypoints) == [5, None, None, 9]
    assert (keypoints[0, 1:3] == 0).all()


def test_a_clip_without_anybody_is_all_zero():
    keypoints = track_people([frame()] * 4, 2)
    assert keypoints.shape == (2, 4, 3, 3)
    assert keypoints.dtype == np.float32
    assert not keypoints.any()


def test_someone_far_away_is_another_person():
    keypoints = track_people([frame((0, 0, 40, 0.9)), frame((0, 0, 40, 0.9)), frame((200, 0, 40, 0.9))], 2)
    assert places(keypoints, 0) == [0, 0, None]
    assert places(keypoints, 1) == [None, None, 200]


def test_a_child_who_appears_where_an_adult_stood_is_another_person():
    keypoints = track_people([frame((0, 0, 120, 0.9)), frame((0, 0, 120, 0.9)), frame((0, 0, 30, 0.9))], 2)
    assert places(keypoints, 0) == [0, 0, None]


def test_the_assignment_weighs_all_pairs_together():
    """A greedy choice would give b's neighbour to a: a (0) is nearest to 12, and then b (20) is left with -8."""
    keypoints = track_people(
        [frame((0, 0, 40, 0.9), (20, 0, 40, 0.8)), frame((12, 0, 40, 0.8), (-8, 0, 40, 0.9))], 2
    )
    assert {tuple(places(keypoints, person)) for person in range(2)} == {(0, -8), (20, 12)}


def test_a_second_box_on_a_person_neither_counts_nor_takes_over_the_track():
    """The second box has the person's pose; a third, with a pose of its own, lies nearer to what follows."""
    steady = [frame((100, 50, 60, 0.9))] * 5
    keypoints = track_people([*steady, frame((100, 50, 60, 0.9), (102, 50, 60, 0.8)), *steady], 2)
    assert places(keypoints, 0) == [100] * 11
    assert not keypoints[1].any()

    keypoints = track_people(
        [*steady, frame((100, 50, 60, 0.9), (112, 50, 60, 0.8)), frame((110, 50, 60, 0.9))], 2
    )
    assert places(keypoints, 0) == [100] * 6 + [110]
