"""Chooses what runs a network, and in which precision: what was asked for, else the fastest that is near enough."""

import importlib.util
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

from harray.errors import InputError
from harray.networks.export import NotExportable, export_file, exported
from harray.networks.precision import AUTO, BF16, FP16, FP32, check_precision, has_fast_bf16
from harray.networks.runtimes import EXPORTED, ONNX, OPENVINO, TORCH, TorchNetwork
from harray.networks.spec import Network, NetworkSpec

BACKENDS = (AUTO, TORCH, ONNX, OPENVINO)
MODULES = {TORCH: ("torch",), ONNX: ("onnxruntime", "onnx"), OPENVINO: ("openvino", "onnx")}
# fastest first; frames/s per core in docs/performance.md
CPU_ORDER = ((OPENVINO, BF16), (ONNX, FP32), (OPENVINO, FP32), (TORCH, FP32))
GPU_ORDER = ((TORCH, FP16), (TORCH, FP32))


class Runtime(NamedTuple):
    """What runs a network."""

    backend: str
    precision: str

    def __str__(self) -> str:
        return f"{self.backend} in {self.precision}"


def installed_backends() -> list[str]:
    """The backends whose packages are installed; imports none of them."""
    return [name for name, modules in MODULES.items() if not _missing(modules)]


def choose_runtimes(backend: str, precision: str, device: str, room: str) -> list[Runtime]:
    """What may run the network for `{room}.backend` and `{room}.precision` on "cpu" or "cuda", the fastest first.

    Raises:
        InputError: no such backend, not installed, or one that does not run on that device or in that precision.
    """
    _check_backend(backend, device, room)
    check_precision(precision, device, room)
    order = [Runtime(*pair) for pair in (CPU_ORDER if device == "cpu" else GPU_ORDER)]
    fitting = [
        runtime
        for runtime in order
        if backend in (AUTO, runtime.backend)
        and precision in (AUTO, runtime.precision)
        and not _missing(MODULES[runtime.backend])
        and (runtime.precision != BF16 or has_fast_bf16())
    ]
    if not fitting:
        able = sorted({runtime.backend for runtime in order if runtime.precision == precision})
        raise InputError(
            f"{room}.backend={backend} does not run in {room}.precision={precision}; "
            f"expected {room}.backend={AUTO} or {', '.join(able)}"
        )
    return fitting


def can_run(backend: str, precision: str, device: str, room: str) -> bool:
    """Whether `choose_runtimes` finds any."""
    try:
        return bool(choose_runtimes(backend, precision, device, room))
    except InputError:
        return False


def open_network(
    spec: NetworkSpec,
    backend: str,
    device: str,
    num_threads: int | None = None,
    on_message: Callable[[str], None] = logging.getLogger(__name__).warning,
) -> Network:
    """Build the network on its runtime.

    Args:
        num_threads: on a CPU; None for as many as there are cores.
        on_message: called where `auto` has to pass over a runtime, with the reason.

    Raises:
        InputError: as `choose_runtimes` and `exported`; weights that are missing or not what they should be.
    """
    runtime, model = _first_that_fits(spec, backend, device, on_message)
    if model is None:
        return TorchNetwork(spec.build(device, runtime.precision), device, num_threads)
    return EXPORTED[runtime.backend](model, num_threads, runtime.precision)


def settled_precision(spec: NetworkSpec, backend: str, device: str, on_message: Callable[[str], None]) -> str:
    """The precision in which `open_network` would run the network; exports it where need be.

    Raises:
        InputError: as `open_network`.
    """
    first, *_ = choose_runtimes(backend, spec.precision, device, spec.room)
    if not _is_ready(spec, first):
        first, _ = _first_that_fits(spec, backend, device, on_message)
    return first.precision


def make_ready(spec: NetworkSpec, backend: str, device: str) -> list[str]:
    """Export now what `open_network` would otherwise export at its first use; returns warnings for the user.

    Raises:
        InputError: as `open_network`.
    """
    first, *_ = choose_runtimes(backend, spec.precision, device, spec.room)
    messages: list[str] = []
    if not _is_ready(spec, first):
        _first_that_fits(spec, backend, device, messages.append)
    return messages


def describe(backend: str, precision: str, device: str, room: str) -> str:
    """What would run, and which other backends are installed, in words.

    Raises:
        InputError: as `choose_runtimes`.
    """
    first, *_ = choose_runtimes(backend, precision, device, room)
    others = [name for name in installed_backends() if name != first.backend]
    absent = [name for name in MODULES if name not in (first.backend, *others)]
    also = ", ".join(map(_versioned, others)) or "none"
    return f"{_versioned(first.backend)} in {first.precision}; also here: {also}" + (
        f"; not installed: {', '.join(absent)}" if absent else ""
    )


def _first_that_fits(
    spec: NetworkSpec, backend: str, device: str, on_message: Callable[[str], None]
) -> tuple[Runtime, bytes | None]:
    """The first runtime whose results are near enough, and the model that it runs; None for torch."""
    *ahead, last = choose_runtimes(backend, spec.precision, device, spec.room)
    for runtime in ahead:
        try:
            return runtime, _model(spec, runtime)
        except NotExportable as error:
            on_message(f"not using {runtime}, which is faster here: {error}")
    return last, _model(spec, last)


def _is_ready(spec: NetworkSpec, runtime: Runtime) -> bool:
    """Whether it was found near enough before; the file is not read."""
    return runtime.backend == TORCH or export_file(spec, *runtime).is_file()


def _model(spec: NetworkSpec, runtime: Runtime) -> bytes | None:
    return None if runtime.backend == TORCH else exported(spec, *runtime)


def _check_backend(requested: str, device: str, room: str) -> None:
    if requested not in BACKENDS:
        raise InputError(f"{room}.backend={requested}: no such backend; expected {', '.join(BACKENDS)}")
    if device != "cpu" and requested in EXPORTED:
        raise InputError(
            f"{room}.backend={requested} runs on CPUs and this is a GPU; expected {AUTO} or {TORCH}"
        )
    if requested != AUTO and (missing := _missing(MODULES[requested])):
        raise InputError(
            f"{room}.backend={requested}: {' and '.join(missing)} not installed; "
            f"install harray anew, or use {room}.backend={AUTO}"
        )


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def _versioned(backend: str) -> str:
    package = MODULES[backend][0]
    return f"{backend} ({package} {version(package)})"
