"""A recorded training: the same command goes on with what was left when its process died."""

import dataclasses
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from harray.api.train import Workers, train_recorded
from harray.config import dump, with_overrides
from harray.errors import InputError
from harray.recipes import recipe_named
from harray.store import snapshot
from harray.tracking.location import connect
from harray.tracking.registry import RUN_FILE
from harray.tracking.run_folder import RunFolder
from harray.tracking.runs import NotRecorded
from harray.training.checkpoint import load_checkpoint
from harray.workspace import Workspace
from tests.reporters import At, Recorder, interrupt
from tests.toys import TINY, arm_store

pytestmark = pytest.mark.mlflow

NUM_EPOCHS = 8
SMALL = {
    **TINY,
    "training.num_epochs": NUM_EPOCHS,
    "training.batch_size": 8,
    "training.val_share": 0.25,
    "training.state_sec": 0.0,
}
VICTIM = """
import sys
from pathlib import Path
from harray.config import load
from harray.experiment import ExperimentConfig
from harray.api.train import train_recorded
from harray.workspace import Workspace
from tests.reporters import Recorder

class Printing(Recorder):
    def updated(self, done):
        print(done, flush=True)

store, config, out, tracking = sys.argv[1:]
experiment = load(ExperimentConfig, Path(config))
train_recorded(Path(store), experiment, Workspace(out, tracking), Printing())
"""


@pytest.fixture
def store(tmp_path):
    """24 clips: an arm goes up or down."""
    rows = [{"path": f"/{number:02}.mp4", "splits": ["train"]} for number in range(24)]
    return arm_store(tmp_path / "store", rows, scene=False).path


def test_a_training_killed_at_a_random_epoch_ends_like_an_undisturbed_one(store, tmp_path):
    experiment = with_overrides(recipe_named("pose_only"), SMALL)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    undisturbed = train_recorded(store, experiment, Workspace(tmp_path / "calm", uri))
    dump(experiment, tmp_path / "config.yaml")
    last = random.randrange(1, NUM_EPOCHS)  # whichever it is, the end is the same
    command = [sys.executable, "-c", VICTIM, store, tmp_path / "config.yaml", tmp_path / "out", uri]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            if line.strip() == str(last):
                victim.send_signal(signal.SIGKILL)
                break
    assert victim.returncode == -signal.SIGKILL
    told = Recorder()
    trained = train_recorded(store, experiment, Workspace(tmp_path / "out", uri), told)
    epochs = [done for _, done, _, _ in told.updates]
    assert trained.resumed
    assert not undisturbed.resumed
    assert last <= epochs[0] <= last + 2  # killed before, or long after, it could save what it had told
    assert epochs[-1] == NUM_EPOCHS
    ours, theirs = trained.result, undisturbed.result
    assert dataclasses.asdict(ours.val) == pytest.approx(dataclasses.asdict(theirs.val), abs=1e-4)
    assert [r.val_loss for r in ours.history] == pytest.approx([r.val_loss for r in theirs.history], abs=1e-4)
    weights, expected = (load_checkpoint(r.checkpoint).network.state_dict() for r in (ours, theirs))
    assert all(np.allclose(weights[name], value, atol=1e-4) for name, value in expected.items())
    assert [folder.name for folder in (tmp_path / "out" / "runs").iterdir()] == [ours.checkpoint.parent.name]
    assert not list(ours.checkpoint.parent.glob("state*"))
    logged = connect(uri).get_metric_history(trained.run_id, "val.loss")
    assert [metric.step for metric in logged] == [*range(1, NUM_EPOCHS + 1)]
    assert list(trained.floors) == ["majority", "linear_pose"]
    assert trained.floors == undisturbed.floors


def test_one_training_reads_the_ledger_once(store, harray, tmp_path, monkeypatch):
    reads, read = [], snapshot.read_ledger
    monkeypatch.setattr(snapshot, "read_ledger", lambda files: reads.append(files) or read(files))
    overrides = [f"{name}={value}" for name, value in {**SMALL, "training.num_epochs": 1}.items()]
    ending = harray(
        *("train", "--store", store, "--recipe", "pose_only", "--out", tmp_path),
        *("--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", *overrides),
    )
    assert ending.code == 0, ending.err
    assert len(reads) == 1


def test_a_floor_that_beats_the_model_on_val_is_told_in_a_line(store, harray, tmp_path):
    overrides = [f"{name}={value}" for name, value in {**SMALL, "training.num_epochs": 1}.items()]
    ending = harray(
        *("train", "--store", store, "--recipe", "pose_only", "--out", tmp_path, "--json"),
        *("--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", *overrides, "training.learning_rate=1e-9"),
    )
    assert ending.code == 0, ending.err
    assert ending.json["floors"]["linear_pose"]["top1"] == 1.0 > ending.json["val"]["top1"]
    assert "a floor beats the model on val: linear pose, top-1 1.000" in ending.err


def test_what_mlflow_lost_of_an_interrupted_training_is_recorded_anew(store, tmp_path):
    experiment, uri = with_overrides(recipe_named("pose_only"), SMALL), f"sqlite:///{tmp_path}/mlflow.db"

    with pytest.raises(KeyboardInterrupt):
        train_recorded(store, experiment, Workspace(tmp_path / "out", uri), At(3, interrupt))
    (run_file,) = (tmp_path / "out" / "runs").glob(f"*/{RUN_FILE}")
    connect(uri).delete_run(run_file.read_text())
    trained = train_recorded(store, experiment, Workspace(tmp_path / "out", uri))
    assert trained.resumed
    logged = connect(uri).get_metric_history(trained.run_id, "val.loss")
    assert sorted(metric.step for metric in logged) == [*range(1, NUM_EPOCHS + 1)]


@pytest.mark.parametrize("deleted", ["run", "experiment"])
def test_a_training_whose_run_is_deleted_ends_and_the_same_command_records_it(store, tmp_path, deleted):
    experiment, uri = with_overrides(recipe_named("pose_only"), SMALL), f"sqlite:///{tmp_path}/mlflow.db"
    client, workspace = connect(uri), Workspace(tmp_path / "out", uri)

    def delete():
        (found,) = client.search_runs([client.get_experiment_by_name("harray").experiment_id])
        if deleted == "run":
            client.delete_run(found.info.run_id)
        else:
            client.delete_experiment(found.info.experiment_id)

    with pytest.raises(NotRecorded, match="the same command records it") as caught:
        train_recorded(store, experiment, workspace, At(3, delete), register="arm")
    missed = caught.value.outcome
    assert missed.result.num_epochs == NUM_EPOCHS
    assert load_checkpoint(missed.result.checkpoint).classes == ("down", "up")
    if deleted == "experiment":
        with pytest.raises(InputError, match="mlflow experiments restore --experiment-id 1`"):
            train_recorded(store, experiment, workspace, register="arm")
        client.restore_experiment("1")
    told = Recorder()
    trained = train_recorded(store, experiment, workspace, told, register="arm")
    assert told.updates == [], "nothing is trained again"
    assert trained.registered.version == 1
    assert trained.result.checkpoint == missed.result.checkpoint
    logged = client.get_metric_history(trained.run_id, "val.loss")
    assert sorted({metric.step for metric in logged}) == [*range(1, NUM_EPOCHS + 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_says_how_to_go_on_and_its_run_is_killed(store, tmp_path, number):
    overrides = [f"{name}={value}" for name, value in SMALL.items() if name != "training.num_epochs"]
    arguments = ["train", "--store", store, "--recipe", "pose_only", "--out", tmp_path / "out"]
    arguments += [*overrides, "training.num_epochs=100000"]
    program = "import sys; from harray.cli import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stderr=subprocess.PIPE, text=True
    ) as process:
        while not list((tmp_path / "out").glob("runs/*/state.pt")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(number)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        "harray: interrupted; the same command goes on from the last epoch that was kept"
    )
    client = connect(f"sqlite:///{tmp_path}/out/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("harray").experiment_id])
    assert run.info.status == "KILLED"


def test_an_unfinished_training_is_gone_on_with_where_its_folder_was_moved_to(store, tmp_path):
    experiment = with_overrides(recipe_named("pose_only"), SMALL)

    with pytest.raises(KeyboardInterrupt):
        train_recorded(store, experiment, Workspace(tmp_path / "then"), At(3, interrupt))
    (tmp_path / "then").rename(tmp_path / "now")
    trained = train_recorded(store, experiment, Workspace(tmp_path / "now"))
    assert trained.resumed
    assert not (tmp_path / "then").exists()
    assert list((tmp_path / "now" / "mlartifacts").rglob("training.png"))


def test_only_the_same_training_goes_on_and_only_where_nobody_works(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunFolder.claim(tmp_path, "run", "mark") as first:
        raise KeyboardInterrupt
    with RunFolder.claim(tmp_path, "run", "mark") as again:
        assert again.path == first.path
        busy = RunFolder.claim(tmp_path, "run", "mark")
        other = RunFolder.claim(tmp_path, "run", "another mark")
        assert len({again.path, busy.path, other.path}) == 3
    assert RunFolder.claim(tmp_path, "run", "mark").path not in {first.path, busy.path, other.path}


def test_more_workers_than_clips_are_refused(store, tmp_path):
    experiment = with_overrides(recipe_named("pose_only"), SMALL)
    with pytest.raises(InputError, match="24 clips to train on and 25 workers; use fewer --workers"):
        train_recorded(store, experiment, Workspace(tmp_path), workers=Workers(count=25))
