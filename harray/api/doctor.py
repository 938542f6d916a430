"""What harray finds on this machine."""

import importlib.metadata
import os
import platform
from typing import TYPE_CHECKING

from harray import __version__
from harray.api.session import working
from harray.api.starting import Config, Overrides, start_from
from harray.errors import InputError
from harray.reporting import Reporter
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.poses.config import PosesConfig
    from harray.scenes.config import ScenesConfig


def examine(
    *,
    recipe: str = "default",
    config: Config | None = None,
    overrides: Overrides | None = None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> dict[str, str]:
    """Python, torch and GPU, Ray, weights and where they would come from, the tracking store; a line each, by name.

    Raises:
        InputError: no such recipe or key.
    """
    experiment = start_from(recipe, config, overrides).experiment
    with working(workspace, reporter) as (place, _):
        return {
            "harray": f"{__version__}, Python {platform.python_version()} on {platform.platform(terse=True)}",
            "torch": _torch(),
            "machine": _machine(),
            "Ray": _ray(),
            "pose weights": _weights("poses", experiment.poses.weights),
            "scene weights": _weights("scenes", experiment.scenes.weights),
            "pose backend": _backend("poses", experiment.extraction.poses),
            "scene backend": _backend("scenes", experiment.extraction.scenes),
            "tracking": _tracking(place),
            "MLflow": importlib.metadata.version("mlflow"),
        }


def _torch() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"{torch.__version__}, no GPU, {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{torch.__version__}, {len(gpus)} GPU: {', '.join(gpus)}"


def _machine() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{os.cpu_count()} cores, {memory.available >> 30} of {memory.total >> 30} GiB memory free"


def _ray() -> str:
    version = importlib.metadata.version("ray")
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return f"{version}, no RAY_ADDRESS: commands start a local cluster of {os.cpu_count()} CPUs"
    from harray.distributed.resources import start_ray

    try:
        cluster = start_ray()
    except InputError as error:
        return f"{version}, {error}"
    try:
        resources = ", ".join(f"{amount:g} {name}" for name, amount in cluster.resources().items())
        return f"{version}, cluster at {address}: {resources}"
    finally:
        cluster.shutdown()


def _weights(room: str, name: str) -> str:
    """Where the weights would come from, without fetching them."""
    if room == "poses":
        from harray.poses.weights import locate_pose_weights as locate
    else:
        from harray.scenes.weights import locate_scene_weights as locate
    try:
        return locate(name)
    except InputError as error:
        return f"NOT FOUND: {error}"


def _backend(room: str, config: "PosesConfig | ScenesConfig") -> str:
    """What would run the network on this machine."""
    import torch

    from harray.networks.backends import describe

    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return describe(config.backend, config.precision, device, room)
    except InputError as error:
        return f"NOT USABLE: {error}"


def _tracking(workspace: Workspace) -> str:
    from harray.tracking.location import probe

    found = probe(workspace)
    state = {True: "ready", False: "NOT REACHABLE", None: "not checked"}[found.reachable]
    return f"{found.uri} (from {found.source}): {state}, {found.detail}"
