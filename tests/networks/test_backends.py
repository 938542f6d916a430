"""Which runtime is taken, and what is said where it cannot be."""

import pytest

from harray.errors import InputError
from harray.networks import backends
from harray.networks.backends import choose_backend, describe, installed_backends


def test_a_name_that_is_no_backend_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"poses.backend=tensorflow: .*expected auto, torch, onnx, openvino"):
        choose_backend("tensorflow", "cpu", "poses")


def test_on_a_gpu_torch_runs_and_runtimes_for_cpus_are_refused():
    assert choose_backend("auto", "cuda", "poses") == "torch"
    assert choose_backend("torch", "cuda", "scenes") == "torch"
    with pytest.raises(InputError, match=r"scenes.backend=onnx runs on CPUs.*expected auto or torch"):
        choose_backend("onnx", "cuda", "scenes")


@pytest.mark.parametrize(
    ("absent", "chosen"),
    [
        ((), "onnx"),
        (("onnxruntime",), "openvino"),
        (("openvino",), "onnx"),
        (("onnx",), "torch"),  # nothing can be exported without it
        (("onnxruntime", "openvino"), "torch"),
    ],
)
def test_auto_takes_the_fastest_that_is_installed(monkeypatch, absent, chosen):
    monkeypatch.setattr(backends, "_missing", lambda modules: [name for name in modules if name in absent])
    assert choose_backend("auto", "cpu", "poses") == chosen


def test_a_missing_package_is_named_with_the_extra_that_holds_it(monkeypatch):
    monkeypatch.setitem(backends.MODULES, "openvino", ("openvino_that_is_not_there", "onnx"))
    with pytest.raises(
        InputError, match=r"openvino_that_is_not_there not installed; install harray\[openvino\]"
    ):
        choose_backend("openvino", "cpu", "poses")


def test_what_would_run_is_said_with_its_version():
    chosen = choose_backend("auto", "cpu", "poses")
    assert describe("auto", "cpu", "poses").startswith(f"{chosen} ({backends.MODULES[chosen][0]} ")
    assert "torch" in installed_backends()
