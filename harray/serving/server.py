"""Run the application until somebody stops it: on Ray of our own here, or on the cluster that there is."""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Generator
from typing import Any

from harray.distributed.resources import RayHandle, cluster_resources, start_ray
from harray.errors import InputError
from harray.serving.config import AUTO, Address, ServingConfig

APP = "harray"
CPUS_PER_REPLICA = 4  # of a machine with many; fewer replicas of more threads answer sooner


def check_address(address: Address, token: str | None) -> None:
    """Refuse at once what could not listen, or what would let everyone in.

    Raises:
        InputError: no token beyond localhost, or a port that is taken.
    """
    if not address.is_local and not token:
        raise InputError(
            f"--host {address.host} listens beyond this machine; give guests a token with --token or HARRAY_TOKEN, or "
            "leave --host out"
        )
    if os.environ.get("RAY_ADDRESS", "").removeprefix("local"):
        return  # the cluster's nodes listen, not this machine
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {address.port} of {address.host}: cannot be listened on ({error}); name another with --port"
            ) from error


@contextlib.contextmanager
def running(config: ServingConfig, address: Address, say: Callable[[str], None]) -> Generator[str]:
    """The application, up and answering at the URL that is yielded; gone afterwards, with the Ray that it started.

    Raises:
        InputError: the model cannot be loaded, or there is too little to run it on.
    """
    with start_ray() as handle:
        say("starting Ray Serve" if handle.is_local else f"joining the Ray cluster at {handle.address}")
        from ray import serve

        quiet: dict[str, Any] = {"log_level": "WARNING", "enable_access_log": False}
        serve.start(
            proxy_location="HeadOnly" if handle.is_local else "EveryNode",
            http_options={"host": address.host, "port": address.port},
            logging_config=quiet,
        )
        try:
            _deploy(config, handle, quiet)
            yield address.url
        finally:
            serve.delete(APP)
            if handle.is_local:
                serve.shutdown()


def _deploy(config: ServingConfig, handle: RayHandle, logging_config: dict[str, Any]) -> None:
    from ray import serve

    from harray.serving.deployments import application_of

    there = cluster_resources()
    num_gpus = 1.0 if there.get("GPU") else 0.0
    most = int(there.get("GPU", 0)) or max(1, int(there.get("CPU", 1)) // CPUS_PER_REPLICA)
    wanted = 1 if config.replicas == AUTO else int(config.replicas)
    if wanted > max(int(there.get("GPU", 0)), int(there.get("CPU", 1))):
        raise InputError(
            f"--replicas {wanted} needs {wanted} CPU (there are {there.get('CPU', 1):g}); use fewer or a larger cluster"
        )
    threads = max(1, (os.cpu_count() or 1) // wanted) if handle.is_local else None
    application = application_of(config, max_replicas=most, num_gpus=num_gpus, num_threads=threads)
    try:
        serve.run(application, name=APP, route_prefix="/", logging_config=logging_config)
    except RuntimeError as error:
        status = serve.status().applications.get(APP)
        said = " ".join(
            [str(error), *(each.message for each in status.deployments.values())] if status else [str(error)]
        )
        if found := re.search(r"harray\.errors\.InputError\S*: ([^\n]+)", said):
            raise InputError(found[1].strip()) from error
        raise
