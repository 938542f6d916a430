"""Filling in time by hand-worked cases, and the table on clips whose truth is easy."""

import math

import pytest
import torch

from harray.evaluation.reconstruction import filled_in_time, reconstruction
from harray.features.config import FeaturesConfig
from harray.features.tensors import clips_from_arrays
from harray.inference.predictor import Predictor
from harray.model.config import ModelConfig, PCMConfig
from harray.model.network import FusionNetwork
from harray.skeleton import PENN13
from harray.training.checkpoint import Checkpoint


def one_joint(values, seen):
    keypoints = torch.tensor(values).reshape(1, 1, -1, 1, 1)
    return keypoints, torch.tensor(seen).bool().reshape(1, 1, -1, 1)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("hold", [1, 1, 1, 1, 7, 7]),
        ("linear", [1, 1, 3, 5, 7, 7]),
        ("spline", [1, 1, 3, 5, 7, 7]),  # two sightings are a line
    ],
)
def test_a_hidden_joint_is_filled_from_its_sightings_and_held_outside(how, expected):
    keypoints, visible = one_joint([99.0, 1, 99, 99, 7, 99], [0, 1, 0, 0, 1, 0])
    assert filled_in_time(keypoints, visible, how).flatten().tolist() == pytest.approx(expected)


def test_a_spline_follows_a_curve():
    keypoints, visible = one_joint([0.0, 1, 4, 9, 99, 25, 36], [1, 1, 1, 1, 0, 1, 1])
    filled = filled_in_time(keypoints, visible, "spline").flatten()
    assert 15 < filled[4] < 17  # the truth is 16, the line says 17


@pytest.mark.parametrize("how", ["hold", "linear", "spline"])
def test_a_joint_that_is_never_seen_stands_among_the_visible_ones(how):
    keypoints = torch.tensor([[1.0, 3, 99], [5, 7, 99], [99, 99, 99]]).reshape(1, 1, 3, 3, 1)
    visible = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0]]).bool().reshape(1, 1, 3, 3)
    assert filled_in_time(keypoints, visible, how)[..., 2, 0].flatten().tolist() == pytest.approx([2, 6, 6])


def predictor_of(num_people=1, **model) -> Predictor:
    """An untrained model of 16 frames of Penn Action's joints."""
    torch.manual_seed(0)
    network = FusionNetwork(
        ModelConfig(pcm=PCMConfig(hidden_size=8, refine_size=8), **model),
        num_people=num_people,
        num_frames=16,
        num_joints=13,
        num_coordinates=2,
        scene_dim=None,
        num_classes=2,
        bones=PENN13.bones,
    )
    checkpoint = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=("a", "b"),
        skeleton=PENN13,
        scene_grid=None,
        store_digest="",
    )
    return Predictor(checkpoint, device="cpu")


@pytest.mark.slow
def test_of_people_who_are_not_looked_at_nothing_is_expected():
    still = torch.rand(6, 2, 1, 13, 2, generator=torch.Generator().manual_seed(0)) * 100
    clips = clips_from_arrays(
        torch.cat([still, torch.ones(6, 2, 1, 13, 1)], dim=-1).expand(-1, -1, 16, -1, -1).numpy(),
        skeleton=PENN13,
    )
    both, one = (reconstruction(predictor_of(2, max_people=many), clips)["joints"] for many in (None, 1))
    assert one.num_joints == pytest.approx(both.num_joints / 2, rel=0.1)
    assert one.error["pcm"] == pytest.approx(both.error["pcm"], abs=1e-3) == pytest.approx(0.0, abs=1e-3)


def test_who_is_hidden_so_far_as_to_count_as_a_false_track_spoils_no_figure():
    still = (
        torch.rand(6, 2, 1, 13, 2, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 16, -1, -1)
        * 100
    )
    confidence = torch.ones(6, 2, 16, 13, 1)
    confidence[:, 1, :9] = 0  # 7 of 16 frames are seen; less the hidden ones that is under two fifths
    clips = clips_from_arrays(torch.cat([still, confidence], dim=-1).numpy(), skeleton=PENN13)
    table = reconstruction(predictor_of(2), clips)
    errors = [error for kind in table.values() for error in (*kind.error.values(), *kind.error_seen.values())]
    assert all(math.isfinite(error) for error in errors)
    assert table["whole_joints"].error_seen == {}


def test_bodies_that_glide_are_completed_without_error_in_their_middle():
    generator = torch.Generator().manual_seed(0)
    body = torch.rand(8, 1, 1, 13, 2, generator=generator) * 100
    keypoints = body + 3 * torch.arange(16.0)[:, None, None]
    clips = clips_from_arrays(
        torch.cat([keypoints, torch.ones(8, 1, 16, 13, 1)], dim=-1).numpy(), skeleton=PENN13
    )
    table = reconstruction(predictor_of(), clips)
    assert set(table) == {
        "joints",
        "most_joints",
        "whole_joints",
        "limbs",
        "spans",
    }  # nothing is "real"ly hidden
    joints = table["joints"]
    assert joints.num_joints == pytest.approx(8 * 16 * 13 / 2, rel=0.1)
    assert joints.error["pcm"] == pytest.approx(
        joints.error["linear"], abs=2e-3
    )  # untrained, it interpolates
    assert joints.error["linear"] < 0.4 * joints.error["hold"]  # but for the ends, no error
    size = 1.05 * float((keypoints.amax(3) - keypoints.amin(3)).amax(-1).mean())
    assert joints.error["hold"] > 0.5 * 3 * 2**0.5 / size  # half of the sightings are a frame away or more
