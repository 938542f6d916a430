"""Chooses the runtime of a network: the one asked for, else the fastest that is installed."""

import importlib.util
import logging
from collections.abc import Callable
from importlib.metadata import version

from harray.errors import InputError
from harray.networks.export import NotExportable, export_file, exported
from harray.networks.runtimes import EXPORTED, ONNX, OPENVINO, TORCH, TorchNetwork
from harray.networks.spec import Network, NetworkSpec

AUTO = "auto"
BACKENDS = (AUTO, TORCH, ONNX, OPENVINO)
MODULES = {TORCH: ("torch",), ONNX: ("onnxruntime", "onnx"), OPENVINO: ("openvino", "onnx")}
INSTALL = {ONNX: "harray", OPENVINO: "harray[openvino]"}
CPU_ORDER = (
    ONNX,
    OPENVINO,
    TORCH,
)  # 46, 47 and 38 frames/s per core (docs/performance.md); the first is always installed


def installed_backends() -> list[str]:
    """The backends whose packages are installed; imports none of them."""
    return [name for name, modules in MODULES.items() if not _missing(modules)]


def choose_backend(requested: str, device: str, room: str) -> str:
    """The backend for `{room}.backend = requested` on "cpu" or "cuda".

    Raises:
        InputError: no such backend, not installed, or not for GPUs.
    """
    if requested not in BACKENDS:
        raise InputError(f"{room}.backend={requested}: no such backend; expected {', '.join(BACKENDS)}")
    if device != "cpu":
        if requested in EXPORTED:
            raise InputError(
                f"{room}.backend={requested} runs on CPUs and this is a GPU; expected {AUTO} or {TORCH}"
            )
        return TORCH
    if requested == AUTO:
        here = installed_backends()
        return next(name for name in CPU_ORDER if name in here)
    if missing := _missing(MODULES[requested]):
        raise InputError(
            f"{room}.backend={requested}: {' and '.join(missing)} not installed; install "
            f"{INSTALL[requested]}, or use {room}.backend={AUTO}"
        )
    return requested


def open_network(
    spec: NetworkSpec,
    requested: str,
    device: str,
    num_threads: int | None = None,
    on_message: Callable[[str], None] = logging.getLogger(__name__).warning,
) -> Network:
    """Build the network on its backend.

    Args:
        num_threads: on a CPU; None for as many as there are cores.
        on_message: called where `auto` has to fall back to torch, with the reason.

    Raises:
        InputError: as `choose_backend` and `exported`; weights that are missing or not what they should be.
    """
    backend = choose_backend(requested, device, spec.room)
    if backend != TORCH:
        try:
            return EXPORTED[backend](exported(spec, backend), num_threads)
        except NotExportable as error:
            if requested != AUTO:
                raise
            on_message(f"using torch instead of the faster {backend}: {error}")
    return TorchNetwork(spec.build(device), device, num_threads)


def make_ready(spec: NetworkSpec, requested: str, device: str) -> list[str]:
    """Export now what `open_network` would otherwise export at its first use; returns warnings for the user.

    Raises:
        InputError: as `open_network`.
    """
    backend = choose_backend(requested, device, spec.room)
    messages: list[str] = []
    if backend != TORCH and not export_file(spec, backend).is_file():
        open_network(spec, requested, device, on_message=messages.append)
    return messages


def describe(requested: str, device: str, room: str) -> str:
    """Which backend would run, and what else is installed, in words.

    Raises:
        InputError: as `choose_backend`.
    """
    chosen = choose_backend(requested, device, room)
    others = [name for name in installed_backends() if name != chosen]
    absent = [name for name in MODULES if name not in (chosen, *others)]
    return f"{_versioned(chosen)}; also here: {', '.join(map(_versioned, others)) or 'none'}" + (
        f"; not installed: {', '.join(absent)}" if absent else ""
    )


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def _versioned(backend: str) -> str:
    package = MODULES[backend][0]
    return f"{backend} ({package} {version(package)})"
