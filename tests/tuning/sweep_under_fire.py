"""Kill a sweep's driver again and again, take its tracking server away, and see that nothing is lost.

    uv run python tests/tuning/sweep_under_fire.py --store STORE --trials 12 --kills 3

    driver  `harray tune` killed (SIGKILL) whenever some more epochs are reported, by random numbers, and gone on
            with by --resume
    server  a sweep against a real `mlflow server` that is stopped in the middle, for some epochs

Both must end with every trial in MLflow once, with its full history, and with the same trials in Optuna's study, and
every kill must have hit a sweep at work. STORE is such as `harray demo` leaves, or `harray skeleton import` makes.
Takes about ten minutes on two cores.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from optuna.trial import FrozenTrial

from harray.tracking.location import connect, probe
from harray.training.state import load_state
from harray.tuning.study import epochs_of, read_study
from harray.workspace import Workspace


class Driver:
    """One `harray tune` in a process of its own."""

    def __init__(self, store: Path, out: Path, trials: int, epochs: int, *more: str):
        harray = Path(sys.executable).with_name("harray")
        command: list[str | Path] = [harray, "tune", "--store", store, "--out", out, "--trials", str(trials)]
        command += ["--search", "optimisation", "--recipe", "procedural", "--json", *more]
        command += [f"training.num_epochs={epochs}", "training.val_share=0.15"]
        self.out = out
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def num_epochs(self) -> int:
        return sum(len(epochs_of(trial)) for trial in trials_in(self.out))

    def wait_for(self, num_epochs: int) -> None:
        """Until so many epochs are reported in all."""
        while (found := self.num_epochs()) < num_epochs:
            assert self.process.poll() is None, f"the sweep was over with {found} epochs, before {num_epochs}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the driver, which must be at work, and wait until its workers have followed it."""
        below = [p for p in psutil.Process(self.process.pid).children(recursive=True) if is_worker(p)]
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, "the sweep was over before the kill"
        _, left = psutil.wait_procs(below, timeout=60)
        assert not left, f"workers outlive their driver: {left}"

    def end(self) -> dict:
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out.splitlines()[-1])


def is_worker(process: psutil.Process) -> bool:
    """Whether it may run a trial; a node's agents outlive their driver for a while."""
    try:
        name = process.name()
    except psutil.Error:
        return False
    return "ray::" in name and "Agent" not in name


def trials_in(out: Path) -> list[FrozenTrial]:
    """What the sweep's study says now."""
    for folder in out.glob("sweeps/*"):
        with contextlib.suppress(KeyError):  # not begun yet
            return read_study(folder).trials
    return []


def kill_the_driver(
    store: Path, out: Path, trials: int, epochs: int, kills: int, dice: random.Random
) -> dict:
    """Kill it whenever some more is reported; what a trial has reported may not be trained again."""
    resume: list[str] = []
    for number in range(kills):
        running = Driver(store, out, trials, epochs, *resume)
        before = running.num_epochs()
        running.wait_for(before + dice.randint(2, max(3, trials * epochs // (kills + 4))))
        running.kill()
        resume = ["--resume"]
        print(f"  kill {number + 1} at {running.num_epochs()} epochs: {under_way(out)}", flush=True)
    print(f"  {kills} of {kills} kills landed", flush=True)
    return Driver(store, out, trials, epochs, *resume).end()


def under_way(out: Path) -> str:
    """Trials that have a state, with the epochs kept and the epochs reported; kept must not be fewer."""
    trials, said = trials_in(out), []
    for file in sorted(out.glob("sweeps/*/trials/*/state.pt")):
        number = int(file.parent.name)
        mark = torch.load(file, map_location="cpu", weights_only=True)["mark"]
        kept, reported = load_state(file, mark)["progress"]["epoch"], len(epochs_of(trials[number]))
        assert kept >= reported, f"trial {number}: {reported} epochs reported, only {kept} kept"
        said.append(f"trial {number} goes on after epoch {kept} ({reported} reported)")
    return ", ".join(said) or "no trial under way"


def check(out: Path, uri: str, said: dict, trials: int) -> None:
    """MLflow, Optuna and the command's own answer tell the same."""
    client = connect(uri)
    experiment = client.get_experiment_by_name("harray")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`harray.sweep` != ''")
    children = [run for run in found if run.data.tags["harray.trial"] != "sweep"]
    assert len(found) - len(children) == 1, "one parent"
    assert sorted(int(run.data.tags["harray.trial"]) for run in children) == list(range(trials))
    rows = {row["number"]: row for row in said["trials"]}
    for run in children:
        row = rows[int(run.data.tags["harray.trial"])]
        for metric in ("val.macro_f1", "train.loss.total"):
            history = client.get_metric_history(run.info.run_id, metric)
            assert [m.step for m in history] == list(range(1, row["num_epochs"] + 1)), (row, metric)
        assert run.info.status != "RUNNING"
        assert run.data.tags["harray.state"] == row["state"]
    study = read_study(Path(said["folder"]))
    assert [trial.number for trial in study.trials] == list(range(trials))
    assert all(trial.state.is_finished() for trial in study.trials)
    epochs = sum(row["num_epochs"] for row in rows.values())
    print(
        f"  {trials} trials ({said['states']}), {epochs} epochs, each once in MLflow and in Optuna",
        flush=True,
    )


class Server:
    """A real `mlflow server` that can be stopped and started again."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", f"{self.folder}/files"]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        while not probe(Workspace(self.folder, self.uri), timeout_sec=1).reachable:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


def take_the_server_away(store: Path, root: Path, trials: int, epochs: int, away: int) -> None:
    server = Server(root / "server")
    server.start()
    try:
        running = Driver(store, root / "server-out", trials, epochs, "--tracking-uri", server.uri)
        running.wait_for(4)
        server.stop()
        before = running.num_epochs()
        running.wait_for(before + away)
        print(f"  server away for {running.num_epochs() - before} epochs", flush=True)
        server.start()
        check(root / "server-out", server.uri, running.end(), trials)
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--away", type=int, default=8, help="epochs that wait for the server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["driver", "server"])
    options = parser.parse_args()
    dice, store = random.Random(options.seed), options.store.absolute()
    with tempfile.TemporaryDirectory(prefix="sweep-fire-") as folder:
        root = Path(folder)
        if options.only != "server":
            print("driver", flush=True)
            out = root / "driver"
            said = kill_the_driver(store, out, options.trials, options.epochs, options.kills, dice)
            check(out, f"sqlite:///{out / 'mlflow.db'}", said, options.trials)
        if options.only != "driver":
            print("server", flush=True)
            take_the_server_away(store, root, max(4, options.trials // 2), options.epochs, options.away)


if __name__ == "__main__":
    main()
