"""What README and cluster.yaml promise: `ray job submit` with a token, on a cluster of `ray start --head`."""

import contextlib
import json
import re
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("extract", "train", "tune", "evaluate", "predict")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_job_passes_its_arguments_to_the_command_of_its_name(name):
    source = (ROOT / "jobs" / f"{name}.py").read_text()
    assert f'main(["{name}", *sys.argv[1:]])' in source
    assert len(source.splitlines()) <= 60


def test_nobody_submits_without_the_token(job_cluster):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{job_cluster.environment['RAY_API_SERVER_ADDRESS']}/api/jobs/", timeout=10)
    assert refused.value.code == 401


def test_a_submitted_training_succeeds_and_leaves_a_checkpoint(job_cluster, small_store, tmp_path):
    """About 40 s: Ray brings the code and a driver, and torch and MLflow are imported there."""
    training = [
        "--store",
        str(small_store),
        "--out",
        str(tmp_path / "out"),
        "--json",
        "training.num_epochs=2",
    ]
    ended = job_cluster.ray(
        "job",
        "submit",
        "--working-dir",
        str(ROOT),
        "--",
        "python",
        "jobs/train.py",
        *training,
        timeout_sec=240,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-1000:]
    assert "succeeded" in ended.stdout
    answer = next(json.loads(line) for line in reversed(ended.stdout.splitlines()) if line.startswith("{"))
    assert Path(answer["checkpoint"]).is_relative_to(tmp_path)
    assert (Path(answer["checkpoint"]) / "model.safetensors").is_file()
    assert (tmp_path / "out" / "mlflow.db").is_file()


def test_a_stopped_sweep_leaves_its_runs_killed_and_says_how_to_go_on(job_cluster, small_store, tmp_path):
    """`ray job stop` gives three seconds, then it kills."""
    out = tmp_path / "out"
    arguments = ["--store", small_store, "--search", "optimisation", "--at-once", 1, "--out", out]
    job = job_cluster.submit("tune", *arguments, "training.num_epochs=100000", "training.state_sec=0")
    deadline = time.monotonic() + 240
    while not any('"epoch.1"' in file.read_text() for file in out.glob("sweeps/*/optuna.jsonl")):
        assert job.is_running, job.story()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    name = re.search(r"raysubmit_\w+", job.text())
    assert name
    job_cluster.ray("job", "stop", name[0]).check_returncode()
    job.process.wait(60)
    assert "harray: interrupted; " in job.text(), job.story()
    assert "the same command with --resume goes on" in job.text()
    with contextlib.closing(sqlite3.connect(out / "mlflow.db")) as database:
        statuses = [status for (status,) in database.execute("SELECT status FROM runs")]
    assert statuses == ["KILLED", "KILLED"], job.story()
