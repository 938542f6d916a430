"""Commands about the machine: doctor, and promotion in the registry."""

import dataclasses
import importlib.metadata
import os
import platform
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harray import __version__
from harray import recipes as named
from harray.cli import options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError
from harray.workspace import Workspace


def doctor(
    out: options.Out = options.DEFAULT_OUT,
    recipe: options.Recipe = "default",
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """What harray finds on this machine.

    Python, torch and GPU, Ray, weights and where they would come from, the tracking store.
    """
    experiment = options.build_config(recipe, None, overrides)
    with session(out, "doctor", as_json) as terminal:
        found = {
            "harray": f"{__version__}, Python {platform.python_version()} on {platform.platform(terse=True)}",
            "torch": _torch(),
            "machine": _machine(),
            "Ray": _ray(),
            "pose weights": _weights("poses", experiment.poses.weights),
            "scene weights": _weights("scenes", experiment.scenes.weights),
            "pose backend": _backend("poses", experiment.extraction.poses.backend),
            "scene backend": _backend("scenes", experiment.extraction.scenes.backend),
            "tracking": _tracking(out, tracking_uri),
            "MLflow": importlib.metadata.version("mlflow"),
        }
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in found.items():
            table.add_row(name, value)
        terminal.result(table)
        terminal.json(found)


def promote(
    name: Annotated[str, typer.Argument(help="Registered model.")],
    version: Annotated[int, typer.Argument(help="Its version.")],
    alias: Annotated[str, typer.Option("--alias")] = "champion",
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Point an alias at a model version."""
    from harray.tracking.location import tracking_uri as ruling
    from harray.tracking.registry import promote as promote_version

    registered = promote_version(ruling(Workspace(out, tracking_uri)), name, version, alias)
    terminal = Terminal(as_json=as_json)
    terminal.result(f"{registered.name} version {registered.version} is now {alias}: {registered.uri}")
    terminal.json({"name": registered.name, "version": registered.version, "aliases": registered.aliases})


def recipes(as_json: options.Json = False) -> None:
    """The recipes: what each is for, its data, cost and score."""
    terminal = Terminal(as_json=as_json)
    for name, about in named.described().items():
        terminal.result(name)
        for text in about.paragraphs:
            terminal.result(textwrap.fill(text, 100, initial_indent="    ", subsequent_indent="    "))
    terminal.json({"recipes": {name: dataclasses.asdict(about) for name, about in named.described().items()}})


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


def _backend(room: str, requested: str) -> str:
    """What would run the network on this machine."""
    import torch

    from harray.networks.backends import describe

    try:
        return describe(requested, "cuda" if torch.cuda.is_available() else "cpu", room)
    except InputError as error:
        return f"NOT USABLE: {error}"


def _tracking(out: Path, explicit: str | None) -> str:
    from harray.tracking.location import probe

    found = probe(Workspace(out, explicit))
    state = {True: "ready", False: "NOT REACHABLE", None: "not checked"}[found.reachable]
    return f"{found.uri} (from {found.source}): {state}, {found.detail}"
