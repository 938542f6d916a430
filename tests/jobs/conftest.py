"""A Ray cluster as `ray start --head` makes it, with its own ports, folder and token, beside any other."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harray.schema import EXTRACTED

START_SEC, STOP_SEC = 120, 20


@dataclass(frozen=True, kw_only=True)
class JobCluster:
    """`environment` is what a person at this cluster's keyboard has: address, token mode and home."""

    environment: dict[str, str]

    def ray(
        self, *arguments: str, timeout_sec: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the `ray` command line to its end."""
        return subprocess.run(
            [ray_command(), *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout_sec,
        )


def ray_command() -> str:
    return str(Path(sys.executable).with_name("ray"))


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="session")
def job_cluster():
    """One head with two CPUs; started and stopped by its own process, since `ray stop` would stop every cluster."""
    folder = Path(tempfile.mkdtemp(prefix="hr-"))  # short: Ray puts Unix sockets below it
    (folder / "home").mkdir()
    gcs, dashboard, client, agent = free_ports(4)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "HOME": str(folder / "home"),  # where the token goes
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    cluster = JobCluster(environment=environment)
    cluster.ray("get-auth-token", "--generate").check_returncode()
    command = [ray_command(), "start", "--head", "--block", "--num-cpus=2", "--num-gpus=0"]
    command += [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
    command += [f"--dashboard-agent-listen-port={agent}", "--min-worker-port=0", "--max-worker-port=0"]
    command += [f"--temp-dir={folder / 'ray'}", f"--object-store-memory={200 * 2**20}"]
    with (folder / "start.log").open("w") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_ready(environment["RAY_API_SERVER_ADDRESS"], head, folder / "start.log")
        yield cluster
    finally:
        _stop(head)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(address: str, head: subprocess.Popen, log: Path) -> None:
    """Wait for the dashboard's answer, be it a refusal for want of a token; `ray` itself takes 4 s to ask."""
    deadline = time.monotonic() + START_SEC
    while head.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/api/version", timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no cluster after {START_SEC} s: {log.read_text()[-2000:]}")


def _stop(head: subprocess.Popen) -> None:
    """End the head and what it started (`--block` ends its children with itself)."""
    head.terminate()
    try:
        head.wait(STOP_SEC)
    except subprocess.TimeoutExpired:
        os.killpg(head.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory) -> Path:
    """24 clips of one person who is still or jumps; no scene, nothing rendered."""
    from harray.store import FeatureStore, StoreSettings

    settings = StoreSettings(skeleton="coco17", keypoints_shape=(1, 16, 17, 3))
    store = FeatureStore.create(tmp_path_factory.mktemp("jobs") / "store", settings)
    random = np.random.default_rng(0)
    names = [f"{label}-{number}" for label in ("jump", "still") for number in range(12)]
    store.write_shard([_clip(name, random) for name in names])
    store.append_ledger(
        {
            "path": f"/{name}.mp4",
            "label": name.partition("-")[0],
            "group": name.partition("-")[2],
            "splits": ["train" if int(name.partition("-")[2]) < 8 else "val"],
            "clip_id": name,
            "status": EXTRACTED,
        }
        for name in names
    )
    return store.path


def _clip(name: str, random: np.random.Generator) -> dict:
    keypoints_PTKC1 = np.ones((1, 16, 17, 3), np.float32)
    keypoints_PTKC1[..., :2] = random.uniform(80, 160, size=(17, 2)) + random.normal(size=(1, 16, 17, 2))
    if name.startswith("jump"):
        keypoints_PTKC1[..., 1] -= 30 * np.abs(np.sin(np.arange(16)))[None, :, None]
    return {
        "clip_id": name,
        "frame_index": list(range(16)),
        "frame_sec": [t / 25 for t in range(16)],
        "height_px": 240,
        "width_px": 320,
        "keypoints": keypoints_PTKC1,
    }
