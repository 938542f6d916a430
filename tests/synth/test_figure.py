"""The figure's joints against hand-worked positions."""

import numpy as np
import pytest

from harray.synth.figure import (
    ANKLE_HEIGHT,
    INDEX,
    Body,
    Camera,
    Motion,
    direction,
    mirrored,
    points_in_space,
)

HANGING = Motion(num_frames=1)
BODY = Body()


def joint(points: np.ndarray, name: str) -> np.ndarray:
    return points[0, INDEX[name]]


@pytest.mark.parametrize(
    ("pitch", "spread", "side", "expected"),
    [
        (0, 0, 1, (0, -1, 0)),  # hangs
        (90, 0, 1, (1, 0, 0)),  # points forward
        (180, 0, 1, (0, 1, 0)),  # points up
        (0, 90, 1, (0, 0, 1)),  # to the person's left
        (0, 90, -1, (0, 0, -1)),  # the right arm spreads to the right
        (0, 135, 1, (0, 0.5**0.5, 0.5**0.5)),  # sideways and up
    ],
)
def test_a_segment_points_where_its_angles_say(pitch, spread, side, expected):
    np.testing.assert_allclose(direction(np.array([[pitch, spread]]), side)[0], expected, atol=1e-12)


def test_a_hanging_figure_stands_on_its_soles_and_its_hands_hang_under_its_shoulders():
    points = points_in_space(BODY, HANGING)
    knee = ANKLE_HEIGHT + BODY.shin
    hip = knee + BODY.thigh
    shoulder = hip + BODY.torso
    heights = {
        "left_ankle": ANKLE_HEIGHT,
        "right_knee": knee,
        "left_hip": hip,
        "right_shoulder": shoulder,
        "left_elbow": shoulder - BODY.upper_arm,
        "right_wrist": shoulder - BODY.upper_arm - BODY.forearm,
    }
    for name, height in heights.items():
        assert joint(points, name)[1] == pytest.approx(height), name
    assert joint(points, "left_wrist")[2] == pytest.approx(BODY.shoulder)
    assert 0.95 < joint(points, "crown")[1] < 1.05  # lengths are in standing heights


def test_the_lower_foot_carries_the_figure_whatever_the_legs_do():
    motion = Motion(num_frames=1, segments={"left_thigh": np.array([[90.0, 0.0]])}, lift=np.array([0.1]))
    points = points_in_space(BODY, motion)
    assert joint(points, "right_ankle")[1] == pytest.approx(0.1 + ANKLE_HEIGHT)
    assert joint(points, "left_knee")[0] == pytest.approx(BODY.thigh)


def test_a_mirrored_motion_puts_each_joint_where_its_partner_was():
    motion = Motion(
        num_frames=1, segments={"right_forearm": np.array([[120.0, 30.0]])}, torso=np.array([[10.0, 5.0]])
    )
    there, here = points_in_space(BODY, motion), points_in_space(BODY, mirrored(motion))
    expected = joint(there, "right_wrist") * [1, 1, -1]
    np.testing.assert_allclose(joint(here, "left_wrist"), expected, atol=1e-12)


def test_a_frontal_camera_sees_the_persons_left_on_its_right_and_a_turned_one_sees_the_front_there():
    points = np.array([[[0.0, 0.0, 0.5], [0.5, 1.0, 0.0]]])  # to the left; forward and up
    front = Camera(yaw_deg=0, tilt_deg=0, scale_px=100, center_px=(160, 200))
    pixels, near = front.project(points)
    np.testing.assert_allclose(pixels[0], [[210, 200], [160, 100]])
    np.testing.assert_allclose(near[0], [0, 0.5])
    pixels, near = Camera(yaw_deg=90, tilt_deg=0, scale_px=100, center_px=(160, 200)).project(points)
    np.testing.assert_allclose(pixels[0], [[160, 200], [210, 100]], atol=1e-9)
    np.testing.assert_allclose(near[0], [-0.5, 0], atol=1e-9)
