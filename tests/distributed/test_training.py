"""Training through Ray Train: a killed worker, and the same model as one process trains."""

import dataclasses
import os
import random
import signal
import time

import numpy as np
import pytest

from harray.api.train import train
from harray.distributed import resources
from harray.distributed import training as distributed_training
from harray.distributed.resources import gpus_for
from harray.distributed.training import (
    LISTED_FILE,
    ray_storage,
    remove_storage,
    rescued_state,
    run_name,
    train_on_ray,
)
from harray.distributed.training_demand import cluster_for
from harray.errors import InputError
from harray.training.checkpoint import load_checkpoint
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.divergence import Diverged
from harray.training.run import TrainingRequest, train_store
from harray.training.state import load_state, save_state
from harray.workspace import Workspace
from tests.reporters import interrupt
from tests.toys import TINY_MODEL, arm_store


@pytest.fixture
def request_(tmp_path) -> TrainingRequest:
    """Training on 40 clips of three actors, enough for two kinds of motion: an arm goes up or down."""
    rows = [
        {"path": f"/{number:02}.mp4", "group": f"actor{number % 3}", "splits": ["train"]}
        for number in range(40)
    ]
    store = arm_store(tmp_path / "store", rows)
    return TrainingRequest(
        store=store.path,
        out=tmp_path / "model",
        learning=LearningConfig(
            model=TINY_MODEL,
            training=TrainingConfig(
                num_epochs=12, batch_size=7, device="cpu", val_share=0.34, patience=0, state_sec=0
            ),
        ),
    )


def training_workers() -> list[int]:
    """Process ids of this cluster's Ray Train workers."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if "RayTrainWorker" in file.read() and os.getpgid(int(pid)):
                    found.append(int(pid))
        except OSError:
            continue
    return found


def test_workers_end_like_one_process_even_if_one_of_them_is_killed_at_a_random_epoch(ray_cluster, request_):
    # The one test that starts Ray Train's controller and workers, twice over: one to two minutes on two cores.
    alone = train_store(dataclasses.replace(request_, out=request_.out.with_name("alone")))
    before, told, killed = set(training_workers()), [], []
    last = random.randrange(1, 11)

    def kill_one(report):
        told.append(report.epoch)
        if report.epoch == last:
            ours = sorted(set(training_workers()) - before)
            killed.append(ours[-1])
            os.kill(ours[-1], signal.SIGKILL)
        time.sleep(0.05)

    result = train_on_ray(request_, 2, kill_one, min_workers=1)
    assert len(killed) == 1
    assert told == list(range(1, 13))
    assert result.num_epochs == alone.num_epochs == 12
    assert result.best_epoch == alone.best_epoch
    assert dataclasses.asdict(result.val) == pytest.approx(dataclasses.asdict(alone.val), abs=1e-4)
    for ours, theirs in zip(result.history, alone.history, strict=True):
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-2)
        assert ours.val_loss == pytest.approx(theirs.val_loss, abs=1e-3)
    weights, expected = (load_checkpoint(r.checkpoint).network.state_dict() for r in (result, alone))
    # Softmax does not see what shifts all its inputs: the gradient is rounding, and AdamW walks by that.
    for name in ("mme.members.0.attention.bias", "cfn.key.bias"):
        del expected[name]
    for name, value in expected.items():
        assert np.allclose(weights[name], value, atol=2e-3), name
    assert (
        train_on_ray(request_, 2, told.append).history == result.history
    )  # it was over, and is not done again
    assert told == list(range(1, 13))
    remove_storage(ray_storage(request_))
    assert not list(request_.out.parent.glob("*.ray"))


def test_more_workers_than_the_cluster_holds_are_refused(ray_cluster):
    with (
        pytest.raises(InputError, match="training with 64 workers needs 64 CPU"),
        cluster_for(64, "cpu"),
    ):
        pytest.fail("they were not refused")


def test_a_training_asks_the_cluster_once(ray_cluster, request_, tmp_path, monkeypatch):
    asked = []
    answer = resources.free_resources
    monkeypatch.setattr(resources, "free_resources", lambda: asked.append(1) or answer())
    monkeypatch.setattr(distributed_training, "TorchTrainer", lambda *_, **__: interrupt())
    with pytest.raises(KeyboardInterrupt):
        train(request_.store, recipe="pose_only", workers=1, workspace=Workspace(tmp_path / "out"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("device", "there", "expected"),
    [
        ("auto", {"CPU": 8}, 0),
        ("auto", {"GPU": 1}, 0),  # not enough for two workers: all on CPUs alike
        ("auto", {"GPU": 2}, 1),
        ("cpu", {"GPU": 2}, 0),
        ("cuda", {}, 1),  # asked for: the check of demand then says that it is missing
    ],
)
def test_gpus_for_two_workers(device, there, expected):
    assert gpus_for(device, 2, there) == expected


def with_training(request: TrainingRequest, **changes: object) -> TrainingRequest:
    training = dataclasses.replace(request.learning.training, **changes)
    return dataclasses.replace(request, learning=dataclasses.replace(request.learning, training=training))


def test_runs_of_other_settings_have_other_names(request_):
    other = with_training(request_, seed=1)
    names = {run_name(request_, 2), run_name(request_, 3), run_name(other, 2)}
    assert len(names) == 3
    assert run_name(request_, 2) in names


def test_workers_that_diverge_are_not_tried_again_and_leave_nothing(ray_cluster, request_):
    request = with_training(request_, learning_rate=1e38, max_grad_norm=1e38)
    with pytest.raises(Diverged, match="NaN: the loss of epoch 1 "):
        train_on_ray(request, 1)
    assert not list(request_.out.parent.glob("*.ray"))
    assert not request_.out.exists()


@pytest.mark.parametrize(
    ("listed", "broken", "found"),
    [
        (None, (), None),  # nothing was listed yet: Ray Train begins anew, and so do we
        ("{}", (), None),  # whole: Ray Train finds the state itself
        ("", (), "checkpoint_3"),
        ('{"checkpoint_results": [', (), "checkpoint_3"),
        ("", ("checkpoint_3",), "checkpoint_2"),
        ("", ("checkpoint_1", "checkpoint_2", "checkpoint_3"), None),
    ],
)
def test_a_controller_killed_while_it_writes_costs_no_state(tmp_path, listed, broken, found):
    for name in ("checkpoint_1", "checkpoint_2", "checkpoint_3"):
        save_state({"name": name}, tmp_path / name / "state.pt", "mark")
        if name in broken:
            (tmp_path / name / "state.pt").write_bytes(b"PK")
    if listed is not None:
        (tmp_path / LISTED_FILE).write_text(listed)
    file = rescued_state(tmp_path, "mark")
    assert (file and load_state(file, "mark")["name"]) == found
    assert (tmp_path / LISTED_FILE).exists() == (listed == "{}")
