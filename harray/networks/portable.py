"""Modules as files that other programs run: ONNX, or OpenVINO's own format.

    module --traced by torch--> ONNX --as it is, or converted--> NAME.onnx, or NAME.xml and NAME.bin

What a file is of is written into it: JSON under the key `ABOUT_KEY`.
"""

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harray.networks.precision import openvino_core
from harray.networks.runtimes import ONNX, OPENVINO

if TYPE_CHECKING:
    import torch

FORMATS = (ONNX, OPENVINO)
SUFFIX = {ONNX: ".onnx", OPENVINO: ".xml"}
OPSET = 18
ABOUT_KEY = "harray"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Names of a module's inputs and outputs, and of those of their axes whose length may vary."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    varying: Mapping[int, str]  # axis -> its name; of every input, and the first of every output


def traced(module: "torch.nn.Module", samples: Sequence["torch.Tensor"], signature: Signature) -> bytes:
    """A module as an ONNX model.

    By tracing: the exporter's other way takes lengths that vary for constants, and knows no search for what is there.
    """
    import torch

    first = {axis: name for axis, name in signature.varying.items() if axis == 0}
    axes = {name: dict(signature.varying) for name in signature.inputs}
    axes |= dict.fromkeys(signature.outputs, first)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module(*samples)  # what modules keep from their first call must not be made while they are traced
        torch.onnx.export(
            module,
            tuple(samples),
            file := Path(folder) / "module.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            dynamic_axes=axes,
        )
        return file.read_bytes()


def write(model: bytes, stem: Path, file_format: str, about: Mapping[str, Any]) -> Path:
    """Write an ONNX model in that format, and into it what it is of; returns the file to open."""
    file = stem.with_suffix(SUFFIX[file_format])
    if file_format == OPENVINO:
        import openvino

        converted = openvino_core().read_model(model, b"")
        converted.set_rt_info(json.dumps(about), ABOUT_KEY)
        openvino.save_model(converted, file, compress_to_fp16=False)
        return file
    import onnx

    loaded = onnx.load_from_string(model)
    onnx.helper.set_model_props(loaded, {ABOUT_KEY: json.dumps(about)})
    onnx.save(loaded, file)
    return file


class Opened:
    """A file as its runtime runs it, on CPUs, in float32."""

    def __init__(self, file: Path, num_threads: int):
        if file.suffix == SUFFIX[OPENVINO]:
            settings = {"INFERENCE_NUM_THREADS": num_threads, "INFERENCE_PRECISION_HINT": "f32"}
            self.openvino = openvino_core().compile_model(file, "CPU", settings)
            return
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3  # errors
        self.openvino = None
        self.onnx = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs in their order."""
        if self.openvino is None:
            return [np.asarray(output) for output in self.onnx.run(None, dict(inputs))]
        return [output.copy() for output in self.openvino(dict(inputs)).values()]
