"""Visibility on scenes small enough to judge by eye."""

import numpy as np
import pytest

from harray.synth.figure import INDEX, NUM_JOINTS, Body, Camera, Motion, points_in_space
from harray.synth.visibility import facing, in_frame, not_behind_parts, outside_boxes

JOINTS = {
    name: INDEX[name] for name in ("left_wrist", "right_wrist", "left_shoulder", "right_shoulder", "nose")
}


def figure(yaw_deg: float, segments: dict[str, tuple[float, float]] | None = None):
    motion = Motion(num_frames=1, segments={name: np.array([a]) for name, a in (segments or {}).items()})
    camera = Camera(yaw_deg=yaw_deg, tilt_deg=0, scale_px=160, center_px=(160, 220))
    return camera.project(points_in_space(Body(), motion))


def seen(points, near) -> dict[str, bool]:
    visible = not_behind_parts(points[:, :NUM_JOINTS], near[:, :NUM_JOINTS], points, near, 160, own=True)[0]
    return {name: bool(visible[i]) for name, i in JOINTS.items()}


@pytest.mark.parametrize(
    ("xy", "inside"),
    [((0, 0), True), ((319.5, 239.5), True), ((320, 10), False), ((5, -0.1), False), ((5, 240), False)],
)
def test_only_joints_within_320x240_are_in_the_frame(xy, inside):
    assert in_frame(np.array([[xy]], float))[0, 0] == inside


def test_a_box_hides_what_it_contains_and_no_box_hides_nothing():
    joints = np.array([[[10.0, 10.0], [30.0, 10.0]]])
    assert outside_boxes(joints, np.array([[0.0, 0.0, 20.0, 20.0]])).tolist() == [[False, True]]
    assert outside_boxes(joints, np.full((1, 4), np.nan)).all()


def test_from_the_front_a_standing_person_hides_nothing():
    assert all(seen(*figure(0)).values())


def test_in_profile_the_torso_hides_the_far_shoulder():
    visible = seen(*figure(90))  # shows the right side
    assert visible["right_shoulder"]
    assert not visible["left_shoulder"]


def test_a_hand_before_the_face_hides_the_nose():
    body = Body()
    reach = {"right_upper_arm": (60.0, 0.0), "right_forearm": (165.0, -38.0)}
    points, near = figure(0, reach)
    nose, wrist = points[0, INDEX["nose"]], points[0, INDEX["right_wrist"]]
    points = points.copy()
    shift = nose - wrist - [0, 3]  # bring the forearm exactly over the nose
    for name in ("right_elbow", "right_wrist", "right_hand"):
        points[0, INDEX[name]] += shift
    assert body.upper_arm > 0
    assert near[0, INDEX["right_wrist"]] > near[0, INDEX["nose"]]
    assert not seen(points, near)["nose"]


def test_the_far_eye_and_ear_turn_away_with_the_head():
    _, near = figure(0)
    assert facing(near, Body().head).all()
    _, near = figure(75)  # nose, left eye, right eye, left ear, right ear
    assert facing(near, Body().head)[0].tolist() == [True, False, True, False, True]
