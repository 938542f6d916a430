"""In which arithmetic a network runs: what may be asked for, and what this machine does fast."""

import functools
import importlib.util
from typing import TYPE_CHECKING, Literal, get_args

from harray.errors import InputError

if TYPE_CHECKING:
    import openvino

Precision = Literal["auto", "fp32", "bf16", "fp16"]
AUTO, FP32, BF16, FP16 = get_args(Precision)


def check_precision(requested: str, device: str, room: str) -> None:
    """Refuse a precision that this machine's processor, or its GPU, does not have.

    Raises:
        InputError: as said, with what to ask for instead.
    """
    on_gpu = device != "cpu"
    if requested == BF16 and on_gpu:
        raise InputError(f"{room}.precision=bf16 is for CPUs and this is a GPU; expected auto, fp16 or fp32")
    if requested == FP16 and not on_gpu:
        raise InputError(f"{room}.precision=fp16 is for GPUs and this is a CPU; expected auto, bf16 or fp32")
    if requested == BF16 and not has_fast_bf16():
        raise InputError(
            f"{room}.precision=bf16: this machine's processor has neither AVX512_BF16 nor AMX; "
            f"use a machine that has, or {room}.precision=fp32 (with a store in bf16: and a new --store)"
        )


@functools.cache
def has_fast_bf16() -> bool:
    """Whether this machine's processor multiplies bfloat16 (AVX512_BF16, AMX), by what OpenVINO says of it."""
    if importlib.util.find_spec("openvino") is None:
        return False
    return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@functools.cache
def openvino_core() -> "openvino.Core":
    """OpenVINO's runtime, the only one of this process, for good.

    Its CPU plugin gives signal handlers a stack of its own and takes that away with the runtime. Of several runtimes
    one would put back the stack of another that is gone, and the next signal, such as Ctrl-C, would kill the process.
    """
    import openvino

    return openvino.Core()
