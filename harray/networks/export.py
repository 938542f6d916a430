"""A network's ONNX form: made once per machine, compared with torch, kept in the cache.

    spec --torch.onnx--> model --the runtime--> output for the samples ~ torch's in float32? --> the cache

The file is the SHA-256 of the model followed by the model, so that a damaged one is noticed and made again; it
appears under its name in one step, so that several actors may make it at the same time.
"""

import hashlib
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harray.errors import InputError
from harray.files import cache_dir, write_atomically
from harray.networks.precision import FP32
from harray.networks.runtimes import EXPORTED, ONNX, OPENVINO
from harray.networks.spec import NetworkSpec, on_host

if TYPE_CHECKING:
    import torch

EXPORT_VERSION = 1  # raise it when the same network is exported otherwise
OPSET = 18
RUNTIME_PACKAGE = {ONNX: "onnxruntime", OPENVINO: "openvino"}
DIGEST_BYTES = 32


class NotExportable(InputError):
    """The network cannot be exported, or the runtime's results are too far from torch's."""


def exported(spec: NetworkSpec, backend: str, precision: str = FP32) -> bytes:
    """The network as an ONNX model for that runtime, from the cache or exported now.

    In the cache is what was found near enough to torch's results, in this version of torch and of the runtime.

    Raises:
        NotExportable: it cannot be exported, or its output is not torch's; the figures are in the message.
        InputError: the weights are missing or are not what they should be.
    """
    file = export_file(spec, backend, precision)
    if (model := _intact(file)) is not None:
        return model
    module = spec.build("cpu", FP32)
    model = _to_onnx(spec, module)
    _compare(spec, module, backend, precision, model)
    _keep(model, file)
    return model


def export_file(spec: NetworkSpec, backend: str, precision: str = FP32) -> Path:
    """Path of the export in the cache; it depends on the versions of torch and of the runtime."""
    package = RUNTIME_PACKAGE[backend]
    parts = (spec.digest(), EXPORT_VERSION, OPSET, version("torch"), package, version(package), precision)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return cache_dir() / "networks" / f"{spec.room}-{backend}-{precision}-{name}"


def _intact(file: Path) -> bytes | None:
    """The model in a file; None where there is no file or its bytes are not those that were written."""
    try:
        with file.open("rb", buffering=0) as content:  # ResNet-50 has 94 MB; a buffer would hold them twice
            digest, model = content.read(DIGEST_BYTES), content.readall()
    except FileNotFoundError:
        return None
    return model if hashlib.sha256(model).digest() == digest else None


def _to_onnx(spec: NetworkSpec, module: "torch.nn.Module") -> bytes:
    """ONNX of any number and size of frames.

    By tracing: torch.export, the other way, takes the frames' number in YOLO's head for a constant (torch 2.15).
    """
    import torch

    images = torch.from_numpy(spec.samples()[0])
    try:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (images,),
                file := Path(folder) / "network.onnx",
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                dynamic_axes={"images": {0: "frames", 1: "height", 2: "width"}},
            )
            return file.read_bytes()
    except Exception as error:  # whatever a network of unknown architecture makes the tracer raise
        raise NotExportable(
            f"{spec.room}: the network cannot be exported ({_first_line(error)}); "
            f"use {spec.room}.backend=torch"
        ) from error


def _compare(
    spec: NetworkSpec, module: "torch.nn.Module", backend: str, precision: str, model: bytes
) -> None:
    """Run the samples on torch in float32 and on the runtime.

    Raises:
        NotExportable: they differ by more than the spec allows, or the runtime refuses the model.
    """
    import torch

    try:
        network = EXPORTED[backend](model, precision=precision)
        measure = spec.disagreement if precision == FP32 else spec.loss
        for images in spec.samples():
            with torch.inference_mode():
                reference = module(torch.from_numpy(images)).float().numpy()
            found = measure(reference, on_host(network(images)))
            if not found.value <= found.limit:
                raise NotExportable(
                    f"{spec.room}.backend={backend} in {precision}: its output is not torch's ({found}); "
                    f"use {spec.room}.backend=torch"
                )
    except RuntimeError as error:  # of either runtime, for an operation that it does not know
        raise NotExportable(
            f"{spec.room}.backend={backend}: the runtime refuses the network ({_first_line(error)}); "
            f"use {spec.room}.backend=torch"
        ) from error


def _keep(model: bytes, file: Path) -> None:
    write_atomically(file, lambda part: part.write_bytes(hashlib.sha256(model).digest() + model))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
