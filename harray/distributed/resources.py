"""The Ray cluster: which one, and whether it can hold what is about to start.

Ray silently waits for ever for resources that the cluster does not have: on 2 CPUs a trial, a training worker and a
data task block each other. So what a command needs is compared with what there is before it starts:

    no cluster yet       more than this machine has is refused before one is started
    a cluster            more than it has is refused; what other work holds is waited for a few seconds
    one that autoscales  more than it may grow to is refused; what is not there yet is said and waited for
"""

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any

from harray.distributed.autoscaler import cluster_limit
from harray.errors import InputError
from harray.reporting import SILENT, Reporter

OBJECT_STORE_BYTES = 512 << 20  # of a local cluster; of all commands only a sweep shares features by it
START_ATTEMPTS = 3
ANSWER_SEC = 3.0  # for a cluster's head to accept a connection
HANDSHAKE_SEC = 20.0  # for it to speak gRPC then; a head that starts on a busy machine takes its time
GRACE_SEC = 3.0  # freed resources take a moment to be reported
MEMORY = "object_store_memory"  # bytes, by Ray's name

# Ray reads these when it is first imported. By default it starts every worker of a `uv run` driver through uv
# again, reports usage, and warns about a change of its own to come. Ray Train takes one report from a worker each
# time it looks, every two seconds by default, and the worker waits for that: no epoch would be shorter.
_ENVIRONMENT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RayHandle:
    """The cluster that this process is connected to; a context that stops what `start_ray` started."""

    address: str
    is_local: bool  # this call started it
    is_ours: bool  # this call connected, so shutdown disconnects

    def resources(self) -> dict[str, float]:
        """What the whole cluster has, such as {"CPU": 8.0, "GPU": 1.0}."""
        return cluster_resources()

    def shutdown(self) -> None:
        """Disconnect, and stop the cluster if `start_ray` started it; a cluster that was there goes on."""
        import ray

        if self.is_ours and ray.is_initialized():
            ray.shutdown()

    def __enter__(self) -> "RayHandle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demand:
    """What must be there at the same time, compared with the cluster once, before anything starts."""

    purpose: str
    """What it is for, such as `training with 2 workers`."""
    remedy: str
    """What the user may change, such as `use fewer --workers`."""
    cpus: float = 0.0
    gpus: float = 0.0
    memory: float = 0.0
    """Of the object store, bytes."""

    @property
    def amounts(self) -> dict[str, float]:
        """By Ray's names; what is not wanted is left out."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, MEMORY: self.memory}
        return {name: float(amount) for name, amount in wanted.items() if amount}


def prepare_ray() -> None:
    """Choose Ray's behaviour by its environment variables; has its effect before Ray is first imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def start_ray(num_cpus: int | None = None, object_store_bytes: int = OBJECT_STORE_BYTES) -> RayHandle:
    """Connect to a cluster: the one this process has, else that of `RAY_ADDRESS`, else a new local one.

    Args:
        num_cpus: of a new local cluster; None for all cores of this machine.
        object_store_bytes: of a new local cluster.

    Raises:
        InputError: the cluster of `RAY_ADDRESS` does not answer.
    """
    prepare_ray()
    import ray

    if ray.is_initialized():
        return RayHandle(address=ray.get_runtime_context().gcs_address, is_local=False, is_ours=False)
    address = os.environ.get("RAY_ADDRESS", "").removeprefix("local")
    with _sigterm_as_before():
        if address:
            _join(address)
        else:
            _start_local(num_cpus, object_store_bytes)
    return RayHandle(address=ray.get_runtime_context().gcs_address, is_local=not address, is_ours=True)


@contextlib.contextmanager
def _sigterm_as_before() -> Generator[None]:
    """Restore the handler of SIGTERM: Ray's own aborts the process, and nothing would be closed."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _join(address: str) -> None:
    import ray
    from ray.exceptions import RayError

    try:
        _check_answers(address)
        ray.init(address=address, **_QUIET)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise InputError(
            f"RAY_ADDRESS={address}: no cluster answers there ({str(error).splitlines()[0]}); "
            "start one with `ray start --head`, or unset RAY_ADDRESS to work on this machine"
        ) from error


def _check_answers(address: str) -> None:
    """Check that a gRPC server answers there; Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():  # "auto" names none
        return
    socket.create_connection((host, int(port)), timeout=ANSWER_SEC).close()
    import grpc
    from ray._private.grpc_utils import init_grpc_channel  # with Ray's TLS and token, as Ray sets them up

    with init_grpc_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=HANDSHAKE_SEC)
        except grpc.FutureTimeoutError:
            raise TimeoutError(
                f"the port accepts connections, but nothing answered in {HANDSHAKE_SEC:g} s"
            ) from None


def _start_local(num_cpus: int | None, object_store_bytes: int) -> None:
    """Start Ray on this machine; where it is so busy that Ray's own 30 seconds do not suffice, try again."""
    import ray

    for attempt in range(START_ATTEMPTS):
        try:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=object_store_bytes,
                **_QUIET,
            )
            return
        except Exception as error:  # Ray raises a bare Exception here
            if "timed out during startup" not in str(error) or attempt + 1 == START_ATTEMPTS:
                raise
            ray.shutdown()


def cluster_resources() -> dict[str, float]:
    """CPUs and GPUs of the whole cluster: of its nodes, busy or not, and of those its autoscaler may yet add."""
    import ray

    present, limit = _devices(ray.cluster_resources()), autoscaler_limit()
    return {name: max(present.get(name, 0), limit.get(name, 0)) for name in present | limit}


def cpus_of_one_task() -> int:
    """How many CPUs one task may ask for wherever it runs: those of the smallest node that has any."""
    import ray

    if autoscaler_limit():
        return 1  # nodes that are yet to come may be of any size
    sizes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    return max(1, int(min((size for size in sizes if size), default=1)))


def autoscaler_limit() -> dict[str, float]:
    """CPUs and GPUs that an autoscaler may let the cluster grow to; empty where there is none."""
    import ray

    return cluster_limit(ray.get_runtime_context().gcs_address)


def free_resources() -> dict[str, float]:
    """CPUs and GPUs that nothing holds now."""
    import ray

    return _devices(ray.available_resources())


def missing_resources(demand: Mapping[str, float], there: Mapping[str, float]) -> str | None:
    """What `there` lacks for `demand`, in words; None where it suffices.

    >>> missing_resources({"CPU": 3, "GPU": 0.5}, {"CPU": 2.0})
    "3 CPU (there are 2) and 0.5 GPU (there are 0)"
    """
    lacking = [
        _in_words(name, amount, there.get(name, 0))
        for name, amount in demand.items()
        if amount > there.get(name, 0) + 1e-6
    ]
    return " and ".join(lacking) or None


def _in_words(name: str, amount: float, there: float) -> str:
    if name == MEMORY:
        return f"{amount / 1e9:.1f} GB of object store memory (there are {there / 1e9:.1f})"
    return f"{amount:g} {name} (there are {there:g})"


def check_machine(demand: Demand) -> None:
    """Refuse at once what this machine has not, where the command would start a cluster on it.

    Raises:
        InputError: more CPUs than cores, or more shared memory than there is memory.
    """
    ray = sys.modules.get("ray")
    if os.environ.get("RAY_ADDRESS", "").removeprefix("local") or (ray and ray.is_initialized()):
        return  # a cluster, which `check_demand` asks
    machine = {
        "CPU": os.cpu_count() or 1,
        MEMORY: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }
    asked = {name: demand.amounts.get(name, 0) for name in machine}
    if missing := missing_resources(asked, machine):
        raise InputError(
            f"{demand.purpose} needs {missing}; {demand.remedy} or join a larger cluster by RAY_ADDRESS"
        )


def check_possible(demand: Demand) -> None:
    """Refuse what the cluster cannot run, neither as it is nor as its autoscaler may make it.

    Raises:
        InputError: the cluster is too small.
    """
    if missing := missing_resources(demand.amounts, cluster_resources()):
        raise InputError(f"{demand.purpose} needs {missing}; {demand.remedy} or a larger cluster")


def check_demand(demand: Demand, reporter: Reporter = SILENT) -> None:
    """Refuse, within seconds, what the cluster cannot run, and say what an autoscaler is waited for.

    Raises:
        InputError: the cluster is too small, or other work holds too much of it.
    """
    check_possible(demand)
    deadline = time.monotonic() + GRACE_SEC
    while missing := missing_resources(demand.amounts, free_resources()):
        missing = missing.replace("there are", "free now")
        if autoscaler_limit():
            reporter.say(f"waiting for the cluster to grow: {demand.purpose} needs {missing}")
            return  # Ray asks the autoscaler for nodes, and waits for them
        if time.monotonic() > deadline:
            raise InputError(
                f"{demand.purpose} needs {missing}: other work holds the rest; wait for it, {demand.remedy} or use a "
                "larger cluster"
            )
        time.sleep(0.2)


def actors_demand(purpose: str, cpus: float, gpus: float = 0.0, memory: float = 0.0) -> Demand:
    """What actors need that share videos."""
    return Demand(purpose=purpose, remedy="use fewer --actors", cpus=cpus, gpus=gpus, memory=memory)


def trainings_demand(at_once: int, num_threads: int, gpus_each: float = 0.0) -> Demand:
    """Trainings of a cross-validation at the same time."""
    return Demand(
        purpose=f"{at_once} trainings at once",
        remedy="use fewer --workers",
        cpus=at_once * num_threads,
        gpus=at_once * gpus_each,
    )


def gpus_for(device: str, num_workers: int, there: Mapping[str, float]) -> float:
    """GPUs per worker: one each if wanted, or if the device is `auto` and there are enough; else none."""
    return float(device == "cuda" or (device == "auto" and there.get("GPU", 0) >= num_workers))


def _devices(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: resources[name] for name in ("CPU", "GPU", MEMORY) if name in resources}
