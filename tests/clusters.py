"""Ray clusters as `ray start` makes them: nodes with processes of their own, own ports, own folder and a token,
beside any other cluster of this machine. Stopped by their own processes, since `ray stop` would stop every cluster.
"""

import contextlib
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
START_SEC, STOP_SEC = 120, 20
START_ATTEMPTS = 3
OBJECT_STORE_BYTES = 200 << 20


@dataclass
class Node:
    """One node of a cluster: `ray start --block` and all that it started."""

    process: subprocess.Popen
    log: Path

    def has_started(self) -> bool:
        """Whether it has joined its cluster, or is one."""
        return "Ray runtime started" in self.log.read_text()

    def processes(self) -> list[psutil.Process]:
        """The node's processes that live, its Ray workers among them."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def is_working(self) -> bool:
        """Whether one of its Ray workers has something to do."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
                if title.startswith("ray::") and not title.startswith("ray::IDLE"):
                    return True
        return False

    def kill(self) -> None:
        """End the whole node at once, as when its machine is taken away."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.kill()
        self.process.wait(STOP_SEC)

    def stop(self) -> None:
        """End the node and what it started (`--block` ends its children with itself, but not theirs)."""
        started = self.processes()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SEC)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process.poll() is None:
            self.kill()


@dataclass(kw_only=True)
class JobCluster:
    """`environment` is what a person at this cluster's keyboard has: address, token mode and home."""

    environment: dict[str, str]
    address: str
    folder: Path
    workers: list[Node] = field(default_factory=list)
    num_started: int = 0
    around: Callable[[list[str]], list[str]] = lambda command: command

    def ray(
        self, *arguments: str, timeout_sec: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the `ray` command line to its end."""
        return subprocess.run(
            [command_path("ray"), *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout_sec,
        )

    def submit(self, job: str, *arguments: object) -> "Job":
        """`ray job submit` of jobs/NAME.py, from the repository's root."""
        return Job(self, job, [str(argument) for argument in arguments])

    def add_worker(self, num_cpus: int = 1) -> Node:
        """Start one more node; it is part of the cluster a few seconds later."""
        self.num_started += 1
        folder = (
            self.folder / f"w{self.num_started}"
        )  # else nodes would remove each other's copies of the code
        flags = [f"--address={self.address}", f"--num-cpus={num_cpus}", f"--temp-dir={folder}"]
        worker = start_node(flags, self.environment, self.folder / f"w{self.num_started}.log", self.around)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self) -> None:
        """Until every worker that was added is part of the cluster, and no other; one that the machine was too busy
        to start is started again."""
        deadline = time.monotonic() + START_SEC * START_ATTEMPTS
        while (
            not all(worker.has_started() for worker in self.workers)
            or self._num_alive() != len(self.workers) + 1
        ):
            assert time.monotonic() < deadline, f"{self._num_alive()} nodes, expected {len(self.workers) + 1}"
            for worker in [worker for worker in self.workers if worker.process.poll() is not None]:
                self.workers.remove(worker)
                self.add_worker()
            time.sleep(0.5)

    def _num_alive(self) -> int:
        token = Path(self.environment["HOME"], ".ray", "auth_token").read_text().strip()
        url = f"{self.environment['RAY_API_SERVER_ADDRESS']}/nodes?view=summary"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                nodes = json.load(answer)["data"]["summary"]
        except OSError:  # a dashboard that has just started, on a machine that is busy
            return 0
        return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)


class Job:
    """A submitted job that may still run; its log goes to a file."""

    def __init__(self, cluster: JobCluster, name: str, arguments: list[str]):
        self.log = cluster.folder / f"{name}-{time.time():.0f}.log"
        self.started = time.monotonic()
        command = [command_path("ray"), "job", "submit", "--working-dir", str(ROOT)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--", "python", f"jobs/{name}.py", *arguments],
                env=cluster.environment,
                stdout=log,
                stderr=log,
            )

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text()

    def story(self) -> str:
        """The end of what it has said, and of the log that it names."""
        told = [self.text()[-3000:]]
        for line in self.text().splitlines():
            if line.startswith("log: ") and (log := Path(line.removeprefix("log: "))).is_file():
                told.append(log.read_text()[-3000:])
        return "\n".join(told)

    def end(self, timeout_sec: float = 600) -> dict[str, Any]:
        """Wait for its success; what it printed as JSON."""
        code = self.process.wait(timeout_sec)
        assert code == 0 and "succeeded" in self.text(), self.story()
        return next(json.loads(line) for line in reversed(self.text().splitlines()) if line.startswith("{"))


@contextlib.contextmanager
def bucket(name: str) -> Generator[dict[str, str]]:
    """An empty S3 bucket on a server of our own; the environment variables by which it is reached."""
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of every request
    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    S3FileSystem(
        endpoint_override=variables["AWS_ENDPOINT_URL"],
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        region=variables["AWS_DEFAULT_REGION"],
        allow_bucket_creation=True,
    ).create_dir(name)
    try:
        yield variables
    finally:
        server.stop()


def command_path(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextlib.contextmanager
def job_cluster(
    num_cpus: int,
    autoscaler: dict[str, Any] | None = None,
    around: Callable[[list[str]], list[str]] = lambda command: command,
    **variables: str,
) -> Generator[JobCluster]:
    """A head with so many CPUs; workers are added to it, or come by an autoscaler (see `autoscaling`).

    Args:
        around: makes of the command that starts a node the one that is run.
        variables: environment variables of every node, job and command.
    """
    folder = Path(tempfile.mkdtemp(prefix="hr-"))  # short: Ray puts Unix sockets below it
    (folder / "home").mkdir()
    gcs, dashboard, client = free_ports(3)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "HOME": str(folder / "home"),  # where the token goes
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # where uv runs the script, Ray would build its environment anew
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_USAGE_STATS_ENABLED": "0",
        **variables,
    }
    cluster = JobCluster(environment=environment, address=f"127.0.0.1:{gcs}", folder=folder, around=around)
    cluster.ray("get-auth-token", "--generate").check_returncode()
    flags = ["--head", f"--port={gcs}", f"--dashboard-port={dashboard}", f"--temp-dir={folder / 'ray'}"]
    flags += [f"--ray-client-server-port={client}", f"--num-cpus={num_cpus}"]
    if autoscaler:
        autoscaler["provider"]["gcs_address"] = cluster.address
        (folder / "autoscaler.json").write_text(json.dumps(autoscaler))
        flags += [f"--autoscaling-config={folder / 'autoscaler.json'}"]
        environment |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    head = start_head(flags, environment, folder / "head.log", around)
    try:
        yield cluster
    finally:
        for node in (*cluster.workers, head):
            if node.process.poll() is None:
                node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def autoscaling(max_workers: int, resources: dict[str, int]) -> dict[str, Any]:
    """A config of `ray start --autoscaling-config`, whose workers are raylets on this machine."""
    head, worker = "ray.head.default", "worker"
    nodes = {
        head: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        worker: {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": max_workers},
    }
    empty_lists = (
        "initialization",
        "setup",
        "head_setup",
        "worker_setup",
        "head_start_ray",
        "worker_start_ray",
    )
    return {
        "cluster_name": "fake",
        "max_workers": max_workers,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 1,
        "provider": {"type": "fake_multinode"},
        "available_node_types": nodes,
        "head_node_type": head,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "no_restart": False,
        **{f"{name}_commands": [] for name in empty_lists},
    }


def start_head(
    flags: list[str],
    environment: dict[str, str],
    log: Path,
    around: Callable[[list[str]], list[str]] = lambda command: command,
) -> Node:
    """A head that answers; tried again where the machine is too busy for the 30 seconds that Ray gives itself."""
    for _ in range(START_ATTEMPTS):
        head = start_node(flags, environment, log, around)
        deadline = time.monotonic() + START_SEC
        while head.process.poll() is None and time.monotonic() < deadline:
            if _answers(environment["RAY_API_SERVER_ADDRESS"]):
                return head
            time.sleep(0.2)
        head.stop()
    raise RuntimeError(f"no cluster after {START_ATTEMPTS} attempts: {log.read_text()[-2000:]}")


def start_node(
    flags: list[str],
    environment: dict[str, str],
    log: Path,
    around: Callable[[list[str]], list[str]] = lambda command: command,
) -> Node:
    """`ray start --block`, on ports that are free.

    Ports that are given need no waiting: a raylet gives its agents 15 seconds to tell theirs, and then dies.
    """
    names = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
    ports = [f"--{name}-port={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
    command = [command_path("ray"), "start", "--block", "--node-ip-address=127.0.0.1", "--num-gpus=0"]
    command += [*ports, "--min-worker-port=0", "--max-worker-port=0"]
    command += [f"--object-store-memory={OBJECT_STORE_BYTES}", *flags]
    with log.open("w") as output:
        process = subprocess.Popen(
            around(command), env=environment, stdout=output, stderr=output, start_new_session=True
        )
    return Node(process, log)


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _answers(address: str) -> bool:
    """Whether a dashboard is there, be its answer a refusal for want of a token; `ray` itself takes 4 s to ask."""
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
