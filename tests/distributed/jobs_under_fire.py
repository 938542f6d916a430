"""Kill a node of a three-node cluster during each kind of job, and see whether the job ends with all its results.

    uv run python tests/distributed/jobs_under_fire.py
    uv run python tests/distributed/jobs_under_fire.py --only extract train --epochs 40

A head and two workers of one CPU each, as `ray start` makes them, with token authentication. Every job goes in by
`ray job submit`; in the middle of its work one worker that has a part in it is killed with all its processes, and a
new one is started in its place (but for `fewer`), as an autoscaler would have it:

    extract   rendered videos, one of them broken: every input accounted for, the store verifies
    train     two workers on two nodes, their state in a bucket: every epoch once in MLflow, the model loads
    fewer     the same with three workers on three nodes, of which one is lost for good: the two others go on
    tune      a sweep of eight trials: eight trials in MLflow, each once and ended
    predict   every video in order, the broken one with its reason

Takes about ten minutes on two cores.
"""

import argparse
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harray.store import FeatureStore
from harray.store.verify import verify
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from harray.training.checkpoint import load_checkpoint
from tests.clusters import ROOT, JobCluster, bucket, job_cluster

NUM_NODES, NUM_TRIALS = 3, 8
BUCKET = "harray"
RECIPE = ["--recipe", "procedural"]
LANDED: list[str] = []  # jobs that were at work when a node of theirs was killed


def run(
    cluster: JobCluster,
    name: str,
    arguments: list[object],
    num_done: Callable[[str], int],
    kill_at: int,
    for_good: bool = False,
) -> dict[str, Any]:
    """Submit a job, kill a node when so much is done, and return what the job says at its success.

    Args:
        num_done: how far the job is, given what it has said.
        for_good: whether no node takes the killed one's place.
    """
    cluster.wait_for_workers()
    job = cluster.submit(name, *arguments)
    while job.is_running and num_done(job.text()) < kill_at:
        time.sleep(0.2)
    while job.is_running and not (busy := [node for node in cluster.workers if node.is_working()]):
        time.sleep(0.1)
    assert job.is_running, f"{name} ended before a node could be killed: {job.story()}"
    at_sec, done = time.monotonic() - job.started, num_done(job.text())
    busy[-1].kill()
    assert job.is_running, f"{name} was over before the kill: {job.story()}"
    LANDED.append(name)
    cluster.workers.remove(busy[-1])
    if not for_good:
        cluster.add_worker()
    answer = job.end()
    print(
        f"{name}: node killed after {at_sec:.0f} s with {done} done, ended well after "
        f"{time.monotonic() - job.started:.0f} s",
        flush=True,
    )
    return answer


def extract(cluster: JobCluster, root: Path, num_videos: int) -> None:
    store = root / "store"
    arguments = [root / "videos", "--store", store, *RECIPE, "--json", "--out", root / "out"]

    def num_done(said: str) -> int:
        return len(FeatureStore.open(store).ledger()) if (store / "ledger").is_dir() else 0

    answer = run(cluster, "extract", arguments, num_done, num_videos // 3)
    found = verify(FeatureStore.open(store))
    assert found.problems == [], found.problems
    assert (answer["inputs"], answer["extracted"], answer["quarantined"]) == (num_videos, num_videos - 1, 1)
    assert (found.num_inputs, found.num_clips) == (num_videos, num_videos - 1)
    print(f"  {found.num_inputs} inputs, {found.num_extracted} extracted, verified", flush=True)


def train(
    cluster: JobCluster, root: Path, num_epochs: int, num_workers: int = 2, for_good: bool = False
) -> Path:
    out = root / f"out-{num_workers}"
    arguments = ["--store", root / "store", *RECIPE, "--workers", num_workers]
    arguments += ["--storage", f"s3://{BUCKET}/ray", "--json", "--out", out]
    arguments += [f"training.num_epochs={num_epochs}"]
    answer = run(cluster, "train", arguments, lambda said: epochs_recorded(out), num_epochs // 3, for_good)
    assert answer["num_epochs"] == num_epochs
    query = "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'val.top1' AND step > 0 ORDER BY step"
    steps = [step for (step,) in rows(out, query, answer["run_id"])]
    assert steps == list(range(1, num_epochs + 1)), steps
    load_checkpoint(Path(answer["checkpoint"]))
    print(f"  {num_epochs} epochs, each recorded once, val {answer['val']}", flush=True)
    return Path(answer["checkpoint"])


def tune(cluster: JobCluster, root: Path, num_epochs: int) -> None:
    out = root / "out-tune"
    arguments = ["--store", root / "store", *RECIPE, "--search", "optimisation", "--trials", NUM_TRIALS]
    arguments += ["--json", "--out", out, f"training.num_epochs={num_epochs}"]
    trials = "SELECT status FROM runs WHERE run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId')"

    def num_done(said: str) -> int:
        return sum(status != "RUNNING" for (status,) in rows(out, trials))

    run(cluster, "tune", arguments, num_done, NUM_TRIALS // 3)
    states = [status for (status,) in rows(out, trials)]
    assert len(states) == NUM_TRIALS, states
    assert "RUNNING" not in states, states
    print(f"  {len(states)} trials: {states}", flush=True)


def predict(cluster: JobCluster, root: Path, checkpoint: Path, num_videos: int) -> None:
    videos = sorted((root / "videos").rglob("*.mp4"))
    arguments = [checkpoint, *videos, "--actors", NUM_NODES, "--json", "--out", root / "out"]
    answer = run(cluster, "predict", arguments, lambda said: said.count(".mp4: "), kill_at=num_videos // 3)
    entries = answer["predictions"]
    assert [entry["video"] for entry in entries] == [str(video) for video in videos]
    failed = [entry for entry in entries if "error" in entry]
    assert [Path(entry["video"]).name for entry in failed] == ["broken.mp4"], failed
    print(f"  {len(entries)} videos in order, failed: {failed}", flush=True)


def epochs_recorded(out: Path) -> int:
    return max((step for (step,) in rows(out, "SELECT max(step) FROM metrics") if step), default=0)


def rows(out: Path, query: str, *values: object) -> list[tuple]:
    """What MLflow's database holds; nothing where there is none yet."""
    if not (out / "mlflow.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{out / 'mlflow.db'}?mode=ro", uri=True)) as database:
        return database.execute(query, values).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = ["extract", "train", "fewer", "tune", "predict"]
    parser.add_argument("--only", nargs="+", choices=jobs, default=jobs)
    parser.add_argument("--clips-per-action", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=24)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fire-") as folder,
        bucket(BUCKET) as variables,
        job_cluster(num_cpus=1, **variables) as cluster,
    ):
        root = Path(folder)
        for _ in range(NUM_NODES - 1):
            cluster.add_worker()
        num_videos = prepare_videos(root / "videos", options.clips_per_action)
        print(f"{num_videos} videos, one of them broken", flush=True)
        extract(cluster, root, num_videos)
        checkpoint = None
        if {"train", "predict"} & set(options.only):
            checkpoint = train(cluster, root, options.epochs)
        if "fewer" in options.only:
            train(cluster, root, options.epochs, NUM_NODES, for_good=True)
            cluster.add_worker()
        if "tune" in options.only and (ROOT / "jobs" / "tune.py").exists():
            tune(cluster, root, options.epochs // 3)
        if "predict" in options.only and checkpoint is not None:
            predict(cluster, root, checkpoint, num_videos)
        print(f"{len(LANDED)} kills landed: {', '.join(LANDED)}", flush=True)


def prepare_videos(folder: Path, clips_per_action: int) -> int:
    """Render videos, and add one that cannot be read; how many there are."""
    rendered = render_dataset(
        folder, SynthConfig(clips_per_action=clips_per_action, num_actors=clips_per_action)
    )
    manifest = folder / "manifest.csv"
    lines = manifest.read_text().splitlines()
    broken = folder / "broken.mp4"
    broken.write_text("no video")
    columns, first = lines[0].split(","), lines[1].split(",")
    first[columns.index("path")] = broken.name
    manifest.write_text("\n".join([*lines, ",".join(first), ""]))
    return rendered.num_clips + 1


if __name__ == "__main__":
    main()
