"""The runtimes: torch runs a module, the others run its ONNX form.

All of them take as many threads as they are told, and wait without spinning: an actor that owns one core must not
take another's. Only TorchNetwork imports torch.
"""

import contextlib
import ctypes
from typing import TYPE_CHECKING

import numpy as np

from harray.networks.precision import BF16, FP32, openvino_core

if TYPE_CHECKING:
    import torch

TORCH, ONNX, OPENVINO = "torch", "onnx", "openvino"
HINTS = {FP32: "f32", BF16: "bf16"}  # OpenVINO's names


class TorchNetwork:
    """A module on a CPU or a GPU."""

    def __init__(self, module: "torch.nn.Module", device: str, num_threads: int | None = None):
        import torch

        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self.module = module.to(memory_format=torch.channels_last)
        self.device = device

    def __call__(self, images_BHWC: np.ndarray) -> "torch.Tensor":
        import torch

        images = torch.from_numpy(images_BHWC)
        if self.device != "cpu":  # from pinned memory the copy waits for nothing that the GPU still does
            images = images.pin_memory()
        with torch.inference_mode():
            return self.module(images.to(self.device, non_blocking=True)).float()


class OnnxNetwork:
    """ONNX Runtime on the CPU, in float32."""

    def __init__(self, model: bytes, num_threads: int | None = None, precision: str = FP32):
        import onnxruntime

        assert precision == FP32

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or 0  # 0: as many as there are cores
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # it holds the memory of the activations twice, and is no faster
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        _return_freed_memory()
        self.input = self.session.get_inputs()[0].name

    def __call__(self, images_BHWC: np.ndarray) -> np.ndarray:
        [output] = self.session.run(None, {self.input: np.ascontiguousarray(images_BHWC)})
        assert isinstance(output, np.ndarray)
        return output


class OpenVinoNetwork:
    """OpenVINO on the CPU, in float32 or bfloat16."""

    def __init__(self, model: bytes, num_threads: int | None = None, precision: str = FP32):
        core = openvino_core()
        settings = {
            "INFERENCE_NUM_THREADS": num_threads or 0,  # 0: as many as there are cores
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
        }
        self.request = core.compile_model(core.read_model(model, b""), "CPU", settings).create_infer_request()
        _return_freed_memory()

    def __call__(self, images_BHWC: np.ndarray) -> np.ndarray:
        images = {0: np.ascontiguousarray(images_BHWC)}
        output = self.request.infer(images, share_inputs=True, share_outputs=True)[0]
        return output.copy()  # the runtime's own memory is filled again by the next batch


def _return_freed_memory() -> None:
    """Give freed memory back to the system: glibc keeps much of what loading frees, up to one and a half network
    sizes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


EXPORTED = {ONNX: OnnxNetwork, OPENVINO: OpenVinoNetwork}
