"""Kill extraction again and again, and compare what it leaves with an undisturbed run.

    uv run python tests/distributed/extraction_under_fire.py --clips 200 --kills 5

Three stores of the same rendered videos, through `harray extract` as users start it:

    calm    undisturbed
    driver  the driver killed (SIGKILL) at random moments, then run to its end while one of its actors is killed
    node    on a cluster of three nodes of one CPU, one of which is killed in the middle

All three must verify, account for every input once, and hold equal rows. Takes about eight minutes on two cores.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa

from harray.store import FeatureStore
from harray.store.verify import verify
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset

ACTIONS = 12
SETTINGS = ["--recipe", "procedural", "scenes.weights=none"]
WHILE_RUNNING = ["attempts", "time"]  # columns that tell of the run, not of the videos


class Extraction:
    """One `harray extract` in a process of its own."""

    def __init__(self, videos: Path, store: Path, **environment: str):
        harray = Path(sys.executable).with_name("harray")
        command: list[str | Path] = [harray, "extract", videos, "--store", store, *SETTINGS]
        command += ["--json", "--out", store.with_name("out")]
        self.store = store
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )

    def num_done(self) -> int:
        folder = self.store / "ledger"
        return len(FeatureStore.open(self.store).ledger()) if folder.is_dir() else 0

    def wait_for(self, num_done: int) -> None:
        """Until so many inputs have an outcome, or the run is over."""
        while self.process.poll() is None and self.num_done() < num_done:
            time.sleep(0.5)

    def actors(self) -> list[psutil.Process]:
        """The extraction workers below this driver."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "ray::" in process.name() or any("ray::Map" in part for part in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> dict[str, object]:
        """Wait for its end; what it printed as JSON."""
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out.splitlines()[-1])


def kill_the_driver(videos: Path, store: Path, kills: int, dice: random.Random) -> None:
    """Kill it at random moments, most of them while it extracts; then let it end while an actor is killed."""
    for number in range(kills):
        running = Extraction(videos, store)
        delay_sec = dice.uniform(15, 45)
        try:
            running.process.wait(timeout=delay_sec)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
        print(f"  kill {number + 1} after {delay_sec:.0f} s: {running.num_done()} inputs done", flush=True)
    before = running.num_done()
    last = Extraction(videos, store)
    last.wait_for(before + 5)
    while not (
        victims := last.actors()
    ):  # what was done may be of the killed driver's actors, on their way out
        assert last.process.poll() is None, "the run ended before an actor could be killed"
        time.sleep(0.5)
    victims[-1].send_signal(signal.SIGKILL)
    print(f"  killed actor {victims[-1].pid} at {last.num_done()} inputs", flush=True)
    print("  ", last.end(), flush=True)


def kill_a_node(videos: Path, store: Path, num_clips: int) -> None:
    """Three nodes of one CPU each; one that does not hold the driver is lost after a third of the work."""
    from harray.distributed.resources import prepare_ray

    prepare_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        victim = [cluster.add_node(num_cpus=1) for _ in range(2)][-1]
        cluster.wait_for_nodes()
        running = Extraction(videos, store, RAY_ADDRESS=cluster.address)
        running.wait_for(num_clips // 3)
        cluster.remove_node(victim, allow_graceful=False)
        print(f"  killed a node at {running.num_done()} inputs", flush=True)
        print("  ", running.end(), flush=True)
    finally:
        cluster.shutdown()


def rows_of(store: Path) -> pa.Table:
    """Features and outcomes of every input, without what tells of the run."""
    return FeatureStore.open(store).read().drop_columns(WHILE_RUNNING)


def check(name: str, store: Path, num_inputs: int, expected: pa.Table) -> None:
    found = verify(FeatureStore.open(store))
    assert found.problems == [], found.problems
    assert found.num_inputs == found.num_extracted + found.num_quarantined == num_inputs
    assert rows_of(store).equals(expected), f"{name}: other rows than the undisturbed run's"
    print(
        f"{name}: {found.num_inputs} inputs = {found.num_extracted} extracted + {found.num_quarantined} quarantined, "
        f"{found.num_clips} clips, verified, rows equal; notes: {found.notes or 'none'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fire-") as folder:
        root = Path(folder)
        rendered = render_dataset(
            root / "videos", SynthConfig(clips_per_action=-(-options.clips // ACTIONS), seed=options.seed)
        )
        print(f"{rendered.num_clips} clips", flush=True)
        print("calm", Extraction(root / "videos", root / "calm/store").end(), flush=True)
        expected = rows_of(root / "calm/store")
        print("driver", flush=True)
        dice = random.Random(options.seed)
        kill_the_driver(root / "videos", root / "driver/store", options.kills, dice)
        print("node", flush=True)
        kill_a_node(root / "videos", root / "node/store", rendered.num_clips)
        for name in ("calm", "driver", "node"):
            check(name, root / name / "store", rendered.num_clips, expected)


if __name__ == "__main__":
    main()
