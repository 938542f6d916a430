"""Kill extraction again and again, and compare what it leaves with an undisturbed run.

    uv run python tests/distributed/extraction_under_fire.py --clips 200 --kills 5

Three stores of the same rendered videos, through `harray extract` as users start it:

    calm    undisturbed
    driver  the driver killed (SIGKILL) whenever some more inputs are done, by random numbers, then run to its end while
            one of its actors is killed
    node    on a cluster of three nodes of one CPU, one of which is killed after a third of the inputs

All three must verify, account for every input once, and hold equal rows, and every kill must have hit something that
was at work. Takes about eight minutes on two cores.
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

from harray.files import Place
from harray.store import FeatureStore
from harray.store.verify import verify
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset

ACTIONS = 12
SETTINGS = ["--recipe", "procedural", "scenes.weights=none"]
WHILE_RUNNING = ["attempts", "time"]  # columns that tell of the run, not of the videos


class Extraction:
    """One `harray extract` in a process of its own."""

    def __init__(self, videos: Path, store: Place, **environment: str):
        harray = Path(sys.executable).with_name("harray")
        command = [str(harray), "extract", str(videos), "--store", str(store), *SETTINGS]
        command += ["--json", "--out", str(store.with_name("out"))]
        self.store = store
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )

    def num_done(self) -> int:
        there = (self.store / "store.json").is_file()
        return len(FeatureStore.open(self.store).ledger()) if there else 0

    def wait_for(self, num_done: int) -> None:
        """Until so many inputs have an outcome."""
        while (done := self.num_done()) < num_done:
            assert self.process.poll() is None, (
                f"the run was over with {done} inputs done, before {num_done} were"
            )
            time.sleep(0.1)

    def kill(self) -> None:
        """End the driver, which must be at work."""
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, "the run was over before the kill"

    def kill_an_actor(self) -> int:
        """End one of the extraction workers below this driver, once there is one; its process id."""
        while True:
            assert self.process.poll() is None, "the run was over before an actor could be killed"
            for process in self._below():
                try:
                    title = [process.name(), *process.cmdline()]
                    if any("ray::Map" in part for part in title):
                        process.kill()  # psutil sees to it that this is still the process it was
                        return process.pid
                except psutil.Error:  # gone in the meantime, such as a killed driver's
                    continue
            time.sleep(0.1)

    def _below(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def end(self) -> dict[str, object]:
        """Wait for its end; what it printed as JSON."""
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out.splitlines()[-1])


def kill_the_driver(videos: Path, store: Place, num_clips: int, kills: int, dice: random.Random) -> int:
    """Kill it whenever some more is done; then let it end while an actor is killed. How many kills landed."""
    done = 0
    for number in range(kills):
        running = Extraction(videos, store)
        running.wait_for(done + dice.randint(1, max(1, (num_clips - done) // (kills - number + 2))))
        running.kill()
        done = running.num_done()
        print(f"  kill {number + 1}: {done} of {num_clips} inputs done", flush=True)
    last = Extraction(videos, store)
    last.wait_for(done + 1)
    victim = last.kill_an_actor()
    print(f"  killed actor {victim} at {last.num_done()} inputs", flush=True)
    print("  ", last.end(), flush=True)
    return kills + 1


def kill_a_node(videos: Path, store: Place, num_clips: int) -> int:
    """Three nodes of one CPU each; one that does not hold the driver is lost after a third of the work.

    How many kills landed.
    """
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
        assert running.process.poll() is None, "the run was over before a node could be killed"
        print(f"  killed a node at {running.num_done()} inputs", flush=True)
        print("  ", running.end(), flush=True)
        return 1
    finally:
        cluster.shutdown()


def rows_of(store: Place) -> pa.Table:
    """Features and outcomes of every input, without what tells of the run."""
    return FeatureStore.open(store).read().drop_columns(WHILE_RUNNING)


def check(name: str, store: Place, num_inputs: int, expected: pa.Table) -> None:
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
        landed = kill_the_driver(
            root / "videos", root / "driver/store", rendered.num_clips, options.kills, dice
        )
        print("node", flush=True)
        landed += kill_a_node(root / "videos", root / "node/store", rendered.num_clips)
        for name in ("calm", "driver", "node"):
            check(name, root / name / "store", rendered.num_clips, expected)
        print(f"{landed} of {options.kills + 2} kills landed", flush=True)


if __name__ == "__main__":
    main()
