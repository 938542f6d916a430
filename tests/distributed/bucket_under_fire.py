"""Nothing shared but a bucket: extraction under fire there, and four jobs on three nodes that see no disk of another's.

    uv run python tests/distributed/bucket_under_fire.py
    uv run python tests/distributed/bucket_under_fire.py --only jobs

fire    rendered videos through `harray extract` into s3://, on an S3 server of our own behind a proxy: the driver is
        killed (SIGKILL) whenever some more inputs are done, the server is away for 30 s when half of them are, an
        actor is killed in the last run; then, into another store, one of three nodes is killed. Both stores verify,
        account for every input once, and hold the rows of an undisturbed run into a folder.
jobs    a head and two workers of one CPU each, as `ray start` makes them, every one with a /tmp and a home of its own
        (a mount namespace; needs root): extract, train with two workers, tune with eight trials, predict. Videos,
        store, checkpoints and the sweep lie in the bucket; MLflow's server is the only other thing.

Takes about a quarter of an hour on two cores.
"""

import argparse
import contextlib
import os
import random
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Generator
from functools import partial
from pathlib import Path

from harray.files import list_tree, place, send_tree
from harray.store import FeatureStore
from harray.store.verify import verify
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from tests.clusters import bucket, command_path, free_ports, job_cluster
from tests.distributed.extraction_under_fire import Extraction, check, kill_a_node, kill_the_driver, rows_of
from tests.servers import FaultyServer, faulty

BUCKET, AWAY_SEC, NUM_TRIALS = "harray", 30, 8
RECIPE = ["--recipe", "procedural", "scenes.weights=none"]


def fire(root: Path, videos: Path, num_clips: int, kills: int, proxy: FaultyServer) -> None:
    """Bar: rows equal to the undisturbed run's."""
    print("calm", Extraction(videos, root / "calm" / "store").end(), flush=True)
    expected = rows_of(root / "calm" / "store")
    store = place(f"s3://{BUCKET}/fire/store")

    def away() -> None:
        while not store.exists() or len(FeatureStore.open(store).ledger()) < num_clips // 2:
            time.sleep(0.5)
        proxy.go_away(AWAY_SEC)
        print(f"  the server is away for {AWAY_SEC} s", flush=True)

    threading.Thread(target=away, daemon=True).start()
    landed = kill_the_driver(videos, store, num_clips, kills, random.Random(0))
    check("bucket", store, num_clips, expected)
    node = place(f"s3://{BUCKET}/node/store")
    landed += kill_a_node(videos, node, num_clips)
    check("node", node, num_clips, expected)
    print(f"{landed} of {kills + 2} kills landed", flush=True)


def jobs(root: Path, videos: Path, num_clips: int, num_epochs: int, variables: dict[str, str]) -> None:
    """Bar: all four end well."""
    home = f"s3://{BUCKET}/jobs"
    send_tree(videos, place(f"{home}/videos"))
    store, out = f"{home}/store", f"{home}/out"
    common = ["--json", *RECIPE]
    with tracking_server(root, variables) as uri:
        told = {**variables, "MLFLOW_TRACKING_URI": uri, "HARRAY_OUT": out}
        with job_cluster(num_cpus=1, around=partial(apart, root), **told) as cluster:
            for _ in range(2):
                cluster.add_worker()
            cluster.wait_for_workers()

            def run(job: str, *arguments: object) -> dict:
                started = time.monotonic()
                answer = cluster.submit(job, *arguments).end(1800)
                print(f"{job}: ended well after {time.monotonic() - started:.0f} s", flush=True)
                return answer

            answer = run("extract", f"{home}/videos/manifest.csv", "--store", store, *common)
            assert (answer["inputs"], answer["extracted"]) == (num_clips, num_clips), answer
            assert verify(FeatureStore.open(store)).problems == []
            epochs = f"training.num_epochs={num_epochs}"
            trained = run("train", "--store", store, "--workers", 2, *common, epochs)
            assert trained["checkpoint"].startswith(f"{out}/runs/"), trained
            tuned = run("tune", "--store", store, "--trials", NUM_TRIALS, *common, epochs)
            assert tuned["num_trials"] == NUM_TRIALS, tuned
            names = sorted(f"{home}/videos/{file.path.relative_to(videos)}" for file in list_tree(videos))
            films = [name for name in names if name.endswith(".mp4")][:6]
            answer = run("predict", trained["checkpoint"], *films, "--actors", 2, "--json")
            assert [entry["video"] for entry in answer["predictions"]] == films
            assert all("error" not in entry for entry in answer["predictions"]), answer
    names = [
        str(file.path) for file in list_tree(place(out)) if file.num_bytes
    ]  # Ray leaves empty ones for folders
    left = [name for name in names if "/tune/" in name or ".ray/" in name]
    assert not left, left


def apart(root: Path, command: list[str]) -> list[str]:
    """A command that sees a /tmp and a home of its own, which lie below a folder."""
    script = (
        'own=$(mktemp --directory --tmpdir="$0"); cp -r "$HOME" "$own/home"; mkdir "$own/tmp"; '
        'mount --bind "$own/tmp" /tmp; export HOME="$own/home" TMPDIR=/tmp; cd /; exec "$@"'
    )
    return ["unshare", "--mount", "bash", "-c", script, str(root), *command]


@contextlib.contextmanager
def tracking_server(root: Path, variables: dict[str, str]) -> Generator[str]:
    """An MLflow server whose artifacts lie in the bucket."""
    (port,) = free_ports(1)
    command = [command_path("mlflow"), "server", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{root}/mlflow.db",
        "--artifacts-destination",
        f"s3://{BUCKET}/mlflow",
    ]
    with (root / "mlflow.log").open("w") as log:
        environment = os.environ | variables | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        while server.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5),
            ):
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=["fire", "jobs"], default=["fire", "jobs"])
    parser.add_argument("--clips-per-action", type=int, default=8)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fire-", dir="/var/tmp") as folder,
        bucket(BUCKET) as variables,
        faulty(variables["AWS_ENDPOINT_URL"]) as proxy,
    ):
        root, videos = Path(folder), Path(folder) / "videos"
        os.environ.update(variables)
        rendered = render_dataset(
            videos,
            SynthConfig(clips_per_action=options.clips_per_action, num_actors=options.clips_per_action),
        )
        print(f"{rendered.num_clips} clips", flush=True)
        if "jobs" in options.only:
            jobs(root, videos, rendered.num_clips, options.epochs, variables)
        if "fire" in options.only:
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            fire(root, videos, rendered.num_clips, options.kills, proxy)


if __name__ == "__main__":
    main()
