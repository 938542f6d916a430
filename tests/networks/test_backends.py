"""Which runtime is taken, in which precision, and what is said where it cannot be."""

import pytest

from harray.errors import InputError
from harray.networks import backends, precision
from harray.networks.backends import can_run, choose_runtimes, describe, installed_backends


@pytest.fixture
def with_bf16(monkeypatch):
    """Sets whether the processor is taken to have bfloat16."""

    def set_to(there):
        for module in (backends, precision):
            monkeypatch.setattr(module, "has_fast_bf16", lambda: there)

    return set_to


def chosen(backend="auto", precision="auto", device="cpu"):
    return tuple(choose_runtimes(backend, precision, device, "poses")[0])


def test_a_name_that_is_no_backend_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"poses.backend=tensorflow: .*expected auto, torch, onnx, openvino"):
        chosen("tensorflow")


def test_on_a_gpu_torch_runs_and_runtimes_for_cpus_are_refused():
    with pytest.raises(InputError, match=r"scenes.backend=onnx runs on CPUs.*expected auto or torch"):
        choose_runtimes("onnx", "auto", "cuda", "scenes")


@pytest.mark.parametrize(
    ("bf16", "device", "backend", "precision", "expected"),
    [
        (True, "cpu", "auto", "auto", ("openvino", "bf16")),
        (True, "cpu", "auto", "fp32", ("onnx", "fp32")),
        (True, "cpu", "openvino", "auto", ("openvino", "bf16")),
        (True, "cpu", "openvino", "fp32", ("openvino", "fp32")),
        (True, "cpu", "onnx", "auto", ("onnx", "fp32")),
        (True, "cpu", "torch", "auto", ("torch", "fp32")),
        (False, "cpu", "auto", "auto", ("onnx", "fp32")),
        (False, "cpu", "openvino", "auto", ("openvino", "fp32")),
        (True, "cuda", "auto", "auto", ("torch", "fp16")),
        (True, "cuda", "torch", "fp32", ("torch", "fp32")),
    ],
)
def test_auto_takes_the_fastest_that_can_do_what_is_asked(
    with_bf16, bf16, device, backend, precision, expected
):
    with_bf16(bf16)
    assert chosen(backend, precision, device) == expected


@pytest.mark.parametrize(
    ("bf16", "device", "backend", "precision", "message"),
    [
        (False, "cpu", "auto", "bf16", "neither AVX512_BF16 nor AMX; use .* poses.precision=fp32"),
        (True, "cuda", "auto", "bf16", "is for CPUs .* expected auto, fp16 or fp32"),
        (True, "cpu", "auto", "fp16", "is for GPUs .* expected auto, bf16 or fp32"),
        (True, "cpu", "onnx", "bf16", "does not run in .*; expected poses.backend=auto or openvino"),
    ],
)
def test_a_precision_that_is_not_to_be_had_is_refused_with_what_is(
    with_bf16, bf16, device, backend, precision, message
):
    with_bf16(bf16)
    assert not can_run(backend, precision, device, "poses")
    with pytest.raises(InputError, match=message):
        chosen(backend, precision, device)


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        ((), "onnx"),
        (("onnxruntime",), "openvino"),
        (("openvino",), "onnx"),
        (("onnx",), "torch"),  # nothing can be exported without it
        (("onnxruntime", "openvino"), "torch"),
    ],
)
def test_auto_takes_the_fastest_that_is_installed(monkeypatch, absent, expected):
    monkeypatch.setattr(backends, "_missing", lambda modules: [name for name in modules if name in absent])
    assert chosen(precision="fp32") == (expected, "fp32")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(backends.MODULES, "openvino", ("openvino_that_is_not_there", "onnx"))
    with pytest.raises(InputError, match=r"openvino_that_is_not_there not installed; .*poses.backend=auto"):
        chosen("openvino")


def test_what_would_run_is_said_with_its_version():
    backend, precision = chosen()
    said = describe("auto", "auto", "cpu", "poses")
    assert said.startswith(f"{backend} ({backends.MODULES[backend][0]} ")
    assert f" in {precision}; " in said
    assert "torch" in installed_backends()
