"""Floors: what each sees, and that they learn from the training clips alone."""

import dataclasses

import numpy as np
import pytest
import torch

from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, clips_from_arrays, load_clips, normalised
from harray.metrics import classification_scores
from harray.model.cfn import pooled_tokens
from harray.skeleton import PENN13
from harray.training.floors import better_floor, floors, pose_features
from tests.toys import arm_store

FEATURES = FeaturesConfig()


@pytest.fixture
def clips(tmp_path) -> ClipTensors:
    """24 clips: an arm goes down or up before a scene that says nothing; the last has no label."""
    rows = [{"path": f"/{number:02}", "group": f"a{number // 2 % 4}"} for number in range(24)]
    rows[23]["label"] = None
    return load_clips(arm_store(tmp_path / "store", rows))


def halves(clips):
    return clips.select([*range(12), 23]), clips.select(range(12, 22))


def test_an_arm_is_read_from_the_pose_and_not_from_a_scene_of_noise(clips):
    train, held_out = halves(clips)
    found = floors(train, held_out, FEATURES)
    assert list(found) == ["majority", "linear_scene", "linear_pose", "linear_product"]
    right = {name: (said.argmax(axis=1) == held_out.labels_N.numpy()).mean() for name, said in found.items()}
    assert right["linear_pose"] == right["linear_product"] == 1
    assert right["majority"] == 0.5
    np.testing.assert_allclose(found["majority"], 0.5)
    product_MA = found["linear_scene"] * found["linear_pose"]
    np.testing.assert_allclose(found["linear_product"], product_MA / product_MA.sum(axis=1, keepdims=True))


def test_a_scene_that_says_all_is_read_and_without_tokens_nothing_is_said_of_it(clips):
    tokens_NSD = clips.tokens_NSD.clone()
    tokens_NSD[:, 2, 3] += 20 * clips.labels_N.clamp(min=0)
    train, held_out = halves(dataclasses.replace(clips, tokens_NSD=tokens_NSD))
    said = floors(train, held_out, FEATURES)["linear_scene"]
    assert (said.argmax(axis=1) == held_out.labels_N.numpy()).all()
    blind = floors(*halves(dataclasses.replace(clips, tokens_NSD=None, scene_grid=None)), FEATURES)
    assert list(blind) == ["majority", "linear_pose"]


def test_labels_of_the_scored_clips_change_nothing(clips):
    train, held_out = halves(clips)
    turned = dataclasses.replace(held_out, labels_N=1 - held_out.labels_N)
    for name, said in floors(train, held_out, FEATURES).items():
        assert np.array_equal(said, floors(train, turned, FEATURES)[name])


def test_one_label_makes_no_floor(clips):
    assert floors(clips.select([0, 2, 4]), clips, FEATURES) == {}


def test_pooled_tokens_are_roots_of_each_channels_greatest():
    tokens_NSD = torch.tensor([[[4.0, 0.0], [1.0, -9.0]], [[0.0, -4.0], [9.0, -16.0]]], dtype=torch.float16)
    assert pooled_tokens(tokens_NSD).tolist() == [[2.0, 0.0], [3.0, -2.0]]


def test_pose_features_are_alike_with_hidden_joints_that_move_evenly_and_people_in_another_order():
    """A joint that moves evenly is interpolated to where it was; the best seen person comes first."""
    rng = np.random.default_rng(0)
    way = np.linspace(0, 1, 8)[None, :, None, None]
    keypoints = rng.normal(0, 50, (2, 1, 13, 2)) + rng.normal(0, 20, (2, 1, 13, 2)) * way
    clip = np.concatenate([keypoints, np.ones((2, 8, 13, 1))], axis=-1)
    clip[1, ::3, :, 2] = 0.0
    hidden = clip.copy()
    hidden[0, 3:5, 4] = 0.0
    both = clips_from_arrays(np.stack([clip, hidden[::-1]]), skeleton=PENN13)
    features_ND = pose_features(normalised(both, FEATURES))
    assert features_ND.shape == (2, 2 * 16 * 13 * 2)
    np.testing.assert_allclose(features_ND[0], features_ND[1], atol=0.02)


def test_only_a_floor_that_does_better_is_told():
    scores = classification_scores(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))  # top-1 0.5
    better = dataclasses.replace(scores, top1=0.75)
    assert better_floor({"majority": scores, "linear_pose": better}, 0.7) == "linear_pose"
    assert better_floor({"majority": scores, "linear_pose": better}, 0.75) is None
    assert better_floor({}, 0.0) is None
