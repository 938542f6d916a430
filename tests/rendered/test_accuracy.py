"""Scores of detections against a truth of one frame, worked by hand."""

import numpy as np
import pytest

from harray.poses.boxes import iou
from harray.rendered.accuracy import PoseAccuracy, frame_accuracy
from harray.synth.truth import Truth

NO_BOX = np.full((1, 4), np.nan, np.float32)
ACTOR = np.array([0.0, 0.0, 40.0, 100.0])


def truth(hidden: int = 0, occluder=NO_BOX) -> Truth:
    """One frame, one person of 100 px whose joints all lie at (20, 50); the last `hidden` are not visible."""
    visible = np.arange(17) < 17 - hidden
    return Truth(
        keypoints_TPKC=np.full((1, 1, 17, 2), [20.0, 50.0], np.float32),
        visible_TPK=visible[None, None],
        person_box_TP4=ACTOR[None, None].astype(np.float32),
        body_height_P=np.array([100.0], np.float32),
        object_box_T4=NO_BOX,
        occluder_box_T4=occluder,
        label="think",
        scene="room",
        actor="actor000",
    )


def detected(error_px: float, confidence: float = 1.0) -> np.ndarray:
    return np.full((1, 17, 3), [20.0 + error_px, 50.0, confidence])


@pytest.mark.parametrize(
    ("other", "expected"),
    [((0, 0, 40, 100), 1.0), ((20, 0, 60, 100), 1 / 3), ((40, 0, 80, 100), 0.0), ((0, 0, 40, 50), 0.5)],
)
def test_iou_is_the_common_area_over_the_joint_area(other, expected):
    assert iou(ACTOR, np.array([other], float))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("error_px", "within", "mean_error"), [(0, 1.0, 0.0), (9.9, 1.0, 0.099), (10.1, 0.0, 0.101)]
)
def test_a_joint_counts_within_a_tenth_of_body_height(error_px, within, mean_error):
    shares = frame_accuracy(ACTOR[None], detected(error_px), truth(), 0).shares()
    assert shares["found"] == 1.0
    assert shares["pck_0.1"] == within
    assert shares["mean_error"] == pytest.approx(mean_error, abs=1e-6)


def test_a_lost_actor_makes_all_its_visible_joints_wrong():
    far = np.array([[200.0, 0.0, 240.0, 100.0]])
    for boxes, keypoints in ((far, detected(0)), (np.zeros((0, 4)), np.zeros((0, 17, 3)))):
        assert frame_accuracy(boxes, keypoints, truth(hidden=5), 0) == PoseAccuracy(
            num_clear=1, num_joints=12
        )


def test_only_visible_joints_are_measured_and_confidence_should_tell_which_they_are():
    shares = frame_accuracy(ACTOR[None], detected(50.0), truth(hidden=17), 0).shares()
    assert shares["mean_error"] == 0.0
    assert shares["visibility"] == 0.0
    assert frame_accuracy(ACTOR[None], detected(0.0), truth(), 0).shares()["visibility"] == 1.0


def test_behind_the_occluder_an_actor_need_not_be_found():
    board = np.array([[30.0, 0.0, 60.0, 240.0]], np.float32)
    counts = frame_accuracy(np.zeros((0, 4)), np.zeros((0, 17, 3)), truth(occluder=board), 0)
    assert (counts.num_clear, counts.num_joints) == (0, 17)
    aside = np.array([[60.0, 0.0, 90.0, 240.0]], np.float32)
    assert frame_accuracy(np.zeros((0, 4)), np.zeros((0, 17, 3)), truth(occluder=aside), 0).num_clear == 1


def test_counts_add_up_over_frames():
    frames = [frame_accuracy(ACTOR[None], detected(e), truth(), 0) for e in (0.0, 20.0)]
    assert sum(frames, PoseAccuracy()).shares()["pck_0.1"] == 0.5
