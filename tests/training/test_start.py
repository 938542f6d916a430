"""Weights of another model: what has the same name in both is copied, the rest stays as it was drawn."""

import numpy as np
import pytest
import torch

from harray.api.models import Model
from harray.api.starting import start_from
from harray.config import with_overrides
from harray.features.config import FeaturesConfig
from harray.model.axes import named_axes, stream_names
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import layout_named
from harray.training.checkpoint import Checkpoint, load_checkpoint
from harray.training.config import TrainingConfig
from harray.training.optimisation import new_optimizer
from harray.training.run import TrainingRequest, train_store
from harray.training.start import take_over
from harray.workspace import Workspace
from tests.toys import TINY_MODEL, tiny_experiment, tiny_store


def network(layout, classes, *, people=2, scene=None, seed=0, config=TINY_MODEL):
    torch.manual_seed(seed)
    return FusionNetwork(
        config,
        num_people=people,
        num_frames=8,
        num_joints=layout.num_joints,
        num_coordinates=2,
        scene_dim=scene,
        num_classes=len(classes),
        bones=layout.bones,
    )


def checkpoint(layout, classes, **options):
    return Checkpoint(
        network=network(layout, classes, seed=7, **options),
        features=FeaturesConfig(),
        classes=tuple(classes),
        skeleton=layout,
        scene_grid=None,
        store_digest="",
    )


def test_the_same_layout_and_classes_in_another_order_are_taken_over_whole():
    layout = layout_named("coco17")
    source, new = checkpoint(layout, ["run", "sit", "wave"]), network(layout, ["wave", "run", "jump"])
    taken = take_over(new, [layout], ["wave", "run", "jump"], source)
    ours, theirs = dict(new.named_parameters()), dict(source.network.named_parameters())
    assert torch.equal(ours["mme.members.0.enter.weight"], theirs["mme.members.0.enter.weight"])
    assert torch.equal(ours["classify_motion.0.weight"][:2], theirs["classify_motion.0.weight"][[2, 0]])
    drawn = dict(network(layout, ["wave", "run", "jump"]).named_parameters())
    assert torch.equal(ours["classify_motion.0.weight"][2], drawn["classify_motion.0.weight"][2])
    assert (taken.joints, taken.classes, taken.new) == ((17, 17), (2, 3), ())
    assert set(taken.partly) >= {"classify_motion.0.weight", "classify_motion.0.bias"}
    assert "2 of 3 classes by name" in str(taken)


def test_another_layout_is_mapped_by_the_names_of_its_joints():
    penn, coco = layout_named("penn13"), layout_named("coco17")
    shared = [joint for joint in coco.joints if joint in penn.joints]
    assert len(shared) == 12
    source, new = checkpoint(penn, ["run", "sit"], people=1), network(coco, ["run", "sit"], people=2, scene=6)
    taken = take_over(new, [coco], ["run", "sit"], source)
    ours, theirs = dict(new.named_parameters()), dict(source.network.named_parameters())
    for joint in shared:
        here, there = coco.joints.index(joint), penn.joints.index(joint)
        assert torch.equal(ours["pcm.refine.joint_KD"][here], theirs["pcm.refine.joint_KD"][there])
        for c in range(2):
            streams, known = (
                stream_names(net.mme, layout, 2) for net, layout in ((new, coco), (source.network, penn))
            )
            name = ("place", joint, c)
            assert torch.equal(
                ours["mme.members.0.enter.weight"][:, streams.index(name)],
                theirs["mme.members.0.enter.weight"][:, known.index(name)],
            )
    assert taken.joints == (12, 17)
    assert torch.equal(ours["people.0.place_PD"][0], theirs["people.0.place_PD"][0])
    assert any(name.startswith("cfn.") for name in taken.new)


@pytest.mark.parametrize("layout", ["coco17", "penn13", "ntu25"])
def test_every_named_axis_is_as_long_as_its_weight(layout):
    skeleton = layout_named(layout)
    new = network(skeleton, ["a", "b"], scene=6, config=ModelConfig())
    weights = dict(new.named_parameters())
    named = named_axes(new, [skeleton], ["a", "b"])
    assert "mme.members.0.enter.weight" in named and set(named) <= set(weights)
    for name, axes in named.items():
        for axis, names in axes.items():
            assert len(names) == weights[name].shape[axis] == len(set(names)), name


def test_names_of_streams_stand_where_the_streams_do():
    layout = layout_named("penn13")
    mme = network(layout, ["a", "b"], config=ModelConfig()).mme
    random = np.random.default_rng(0)
    keypoints = torch.tensor(random.normal(0, 1, (1, 8, 13, 2)), dtype=torch.float32)
    visible, surprise = torch.ones(1, 8, 13, dtype=torch.bool), torch.rand(1, 8, 13)
    streams = mme.streams(keypoints, visible, surprise, torch.zeros(1, 8, 2))[0]
    place = {name: number for number, name in enumerate(stream_names(mme, layout, 2))}
    a, b = layout.joints[3], layout.joints[7]
    assert torch.equal(streams[:, place["place", a, 1]], keypoints[0, :, 3, 1])
    assert torch.equal(streams[:, place["surprise", b]], surprise[0, :, 7])
    apart = (keypoints[0, :, 3] - keypoints[0, :, 7]).norm(dim=-1)
    torch.testing.assert_close(streams[:, place["distance", frozenset((a, b))]], apart)


def test_old_weights_learn_at_a_rate_of_their_own_and_are_those_taken_over_for_the_most_part():
    layout, config = layout_named("penn13"), TrainingConfig(init_rate_factor=0.25, pcm_rate_factor=2.0)
    source, new = checkpoint(layout, ["run", "sit"]), network(layout, ["run", "hop", "jump"])
    taken = take_over(new, [layout], ["run", "hop", "jump"], source)
    assert "mme.members.0.enter.weight" in taken.old
    assert "classify_motion.0.weight" not in taken.old  # one class of three
    rates = {
        id(weight): group["rate_factor"]
        for group in new_optimizer(new, config, taken.old).param_groups
        for weight in group["params"]
    }
    weights = dict(new.named_parameters())
    assert len(rates) == len(weights)
    for name, rate in (
        ("pcm.embed.weight", 0.5),
        ("mme.members.0.enter.weight", 0.25),
        ("classify_motion.0.weight", 1),
    ):
        assert rates[id(weights[name])] == rate


def test_a_factor_of_0_keeps_old_weights_as_they_are(tmp_path):
    store = tiny_store(tmp_path / "store", splits=("train",))
    experiment = tiny_experiment(**{"training.num_epochs": 2})
    first = TrainingRequest(store=store, out=tmp_path / "first", learning=experiment.learning)
    train_store(first)
    frozen = with_overrides(
        experiment,
        {"training.init": str(first.out), "training.init_rate_factor": 0.0, "training.seed": 1},
    )
    result = train_store(TrainingRequest(store=store, out=tmp_path / "second", learning=frozen.learning))
    old, new = load_checkpoint(first.out).network, load_checkpoint(tmp_path / "second").network
    pairs = zip(old.parameters(), new.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)
    assert f"from {first.out}: 100%" in result.decisions[-2]


@pytest.mark.parametrize("given", ["object", "folder", "text"])
def test_python_takes_a_model_to_start_from(tmp_path, given):
    model = Model("runs:/1", tmp_path, Workspace(tmp_path))
    init = {"object": model, "folder": tmp_path, "text": str(tmp_path)}[given]
    start = start_from(recipe="skeleton", overrides=["training.num_epochs=2"], init=init)
    assert (start.experiment.training.init, start.experiment.training.num_epochs) == (str(tmp_path), 2)
