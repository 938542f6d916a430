"""Augmentation: each change by hand, and that a row's variant depends on the row alone."""

import dataclasses
import math

import pytest
import torch

from harray.features.augment import augment, linear_maps, mirror, mirror_tokens, resample, swap_people
from harray.features.config import AugmentationConfig
from harray.features.hiding import hide_joints, hide_limbs, hide_whole_joints
from harray.features.rowrandom import RowRandom
from harray.skeleton import COCO17, NTU25, PENN13

STILL = AugmentationConfig(
    mirror_probability=0.0,
    rotation_deg=0.0,
    turn_deg=0.0,
    scale=0.0,
    shear=0.0,
    time_crop=0.0,
    speed=0.0,
    noise=0.0,
    misplace_probability=0.0,
    hide_probability=0.0,
    hide_joint_probability=0.0,
    hide_limb_probability=0.0,
    hide_span_probability=0.0,
    hide_person_probability=0.0,
)


def batch(rows=4, people=2, frames=8, layout=COCO17, coordinates=2):
    generator = torch.Generator().manual_seed(1)
    keypoints = torch.randn(rows, people, frames, layout.num_joints, coordinates, generator=generator)
    visible = torch.rand(keypoints.shape[:-1], generator=generator) < 0.8
    return keypoints * visible[..., None], visible


def random(rows=4):
    return RowRandom(0, 1, torch.arange(rows))


def varied(config, keypoints, visible, tokens=None, stream=None, layout=COCO17):
    return augment(
        keypoints,
        visible,
        tokens,
        config=config,
        layout=layout,
        scene_grid=None if tokens is None else (1, 2),
        random=stream or random(len(keypoints)),
    )


def test_with_every_strength_at_zero_nothing_changes():
    keypoints, visible = batch()
    result = varied(STILL, keypoints, visible)
    assert torch.allclose(result.keypoints_BPTKC, keypoints, atol=1e-6)
    assert torch.allclose(result.target_BPTKC, keypoints, atol=1e-6)
    assert torch.equal(result.visible_BPTK, visible)
    assert torch.equal(result.known_BPTK, visible)


def test_mirroring_turns_x_around_and_exchanges_left_and_right():
    keypoints, visible = batch(rows=2)
    result, seen = mirror(keypoints, visible, torch.tensor([True, False]), COCO17.flip_order)
    left, right = COCO17.joints.index("left_wrist"), COCO17.joints.index("right_wrist")
    assert torch.equal(result[0, :, :, left, 0], -keypoints[0, :, :, right, 0])
    assert torch.equal(result[0, :, :, left, 1], keypoints[0, :, :, right, 1])
    assert torch.equal(seen[0, :, :, left], visible[0, :, :, right])
    assert torch.equal(result[1], keypoints[1])


def test_mirroring_the_scene_exchanges_its_columns():
    tokens = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]] * 2)  # one frame, 1 2 over 3 4
    result = mirror_tokens(tokens, torch.tensor([True, False]), (1, 2))
    assert result.squeeze(-1).tolist() == [[2, 1, 4, 3], [1, 2, 3, 4]]


@pytest.mark.parametrize(("layout", "coordinates"), [(COCO17, 2), (NTU25, 3)])
def test_turning_keeps_distances(layout, coordinates):
    config = dataclasses.replace(STILL, rotation_deg=90.0, turn_deg=90.0)
    keypoints, visible = batch(layout=layout, coordinates=coordinates)
    result = varied(config, keypoints, visible, layout=layout)
    assert not torch.allclose(result.target_BPTKC, keypoints, atol=0.1)
    assert torch.allclose(result.target_BPTKC.norm(dim=-1), keypoints.norm(dim=-1), atol=1e-5)


def test_in_3d_a_turn_is_a_rotation_and_goes_about_all_three_axes():
    config = dataclasses.replace(STILL, rotation_deg=30.0, turn_deg=20.0)
    maps = linear_maps(config, 3, random(500))
    assert torch.allclose(maps @ maps.transpose(1, 2), torch.eye(3).expand(500, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(maps), torch.ones(500), atol=1e-5)  # none turned inside out
    # A small rotation's antisymmetric part is its axis times its angle: every axis takes part, each on its own.
    axes = torch.stack([maps[:, 2, 1], maps[:, 0, 2], maps[:, 1, 0]], dim=1) - torch.stack(
        [maps[:, 1, 2], maps[:, 2, 0], maps[:, 0, 1]], dim=1
    )
    assert (axes.std(dim=0) > 0.2).all()
    assert torch.corrcoef(axes.T).fill_diagonal_(0).abs().max() < 0.3


@pytest.mark.parametrize("only", ["rotation_deg", "turn_deg"])
def test_each_strength_turns_about_its_own_axes(only):
    maps = linear_maps(dataclasses.replace(STILL, **{only: 30.0}), 3, random(100))
    depth_stays = torch.allclose(maps[:, :, 2], torch.tensor([0.0, 0, 1]).expand(100, 3), atol=1e-6)
    assert depth_stays == (only == "rotation_deg")


def test_mirroring_in_3d_turns_x_around_and_neither_height_nor_depth():
    keypoints, visible = batch(rows=1, layout=NTU25, coordinates=3)
    result, _ = mirror(keypoints, visible, torch.tensor([True]), NTU25.flip_order)
    left, right = NTU25.joints.index("left_hand_tip"), NTU25.joints.index("right_hand_tip")
    assert torch.equal(result[:, :, :, left], keypoints[:, :, :, right] * torch.tensor([-1.0, 1, 1]))
    middle = NTU25.joints.index("spine_mid")
    assert torch.equal(result[:, :, :, middle], keypoints[:, :, :, middle] * torch.tensor([-1.0, 1, 1]))


def test_a_flat_clip_turns_by_no_more_than_the_greatest_angle():
    maps = linear_maps(dataclasses.replace(STILL, rotation_deg=30.0), 2, random(500))
    angles = torch.atan2(maps[:, 0, 1], maps[:, 0, 0]) * 180 / math.pi
    assert angles.abs().max() <= 30
    assert angles.max() > 25
    assert angles.min() < -25


@pytest.mark.parametrize(
    ("position", "flags", "expected", "seen"),
    [
        (0.25, "xx", 2.5, True),  # between two seen frames: interpolated
        (0.25, "x.", 0.0, True),  # the nearer one is seen and rules
        (0.75, "x.", 0.0, False),  # the nearer one is hidden
        (1.0, ".x", 10.0, True),
    ],
)
def test_resampling_reads_between_frames(position, flags, expected, seen):
    visible = torch.tensor([c == "x" for c in flags]).reshape(1, 1, 2, 1)
    keypoints = torch.tensor([0.0, 10.0]).reshape(1, 1, 2, 1, 1) * visible[..., None]
    result, now_visible = resample(keypoints, visible, torch.tensor([[position, position]]))
    assert result[0, 0, 0, 0, 0].item() == pytest.approx(expected)
    assert bool(now_visible[0, 0, 0, 0]) is seen


def test_people_change_places_together_with_their_flags():
    keypoints, visible = batch(rows=64)
    result, seen = swap_people(keypoints, visible, torch.ones(64, dtype=torch.bool), random(64))
    exchanged = (result[:, 0] == keypoints[:, 1]).flatten(1).all(dim=1)
    assert 10 < exchanged.sum() < 54
    assert torch.equal(seen[exchanged, 0], visible[exchanged, 1])


def test_hidden_joints_are_zero_in_the_input_and_true_in_the_target():
    keypoints, visible = batch(rows=16)
    result = varied(AugmentationConfig(misplace_probability=0.0), keypoints, visible)
    assert (result.keypoints_BPTKC[~result.visible_BPTK] == 0).all()
    assert (result.target_BPTKC[~result.known_BPTK] == 0).all()
    assert (result.visible_BPTK <= result.known_BPTK).all()  # nothing appears that was not observed
    assert (result.known_BPTK & ~result.visible_BPTK).float().mean() > 0.1


def test_whoever_is_there_first_is_never_hidden_with_the_others():
    config = dataclasses.replace(STILL, hide_person_probability=1.0)
    keypoints, visible = batch(people=3)
    visible[:] = True
    visible[:2, 0] = False
    present = varied(config, keypoints, visible).visible_BPTK.any(dim=(2, 3))
    assert present.tolist() == 2 * [[False, True, False]] + 2 * [[True, False, False]]


def test_noise_of_as_much_as_each_clip_draws_falls_on_the_input_and_not_on_the_target():
    keypoints, visible = batch(rows=64)
    visible[:] = True
    result = varied(dataclasses.replace(STILL, noise=0.1), keypoints, visible)
    std_B = (result.keypoints_BPTKC - result.target_BPTKC).flatten(1).std(dim=1)
    assert std_B.mean().item() == pytest.approx(0.05, rel=0.2)
    assert std_B.min() < 0.02
    assert 0.08 < std_B.max() < 0.12


def test_a_row_is_varied_alike_in_any_batch():
    keypoints, visible = batch(rows=4)
    tokens = torch.randn(4, 4, 3)
    whole = varied(AugmentationConfig(), keypoints, visible, tokens)
    part = varied(
        AugmentationConfig(), keypoints[2:3], visible[2:3], tokens[2:3], RowRandom(0, 1, torch.tensor([2]))
    )
    for together, alone in zip(whole.split([2, 1, 1])[1], part, strict=True):
        assert together is alone is None or torch.equal(together, alone)


def test_arguments_stay_as_they_are():
    keypoints, visible = batch()
    before = keypoints.clone(), visible.clone()
    varied(AugmentationConfig(), keypoints, visible)
    assert torch.equal(keypoints, before[0])
    assert torch.equal(visible, before[1])


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
def test_the_asked_for_share_of_joints_is_hidden(share):
    visible = torch.ones(50, 2, 32, 13, dtype=torch.bool)
    hidden = ~hide_joints(visible, share, random(50))
    assert hidden.float().mean().item() == pytest.approx(share, abs=0.02)


def test_limbs_are_hidden_as_a_whole():
    config = dataclasses.replace(STILL, hide_limb_probability=0.5, hide_span_share=0.5)
    seen = hide_limbs(torch.ones(40, 1, 16, 13, dtype=torch.bool), config, PENN13, random(40))
    for limb in PENN13.limbs:
        flags = seen[..., list(limb)]
        assert torch.equal(flags.all(dim=-1), flags.any(dim=-1))
    trunk = [j for j in range(13) if j not in {j for limb in PENN13.limbs for j in limb}]
    assert seen[..., trunk].all()
    assert not seen.all()


def test_hiding_more_hides_what_was_hidden_before():
    everything = torch.ones(5, 1, 8, 13, dtype=torch.bool)
    less, more = hide_joints(everything, 0.2, random(5)), hide_joints(everything, 0.6, random(5))
    assert not (~less & more).any()
    assert (~more).float().mean().item() == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize(("share", "num_hidden"), [(0.0, 0), (0.5, 6), (0.78, 10), (1.0, 13)])
def test_joints_are_hidden_throughout_in_whole_numbers(share, num_hidden):
    seen = hide_whole_joints(torch.ones(20, 2, 8, 13, dtype=torch.bool), share, random(20))
    assert torch.equal(seen.any(dim=2), seen.all(dim=2))
    assert ((~seen).all(dim=2).sum(dim=-1) == num_hidden).all()


def test_misplaced_joints_are_seen_and_rows_with_them_are_not_asked_for_completion():
    keypoints, visible = batch(rows=400)
    result = varied(dataclasses.replace(STILL, misplace_probability=0.5, misplaced=5.0), keypoints, visible)
    assert torch.equal(result.visible_BPTK, visible)
    off = (result.keypoints_BPTKC - keypoints).norm(dim=-1) > 1e-4
    asked_B = result.known_BPTK.flatten(1).any(dim=1)
    assert asked_B.float().mean() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(result.known_BPTK[asked_B], visible[asked_B])
    assert not (off & visible)[asked_B].any()
    share = off[~asked_B][visible[~asked_B]].float().mean()
    assert share == pytest.approx(0.25, abs=0.04)  # shares are even between 0 and 0.5
