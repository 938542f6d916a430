"""Ask a cluster for more than it has, and one that grows for what it has not yet.

    uv run python tests/distributed/beyond_the_cluster.py

    fixed    one node of two CPUs: extract, train, tune and predict for 64 are refused, and how soon is said
    growing  a head without CPUs, and an autoscaler of up to two workers of one CPU: extraction waits and says for what,
             and succeeds; training on four is refused

Takes about three minutes on two cores.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from tests.clusters import ROOT, JobCluster, autoscaling, command_path, job_cluster

FAST = ["--recipe", "procedural", "scenes.weights=none"]
MANY = 64


def harray(cluster: JobCluster | None, *arguments: object) -> tuple[int, list[str], float]:
    """Run a command on a cluster, or where None is given as on a machine without any: exit code, lines, seconds."""
    environment = {**os.environ, "RAY_ADDRESS": ""}
    if cluster:
        environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    started = time.monotonic()
    ended = subprocess.run(
        [command_path("harray"), *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    return ended.returncode, ended.stderr.splitlines(), time.monotonic() - started


def refused(cluster: JobCluster | None, *arguments: object) -> None:
    """Run a command that must be refused by one line that names a flag."""
    code, said, seconds = harray(cluster, *arguments)
    assert code == 2, said
    assert "--" in said[-1], said
    where = "on a cluster" if cluster else "alone"
    print(f"{arguments[0]} {where}: refused, {seconds:.1f} s with Python's start; {said[-1]}", flush=True)


def demands(videos: Path, store: Path, out: Path) -> list[list[object]]:
    """Commands that want too much, for those that are there."""
    found: list[list[object]] = [
        ["extract", videos, "--store", store.with_name("new"), "--actors", MANY, "--out", out, *FAST],
        ["train", "--store", store, "--workers", MANY, "--out", out],
    ]
    if (ROOT / "jobs" / "tune.py").exists():
        found.append(["tune", "--store", store, "--search", "pcm", "--workers-per-trial", MANY, "--out", out])
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="beyond-") as folder:
        root = Path(folder)
        videos, store, out = root / "videos", root / "store", root / "out"
        render_dataset(videos, SynthConfig(clips_per_action=3, num_actors=3))
        with job_cluster(0, autoscaling(2, {"CPU": 1})) as cluster:
            code, said, seconds = harray(cluster, "extract", videos, "--store", store, "--out", out, *FAST)
            assert code == 0, said
            [waiting] = [line for line in said if line.startswith("waiting")]
            print(f"extract on a growing cluster: succeeded after {seconds:.0f} s; {waiting}", flush=True)
            refused(cluster, "train", "--store", store, "--workers", 4, "--out", out)
        with job_cluster(num_cpus=2) as cluster:
            for demand in demands(videos, store, out):
                refused(cluster, *demand)
        for demand in demands(videos, store, out):
            refused(None, *demand)


if __name__ == "__main__":
    main()
