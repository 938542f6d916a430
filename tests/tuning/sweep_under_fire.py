"""Kill a sweep's driver again and again, take its tracking server away, and see that nothing is lost.

    uv run python tests/tuning/sweep_under_fire.py --store STORE --trials 12 --kills 3

    driver  `harray tune` killed (SIGKILL) whenever some more records are written, by random numbers, and gone on
            with by --resume
    server  a sweep against a real `mlflow server` that is stopped in the middle, until some more records wait for it

Both must end with every trial in MLflow once, with its full history, and with the same trials in Optuna's study, and
every kill must have hit a sweep at work. STORE is such as `harray demo` leaves, or `harray skeleton import` makes.
Takes about ten minutes on two cores.
"""

import argparse
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
from harray.tuning.settings import STUDY_FILE, SweepSettings

from harray.tracking.location import connect, probe
from harray.tracking.sweeps import JOURNAL_FILE
from harray.training.state import load_state
from harray.tuning.study import open_study
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

    def events(self) -> list[dict]:
        return events_in(self.out)

    def wait_for(self, num_events: int) -> None:
        """Until the journal has so many events."""
        while (found := len(self.events())) < num_events:
            assert self.process.poll() is None, (
                f"the sweep was over with {found} records, before {num_events} were written"
            )
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


def events_in(out: Path) -> list[dict]:
    journals = list(out.glob(f"sweeps/*/{JOURNAL_FILE}"))
    lines = journals[0].read_text().splitlines(keepends=True) if journals else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def steps_of(events: list[dict]) -> dict[int, list[int]]:
    steps: dict[int, list[int]] = {}
    for event in events:
        if event["event"] == "metrics":
            steps.setdefault(event["trial"], []).append(event["step"])
    return steps


def kill_the_driver(
    store: Path, out: Path, trials: int, epochs: int, kills: int, dice: random.Random
) -> dict:
    """Kill it whenever some more is recorded; what a trial was told of may not be trained again."""
    resume: list[str] = []
    for number in range(kills):
        running = Driver(store, out, trials, epochs, *resume)
        before = len(running.events())
        running.wait_for(before + dice.randint(3, max(4, trials * epochs // (kills + 3))))
        running.kill()
        resume = ["--resume"]
        print(f"  kill {number + 1} at {len(running.events())} records: {under_way(out)}", flush=True)
    print(f"  {kills} of {kills} kills landed", flush=True)
    return Driver(store, out, trials, epochs, *resume).end()


def under_way(out: Path) -> str:
    """Trials that have a state, with the epochs kept and the epochs told; kept must not be fewer."""
    steps, said = steps_of(events_in(out)), []
    for file in sorted(out.glob("sweeps/*/trials/*/state.pt")):
        number = int(file.parent.name)
        import torch

        mark = torch.load(file, map_location="cpu", weights_only=True)["mark"]
        kept = load_state(file, mark)["progress"]["epoch"]
        told = len(steps.get(number, ()))
        assert kept >= told, f"trial {number}: {told} epochs told, only {kept} kept"
        said.append(f"trial {number} goes on after epoch {kept} ({told} told)")
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
    study = open_study(Path(said["folder"]) / STUDY_FILE, SweepSettings(num_trials=trials))
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


def take_the_server_away(store: Path, root: Path, trials: int, epochs: int, num_records: int) -> None:
    server = Server(root / "server")
    server.start()
    try:
        running = Driver(store, root / "server-out", trials, epochs, "--tracking-uri", server.uri)
        running.wait_for(6)
        server.stop()
        before = len(running.events())
        running.wait_for(before + num_records)
        print(f"  server away for {len(running.events()) - before} records", flush=True)
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
    parser.add_argument("--away", type=int, default=8, help="records that wait for the server")
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
