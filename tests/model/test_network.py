"""The fusion network: shapes for every layout, what each switch changes, and what must not matter."""

import copy
import dataclasses
import itertools

import pytest
import torch

from harray.config import with_overrides
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from tests.toys import TINY_MODEL

SMALL = with_overrides(TINY_MODEL, {"cfn.num_heads": 2})


def network(config=SMALL, people=2, frames=8, joints=13, coordinates=2, scene_dim=6, classes=4):
    torch.manual_seed(0)
    return FusionNetwork(
        config,
        num_people=people,
        num_frames=frames,
        num_joints=joints,
        num_coordinates=coordinates,
        scene_dim=scene_dim,
        num_classes=classes,
        bones=(),
    ).eval()


def batch(rows=3, people=2, frames=8, joints=13, coordinates=2, scene_dim=6):
    torch.manual_seed(1)
    keypoints = torch.randn(rows, people, frames, joints, coordinates)
    visible = torch.rand(rows, people, frames, joints) < 0.7
    return keypoints * visible[..., None], visible, torch.randn(rows, 5, scene_dim).half()


@pytest.mark.parametrize(("joints", "coordinates"), [(17, 2), (13, 2), (25, 3), (7, 3)])
@pytest.mark.parametrize("people", [1, 2, 4])
def test_any_skeleton_and_number_of_people(joints, coordinates, people):
    net = network(people=people, joints=joints, coordinates=coordinates)
    keypoints, visible, tokens = batch(people=people, joints=joints, coordinates=coordinates)
    output = net(keypoints, visible, tokens)
    assert output.logits_BA.shape == (3, 4)
    assert output.completed_BPTKC.shape == keypoints.shape
    assert output.surprise_BPTK.shape == visible.shape
    assert output.attention_time_BT.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert output.attention_scene_BS.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert ((output.gate_B >= 0) & (output.gate_B <= 1)).all()


SWITCHES = {
    "pcm.enabled": [True, False],
    "pcm.prior": [True, False],
    "mme.differences": [True, False],
    "mme.summary": [True, False],
    "mme.num_members": [1, 3],
    "mme.head": ["conv", "transformer"],
    "mme.people_attention": [True, False],
    "mme.people_distances": [True, False],
    "cfn.gate": [True, False],
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_works_alone(name):
    for value, fill in itertools.product(SWITCHES[name], ["zero", "hold", "linear"]):
        net = network(with_overrides(SMALL, {name: value, "pcm.fill": fill})).train()
        keypoints, visible, tokens = batch()
        output = net(keypoints, visible, tokens)
        output.logits_BA.sum().backward()
        assert output.logits_BA.isfinite().all()
        assert torch.equal(output.completed_BPTKC[visible], keypoints[visible])


@pytest.mark.parametrize(
    "without", [{"scene_dim": None}, {"config": with_overrides(SMALL, {"cfn.enabled": False})}]
)
def test_without_scene_branch_tokens_change_nothing(without):
    keypoints, visible, tokens = batch()
    net = network(**without)
    output = net(keypoints, visible, tokens)
    assert output.attention_scene_BS is None
    assert torch.equal(output.logits_BA, net(keypoints, visible, None).logits_BA)
    with pytest.raises(ValueError, match="no scene to decide by"):
        net(keypoints, visible, tokens, use_pose=False)


def test_the_scene_alone_does_not_look_at_the_pose_nor_the_pose_at_the_scene():
    keypoints, visible, tokens = batch()
    net = network()
    torch.nn.init.normal_(net.cfn.probe.weight_DA)
    alone = net(keypoints, visible, tokens, use_pose=False)
    assert alone.completed_BPTKC is None
    assert torch.equal(alone.logits_BA, net(keypoints * 0, visible & False, tokens, use_pose=False).logits_BA)
    pose = net(keypoints, visible, tokens, use_scene=False)
    assert torch.equal(pose.logits_BA, net(keypoints, visible, tokens * 0, use_scene=False).logits_BA)
    assert not torch.equal(pose.logits_BA, net(keypoints, visible, tokens).logits_BA)


def test_a_shut_gate_leaves_the_decision_to_the_pose():
    keypoints, visible, tokens = batch()
    net = network()
    torch.nn.init.normal_(net.cfn.probe.weight_DA)
    torch.nn.init.constant_(net.cfn.gate.bias, -1e4)
    output = net(keypoints, visible, tokens)
    assert output.gate_B.tolist() == [0, 0, 0]
    assert torch.equal(output.logits_BA, net(keypoints, visible, tokens, use_scene=False).logits_BA)


def test_the_answer_is_the_mean_of_what_the_members_say_by_themselves():
    keypoints, visible, tokens = batch()
    net = network(with_overrides(SMALL, {"mme.num_members": 2}))
    both = net(keypoints, visible, tokens, use_scene=False).logits_BA
    alone = []
    for kept in range(2):
        one = copy.deepcopy(net)
        for branch, part in ((one.mme, "members"), (one, "people"), (one, "classify_motion")):
            setattr(branch, part, torch.nn.ModuleList([getattr(branch, part)[kept]]))
        alone.append(one(keypoints, visible, tokens, use_scene=False).logits_BA)
    assert not torch.allclose(*alone)
    assert torch.allclose(torch.stack(alone).mean(dim=0), both, atol=1e-6)


def test_absent_people_change_nothing():
    keypoints, visible, tokens = batch(people=2)
    keypoints[:, 1], visible[:, 1] = 0.0, False
    net = network(people=2)
    alone = net(keypoints[:, :1], visible[:, :1], tokens)
    assert torch.allclose(net(keypoints, visible, tokens).logits_BA, alone.logits_BA, atol=1e-5)


def test_who_is_alone_is_seen_alike_in_any_place():
    keypoints, visible, tokens = batch(people=2)
    keypoints[:, 1], visible[:, 1] = 0.0, False
    net = network(people=2)
    net.people[0].place_PD.data.zero_()
    first, second = net(keypoints, visible, tokens), net(keypoints.flip(1), visible.flip(1), tokens)
    assert torch.allclose(first.logits_BA, second.logits_BA, atol=1e-5)
    assert torch.allclose(first.attention_time_BT, second.attention_time_BT, atol=1e-5)


def test_what_stands_in_hidden_joints_is_never_read():
    keypoints, visible, tokens = batch()
    net = network()
    poisoned = torch.where(visible[..., None], keypoints, 99.0)
    assert torch.allclose(net(poisoned, visible, tokens).logits_BA, net(keypoints, visible, tokens).logits_BA)


def test_clips_without_anybody_and_rows_beside_them_are_recognised():
    keypoints, visible, tokens = batch()
    net = network()
    before = net(keypoints, visible, tokens).logits_BA
    keypoints[1], visible[1] = 0.0, False
    after = net(keypoints, visible, tokens).logits_BA
    assert after.isfinite().all()
    assert torch.allclose(after[[0, 2]], before[[0, 2]], atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5, 40])
def test_any_number_of_frames(frames):
    keypoints, visible, tokens = batch(frames=frames)
    assert network(frames=frames)(keypoints, visible, tokens).logits_BA.isfinite().all()


def test_the_default_model_has_at_most_a_million_parameters():
    net = network(ModelConfig(), joints=17, scene_dim=2048, classes=12)
    assert sum(parameter.numel() for parameter in net.parameters()) <= 1_000_000


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().dropout = 0.5
