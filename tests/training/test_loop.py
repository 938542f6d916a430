"""The training loop on a toy: it learns, repeats itself, resumes, and splits over workers."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from harray.config import with_overrides
from harray.features.tensors import NormalisedClips
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import PENN13
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.evaluate import predict_probabilities
from harray.training.loop import Share, Trainer
from harray.training.optimisation import rate_at
from harray.training.state import load_state, save_state
from harray.training.step import TrainingStep
from harray.training.workers import WorkerGroup

MODEL = with_overrides(
    ModelConfig(),
    {"pcm.hidden_size": 12, "pcm.refine_size": 12, "mme.width": 24, "mme.num_blocks": 1, "cfn.width": 8},
)
TRAINING = TrainingConfig(num_epochs=3, batch_size=12, learning_rate=5e-3, average_decay=0.8)


def toy(num_clips=38, first=0) -> NormalisedClips:
    """Four classes: an arm that swings fast or slowly, before one of two scenes."""
    rng = np.random.default_rng(first)
    labels = np.arange(num_clips) % 4
    rate = np.where(labels % 2, 0.9, 0.3)[:, None]
    angle = rate * np.arange(16) + rng.random((num_clips, 1)) * 6
    keypoints = rng.normal(0, 0.02, (num_clips, 2, 16, 13, 2))
    keypoints[:, 0, :, :, 1] += np.linspace(-0.5, 0.5, 13)
    keypoints[:, 0, :, 5, 0] += 0.3 * np.sin(angle)
    visible = np.ones((num_clips, 2, 16, 13), bool)
    visible[::2, 1] = False
    tokens = rng.normal(0, 1, (num_clips, 4, 10))
    tokens[:, :, 0] += np.where(labels // 2, 2, -2)[:, None]
    return NormalisedClips(
        keypoints_NPTKC=torch.tensor(keypoints * visible[..., None], dtype=torch.float32),
        visible_NPTK=torch.tensor(visible),
        tokens_NSD=torch.tensor(tokens, dtype=torch.float16),
        scene_grid=(1, 2),
        labels_N=torch.tensor(labels),
        rows_N=torch.arange(num_clips),
    )


def trainer(config=TRAINING, val=True, model=MODEL) -> Trainer:
    """A trainer on this worker's share of the toy."""
    torch.manual_seed(config.seed)
    network = FusionNetwork(
        model,
        num_people=2,
        num_frames=16,
        num_joints=13,
        num_coordinates=2,
        scene_dim=10,
        num_classes=4,
        bones=(),
    )
    shares = []
    for clips in (toy(), toy(15, first=1)):
        rows = WorkerGroup.current().share(len(clips))
        mine = dataclasses.replace(clips.select(rows), rows_N=rows)
        shares.append(Share(clips=mine, ties=[str(row) for row in range(len(clips))], layouts=(PENN13,)))
    return Trainer(
        network,
        shares[0],
        shares[1] if val else None,
        learning=LearningConfig(training=config),
        device=torch.device("cpu"),
    )


def same_weights(one, other, tolerance):
    return all(torch.allclose(one[name], other[name], atol=tolerance) for name in one)


@pytest.mark.slow
def test_it_learns_motion_and_scene_and_each_alone_knows_half():
    config = dataclasses.replace(TRAINING, num_epochs=20, patience=0)
    reports = []
    network = trainer(config).run(reports.append)
    assert [report.epoch for report in reports] == list(range(1, 21))
    assert reports[-1].losses["total"] < reports[0].losses["total"]
    clips = toy(40, first=2)
    labels = clips.labels_N.numpy()
    fusion, pose, scene = (
        predict_probabilities(network, clips, use_pose=use_pose, use_scene=use_scene).argmax(1)
        for use_pose, use_scene in ((True, True), (True, False), (False, True))
    )
    assert (fusion == labels).mean() > 0.9
    assert (pose % 2 == labels % 2).mean() > 0.9
    assert (scene // 2 == labels // 2).mean() > 0.9
    assert (pose == labels).mean() < 0.8
    assert (scene == labels).mean() < 0.8


@pytest.mark.slow
def test_the_same_seed_trains_the_same_and_another_seed_otherwise():
    first, again = trainer().run().state_dict(), trainer().run().state_dict()
    assert same_weights(first, again, 0)
    other = trainer(dataclasses.replace(TRAINING, seed=1)).run().state_dict()
    assert not same_weights(first, other, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2])
def test_a_training_that_stops_and_resumes_ends_as_if_it_had_not(stop, tmp_path):
    whole = trainer()
    expected = whole.run().state_dict()

    class Killed(Exception):
        pass

    def keep(state, report):
        save_state(state, tmp_path / "state.pt", "mark")
        if report.epoch == stop:
            raise Killed

    with pytest.raises(Killed):
        trainer().run(on_state=keep)
    resumed, epochs = trainer(), []
    network = resumed.run(
        lambda report: epochs.append(report.epoch), state=load_state(tmp_path / "state.pt", "mark")
    )
    assert epochs == list(range(stop + 1, 4))
    assert same_weights(network.state_dict(), expected, 1e-6)
    assert [r.val for r in resumed.progress.history] == [r.val for r in whole.progress.history]


def first_gradient(monkeypatch, rank, size) -> tuple[dict, dict]:
    """The gradient of the first batch as this worker alone would compute it, and the sums of its losses."""
    monkeypatch.setattr(WorkerGroup, "current", lambda: WorkerGroup(rank, size))
    monkeypatch.setattr(WorkerGroup, "summed", lambda self, x: x)
    run = trainer(val=False)
    run.average = AveragedModel(run.network)
    monkeypatch.setattr(run.optimizer, "step", lambda: None)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: None)
    step = TrainingStep(run.network, run.config, run.augmentation).train()
    sums = run._step(step, *next(iter(run._batches(1))))
    return {name: value.grad for name, value in run.network.named_parameters()}, sums


@pytest.mark.parametrize("size", [2, 3, 13])  # thirteen workers: some own no row of a batch of twelve
def test_the_mean_of_the_workers_gradients_is_the_gradient_of_one_process(monkeypatch, size):
    expected, sums = first_gradient(monkeypatch, 0, 1)
    parts = [first_gradient(monkeypatch, rank, size) for rank in range(size)]
    for name, gradient in expected.items():
        mean = sum(part[name] for part, _ in parts) / size  # what DistributedDataParallel makes of them
        assert torch.allclose(mean, gradient, atol=1e-5, rtol=1e-3), name
    for name, total in sums.items():
        assert sum(part[name].item() for _, part in parts) == pytest.approx(total.item(), rel=1e-4), name


@pytest.mark.slow
def test_patience_stops_early_and_the_best_epoch_is_kept():
    config = dataclasses.replace(TRAINING, num_epochs=40, patience=3, learning_rate=0.0)
    run = trainer(config)
    run.run()
    assert (run.progress.best_epoch, run.progress.epoch) == (1, 4)


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0, 12])
def test_the_last_epoch_is_kept_or_with_patience_that_of_the_lowest_val_loss(patience):
    run = trainer(dataclasses.replace(TRAINING, num_epochs=12, patience=patience, learning_rate=0.05))
    run.run()
    losses = [report.val_loss for report in run.progress.history]
    assert losses != sorted(losses, reverse=True)  # so that the last is not the best as a matter of course
    kept = 1 + losses.index(min(losses)) if patience else 12
    assert run.progress.best_epoch == kept
    assert run.progress.best_val_loss == losses[kept - 1]


@pytest.mark.slow
def test_an_epoch_of_few_clips_goes_through_them_several_times_each_time_another_way():
    one, three = (
        trainer(dataclasses.replace(TRAINING, num_epochs=2, epoch_clips=size)) for size in (1, 3 * 38)
    )
    seen = {}
    for name, each in (("one", one), ("three", three)):
        steps = seen.setdefault(name, [])
        whole = each._step
        each._step = lambda *args, steps=steps, whole=whole: steps.append(args[1]) or whole(*args)
        each.run()
    assert [len(seen[name]) for name in seen] == [2 * 4, 2 * 3 * 4]
    assert torch.equal(seen["one"][0].keypoints_BPTKC, seen["three"][0].keypoints_BPTKC)
    assert len({float(batch.keypoints_BPTKC.sum()) for batch in seen["three"]}) == 24
    assert three.progress.history[-1].learning_rate < three.config.learning_rate / 10


@pytest.mark.slow
def test_pcms_prior_is_fitted_to_the_clips_before_the_first_epoch():
    trained = trainer(dataclasses.replace(TRAINING, num_epochs=1))
    unfitted = copy.deepcopy(trained.network.pcm.prior)
    fitted = trained.run().pcm.prior
    clips = toy(30, first=2)
    truth = clips.keypoints_NPTKC[:, 0] - clips.keypoints_NPTKC[:, 0].mean(dim=(1, 2), keepdim=True)
    visible = torch.ones(truth.shape[:-1], dtype=torch.bool)
    visible[:, :, 12] = False  # it stands where it stands in the others
    error, before = (
        (prior(truth * visible[..., None], visible)[0] - truth)[~visible].abs().mean()
        for prior in (fitted, unfitted)
    )
    assert error < 0.2 * before


def test_without_a_prior_pcm_learns_too():
    reports = []
    network = trainer(model=with_overrides(MODEL, {"pcm.prior": False})).run(reports.append)
    assert not any("prior" in name for name in network.state_dict())
    assert reports[-1].losses["completion"] < reports[0].losses["completion"]


def test_pcm_learns_at_its_own_rate():
    """At a factor of 0 completion stays as it was made, whatever is learned of recognition."""
    run = trainer(dataclasses.replace(TRAINING, num_epochs=1, pcm_rate_factor=0.0))
    made = {name: value.clone() for name, value in run.network.state_dict().items()}
    run.run()
    learned = run.network.state_dict()
    weights = [name for name, _ in run.network.named_parameters()]
    kept = {name for name in weights if torch.equal(made[name], learned[name])}
    assert kept == {name for name in weights if name.startswith("pcm.")}


@pytest.mark.slow
def test_without_val_clips_the_last_epoch_is_kept():
    run = trainer(val=False)
    run.run()
    assert run.progress.best_epoch == run.progress.epoch == 3
    assert run.progress.history[-1].val is None


@pytest.mark.slow
def test_unknown_labels_teach_completion_only():
    run = trainer(val=False)
    clips = dataclasses.replace(run.train.clips, labels_N=torch.full_like(run.train.clips.labels_N, -1))
    run.train = dataclasses.replace(run.train, clips=clips)
    run.run()
    last = run.progress.history[-1].losses
    assert last["fusion"] == last["pose"] == last["scene"] == 0
    assert last["completion"] > 0


@pytest.mark.parametrize(
    ("done", "warmup", "expected"),
    [(0.0, 0.1, 0.04), (0.1, 0.1, 1.0), (0.55, 0.1, 0.5), (1.0, 0.1, 0.0), (0.0, 0.0, 1.0)],
)
def test_the_rate_warms_up_and_falls_as_half_a_cosine(done, warmup, expected):
    assert rate_at(done, warmup) == pytest.approx(expected)
