"""Body units: hand-worked clips, and what must not change them."""

import numpy as np
import pytest
import torch

from harray.features.normalise import normalise
from harray.skeleton import COCO17, KINECT20, NTU25, PENN13, SkeletonLayout, generic_layout


def clip(layout, coordinates=2, people=1, frames=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(1, people, frames, layout.num_joints, coordinates, generator=generator) * 100
    return keypoints, torch.ones(1, people, frames, layout.num_joints)


def test_a_box_of_joints_is_centred_and_its_longer_side_is_one():
    keypoints = torch.zeros(1, 1, 3, 13, 2)
    keypoints[..., 0] = torch.linspace(100, 140, 13)  # 40 wide, median 120
    keypoints[..., 1] = torch.linspace(50, 250, 13)  # 200 high, median 150
    bare = SkeletonLayout(name="bare", joints=tuple("abcdefghijklm"), bones=(), flip_pairs=())
    result, visible = normalise(keypoints, torch.ones(1, 1, 3, 13), bare, 0.3)
    assert visible.all()
    assert result[0, 0, 0, 0].tolist() == pytest.approx([-0.1, -0.5])
    assert result[0, 0, 2, 12].tolist() == pytest.approx([0.1, 0.5])


def test_size_follows_the_torso_where_the_legs_are_out_of_sight():
    keypoints, confidence = torch.zeros(1, 1, 2, 17, 2), torch.zeros(1, 1, 2, 17)
    for joint, y in ((5, 0.0), (6, 0.0), (11, 80.0), (12, 80.0)):  # shoulders and hips 80 px apart
        keypoints[..., joint, 1], confidence[..., joint] = y, 1.0
    result, _ = normalise(keypoints, confidence, COCO17, 0.3)
    assert (result[0, 0, 0, 11] - result[0, 0, 0, 5])[1].item() == pytest.approx(80 / (2.5 * 80))


def test_one_shoulder_and_one_hip_are_enough_to_measure_by():
    keypoints, confidence = torch.zeros(1, 1, 2, 17, 2), torch.zeros(1, 1, 2, 17)
    for joint, y in ((5, 0.0), (11, 80.0)):
        keypoints[..., joint, 1], confidence[..., joint] = y, 1.0
    result, _ = normalise(keypoints, confidence, COCO17, 0.3)
    assert (result[0, 0, 0, 11] - result[0, 0, 0, 5])[1].item() == pytest.approx(1 / 2.5)


@pytest.mark.parametrize("wild", [1e5, -1e20])
@pytest.mark.parametrize("seen_otherwise", [True, False])
def test_a_wild_number_is_as_if_it_were_hidden(wild, seen_otherwise):
    keypoints, confidence = clip(PENN13)
    confidence[0, 0, :, 4] = seen_otherwise
    confidence[0, 0, 2, 4] = 0
    expected, expected_visible = normalise(keypoints, confidence, PENN13, 0.3)
    keypoints[0, 0, 2, 4, 0], confidence[0, 0, 2, 4] = wild, 1
    result, visible = normalise(keypoints, confidence, PENN13, 0.3)
    assert torch.equal(visible, expected_visible)
    assert torch.equal(result, expected)


def test_two_people_may_be_far_apart():
    keypoints, confidence = clip(PENN13, people=2)
    keypoints[:, 1] += 10_000  # a hundred body sizes
    result, visible = normalise(keypoints, confidence, PENN13, 0.3)
    assert visible.all()
    assert result.abs().amax() > 40


@pytest.mark.parametrize(("layout", "coordinates"), [(COCO17, 2), (PENN13, 2), (NTU25, 3)])
def test_place_and_size_of_the_whole_clip_do_not_matter(layout, coordinates):
    keypoints, confidence = clip(layout, coordinates, people=2)
    near, _ = normalise(keypoints, confidence, layout, 0.3)
    far, _ = normalise(keypoints * 0.25 + 300, confidence, layout, 0.3)
    assert torch.allclose(near, far, atol=1e-4)


@pytest.mark.parametrize("layout", [NTU25, KINECT20, generic_layout(11)], ids=lambda layout: layout.name)
@pytest.mark.parametrize("unit", [0.001, 1000.0])
def test_metres_and_millimetres_are_the_same_to_the_model(layout, unit):
    keypoints, confidence = clip(layout, coordinates=3, people=2)
    metres = keypoints / 50 + torch.tensor([0.5, -0.3, 3.0])  # two metres tall, three before the camera
    confidence[0, 0, 2, 4] = 0
    ours, seen = normalise(metres, confidence, layout, 0.3)
    theirs, also_seen = normalise(metres * unit, confidence, layout, 0.3)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.equal(seen, also_seen)
    assert 0.3 < ours[seen].abs().max() < 1.5  # about the clip's centre, in body sizes


def test_motion_through_the_picture_stays():
    keypoints, confidence = clip(PENN13, frames=5)
    keypoints[:] = keypoints[:, :, :1]
    keypoints[..., 0] += torch.arange(5.0)[None, None, :, None] * 10
    result, _ = normalise(keypoints, confidence, PENN13, 0.3)
    step = result[0, 0, 1:, 0, 0] - result[0, 0, :-1, 0, 0]
    assert (step > 0.05).all()
    assert torch.allclose(step, step[:1].expand(4), atol=1e-5)


@pytest.mark.parametrize(("confidence", "seen"), [(0.0, False), (0.29, False), (0.3, True), (1.0, True)])
def test_joints_below_the_threshold_are_hidden_and_zero(confidence, seen):
    keypoints, every = clip(PENN13)
    every[0, 0, 2, 4] = confidence
    result, visible = normalise(keypoints, every, PENN13, 0.3)
    assert bool(visible[0, 0, 2, 4]) is seen
    assert bool((result[0, 0, 2, 4] != 0).any()) is seen


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers_are_hidden(broken):
    keypoints, confidence = clip(PENN13)
    keypoints[0, 0, 1, 3] = broken
    result, visible = normalise(keypoints, confidence, PENN13, 0.3)
    assert not visible[0, 0, 1, 3]
    assert result.isfinite().all()


def test_a_clip_without_anybody_is_all_zero_and_hidden():
    keypoints, confidence = clip(COCO17, people=2)
    result, visible = normalise(keypoints, confidence * 0, COCO17, 0.0)
    assert not visible.any()
    assert (result == 0).all()


def test_a_few_wild_detections_move_neither_centre_nor_size():
    keypoints, confidence = clip(COCO17, frames=32)
    wild = keypoints.clone()
    wild[0, 0, 5] = 5000.0
    calm_result, _ = normalise(keypoints, confidence, COCO17, 0.3)
    wild_result, _ = normalise(wild, confidence, COCO17, 0.3)
    others = [t for t in range(32) if t != 5]
    assert (calm_result[0, 0, others] - wild_result[0, 0, others]).abs().max() < 0.05
