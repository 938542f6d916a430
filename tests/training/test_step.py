"""One step's losses."""

import dataclasses

import pytest
import torch

from harray.config import with_overrides
from harray.features.augment import Augmented
from harray.features.config import AugmentationConfig
from harray.features.rowrandom import RowRandom
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import PENN13
from harray.training.config import TrainingConfig
from harray.training.step import TrainingStep, class_weights
from tests.toys import TINY_SIZES


def step(overrides=None, people=2, scene_dim: int | None = 6, config=TrainingConfig()) -> TrainingStep:
    torch.manual_seed(0)
    network = FusionNetwork(
        with_overrides(ModelConfig(), TINY_SIZES | (overrides or {})),
        num_people=people,
        num_frames=8,
        num_joints=13,
        num_coordinates=2,
        scene_dim=scene_dim,
        num_classes=3,
        bones=PENN13.bones,
    )
    return TrainingStep(network, config, AugmentationConfig())


def losses_of(module: TrainingStep, people=2, tokens=True) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    keypoints, visible = torch.randn(4, people, 8, 13, 2), torch.rand(4, people, 8, 13) < 0.7
    scene = torch.randn(4, 5, 6).half() if tokens else None
    batch = Augmented(keypoints * visible[..., None], visible, keypoints, visible | True, scene)
    return module(batch, torch.tensor([0, 1, 2, -1]), RowRandom(0, 1, torch.arange(4)))


CONFIGS = [
    {},
    {"pcm.enabled": False},
    {"pcm.surprise": False},
    {"mme.head": "transformer"},
    {"mme.differences": False, "mme.distances": False, "mme.bones": False},
    {"mme.people_attention": False},
    {"mme.people_distances": True},
    {"cfn.gate": False},
    {"cfn.enabled": False},
]


def test_recognition_does_not_move_pcm():
    module = step(config=TrainingConfig(completion_weight=0.0, prediction_weight=0.0))
    losses_of(module)["total"].sum().backward()
    assert module.network.pcm is not None
    assert all(not p.grad.any() for p in module.network.pcm.parameters() if p.grad is not None)
    assert any(p.grad.any() for p in module.network.mme.parameters() if p.grad is not None)


@pytest.mark.parametrize("overrides", CONFIGS)
@pytest.mark.parametrize("people", [1, 2])
def test_every_parameter_takes_part_in_every_step(overrides, people):
    # DistributedDataParallel waits for a gradient of each, and fails in the second step where one is missing.
    module = step(overrides, people)
    losses_of(module, people)["total"].sum().backward()
    assert [name for name, value in module.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("overrides", CONFIGS)
def test_the_total_is_the_weighted_sum_of_the_parts(overrides):
    weights = {
        "fusion": 3.0,
        "pose": 0.7,
        "scene": 0.2,
        "scene_attention": 2.0,
        "completion": 5.0,
        "prediction": 4.0,
    }
    config = TrainingConfig(**{f"{name}_weight": weight for name, weight in weights.items()})
    parts = losses_of(step(overrides, config=config))
    if "fusion" not in parts:
        weights["pose"] = 3.7  # without a scene the pose decides alone
    expected = sum(weights[name] * loss for name, loss in parts.items() if name != "total")
    assert torch.allclose(parts["total"], expected, atol=1e-5)
    assert all(loss.shape == (4,) for loss in parts.values())
    assert parts["pose"][3] == 0  # its label is unknown


def test_the_motions_look_is_drawn_to_the_scenes_and_not_the_reverse():
    module = step()
    losses_of(module)["scene_attention"].sum().backward()
    cfn = module.network.cfn
    assert cfn is not None
    assert cfn.no_motion_D.grad is None
    assert any(p.grad is not None and p.grad.any() for p in module.network.mme.parameters())


def test_nobody_is_asked_for_who_was_not_looked_at():
    module = step()
    torch.manual_seed(1)
    keypoints, visible = torch.randn(4, 2, 8, 13, 2), torch.rand(4, 2, 8, 13) < 0.7
    visible[:, 1] = False  # hidden on purpose, so the target is known
    both = Augmented(keypoints * visible[..., None], visible, keypoints, visible | True, None)
    first = Augmented(*(x[:, :1] for x in both[:4]), None)
    labels, random = torch.tensor([0, 1, 2, -1]), RowRandom(0, 1, torch.arange(4))
    together, alone = (module(batch, labels, random)["completion"] for batch in (both, first))
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_clip_costs_the_same_in_any_company():
    module = step()
    together = losses_of(module)["total"]
    torch.manual_seed(1)
    keypoints, visible = torch.randn(4, 2, 8, 13, 2), torch.rand(4, 2, 8, 13) < 0.7
    tokens = torch.randn(4, 5, 6).half()
    batch = Augmented(keypoints * visible[..., None], visible, keypoints, visible | True, tokens)
    alone = module(
        Augmented(*(x[2:3] for x in batch[:5])), torch.tensor([2]), RowRandom(0, 1, torch.tensor([2]))
    )
    assert torch.allclose(alone["total"], together[2:3], atol=1e-5)


def test_augmentation_that_is_off_leaves_the_scene_alone():
    module = step({"cfn.dropout": 0.0, "mme.dropout": 0.0, "dropout": 0.0})
    module.augmentation = dataclasses.replace(module.augmentation, enabled=False)
    still = losses_of(module)["scene"]
    assert torch.equal(losses_of(module.eval())["scene"], still)


@pytest.mark.parametrize("overrides", CONFIGS)
def test_mixed_precision_computes_nearly_the_same(overrides):
    module = step(overrides)
    expected = losses_of(module)["total"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = losses_of(module)["total"]
    found.sum().backward()
    assert torch.allclose(found.float(), expected, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize(
    ("counts", "balance", "weights"),
    [
        ([30.0, 10.0], 1.0, [2 / 3, 2.0]),
        ([30.0, 10.0], 0.0, [1.0, 1.0]),
        ([36.0, 4.0, 0.0], 0.5, [5 / 6, 2.5, 0.0]),
    ],
)
def test_weights_of_classes_are_one_in_the_mean_over_clips(counts, balance, weights):
    torch.testing.assert_close(class_weights(torch.tensor(counts), balance), torch.tensor(weights))


def test_a_rare_class_weighs_more_in_recognition_and_not_in_completion():
    plain, balanced = step(), step()
    balanced.class_weight_A = torch.tensor([0.5, 1.0, 2.0])
    once, weighed = losses_of(plain), losses_of(balanced)
    for name in ("pose", "fusion", "scene"):
        expected = once[name] * torch.tensor([0.5, 1.0, 2.0, 1.0])
        torch.testing.assert_close(weighed[name], expected)
    torch.testing.assert_close(weighed["completion"], once["completion"])
