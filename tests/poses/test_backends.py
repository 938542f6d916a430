"""The pose network on every runtime that is installed: the same people, exported once, on the threads it is given."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import torch

from harray.config import with_overrides
from harray.errors import InputError
from harray.networks import export
from harray.networks.backends import installed_backends, make_ready, open_network
from harray.networks.export import NotExportable, export_file, exported
from harray.networks.precision import has_fast_bf16
from harray.networks.runtimes import EXPORTED, TorchNetwork
from harray.networks.spec import Disagreement, on_host
from harray.poses.config import PosesConfig
from harray.poses.detector import PoseDetector
from harray.poses.network import PoseNetwork
from harray.poses.spec import PoseNetworkSpec
from harray.poses.weights import load_pose_model
from harray.synth.samples import sample_frames

EMBEDDED = PosesConfig(weights="embedded", precision="fp32")
RUNTIMES = [name for name in installed_backends() if name in EXPORTED]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of this module's own, so that nothing is exported before it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def by_torch():
    return TorchNetwork(PoseNetworkSpec(EMBEDDED).build("cpu", "fp32"), "cpu")


class Counted(PoseNetworkSpec):
    """Counts how often the network was built, which is how often it was exported."""

    builds = 0

    def build(self, device, precision):
        self.builds += 1
        return super().build(device, precision)


@pytest.mark.parametrize("backend", RUNTIMES)
@pytest.mark.parametrize("shape", [(1, 256, 320, 3), (3, 320, 192, 3), (2, 64, 96, 3)])
def test_every_runtime_gives_torchs_output_for_every_shape(cache, by_torch, backend, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ours = on_host(open_network(PoseNetworkSpec(EMBEDDED), backend, "cpu")(images))
    np.testing.assert_allclose(ours, on_host(by_torch(images)), atol=0.01)


@pytest.mark.parametrize("backend", RUNTIMES)
def test_every_runtime_finds_the_same_people(cache, backend):
    frames = sample_frames(6)
    first, second = (
        PoseDetector(with_overrides(EMBEDDED, {"backend": name})).detect(frames)
        for name in ("torch", backend)
    )
    assert sum(len(found.confidence_N) for found in first) >= 5
    for left, right in zip(first, second, strict=True):
        np.testing.assert_allclose(left.boxes_N4, right.boxes_N4, atol=0.01)
        np.testing.assert_allclose(left.keypoints_NKC1, right.keypoints_NKC1, atol=0.01)


@pytest.mark.skipif(not has_fast_bf16(), reason="this processor has no bfloat16")
@pytest.mark.slow
def test_bf16_finds_the_same_people_in_nearly_the_same_places(cache, by_torch):
    spec = PoseNetworkSpec(with_overrides(EMBEDDED, {"precision": "bf16"}))
    network = open_network(spec, "auto", "cpu", 1)
    for images in spec.samples():
        reference, found = on_host(by_torch(images)), on_host(network(images))
        assert 0 < spec.loss(reference, found).value < spec.loss(reference, found).limit


def test_the_loss_of_a_precision_is_who_is_missed_else_how_far_joints_move(by_torch):
    spec = PoseNetworkSpec(EMBEDDED)
    output = on_host(by_torch(spec.samples()[0]))
    moved, gone = output.copy(), output.copy()
    moved[:, 5::3] += 0.05 * output[:, 3:4]  # x of all joints, by a twentieth of the box's height
    gone[-1, 4] = 0.0
    assert spec.loss(output, output).value == 0.0
    assert spec.loss(output, moved).value == pytest.approx(0.05, rel=1e-3)
    assert str(spec.loss(output, gone)).startswith("people missed ")


def test_what_ultralytics_suppresses_is_suppressed(by_torch):
    from ultralytics.utils.nms import non_max_suppression

    from harray.poses.letterbox import fit, letterbox_for
    from harray.poses.nms import MAX_OVERLAP, nms

    output = by_torch(fit(sample_frames(6), letterbox_for(240, 320, 320)))
    theirs = non_max_suppression(torch.as_tensor(output).clone(), conf_thres=0.1, iou_thres=MAX_OVERLAP, nc=1)
    for ours in (nms(output, 0.1), nms(on_host(output), 0.1)):
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, np.delete(other.numpy(), 5, axis=1), atol=1e-3)


def test_heads_that_need_no_suppression_lose_their_class_and_what_is_unsure():
    from harray.poses.nms import nms

    output = np.zeros((2, 3, 57), np.float32)
    output[0, :, 4] = 0.2, 0.9, 0.5
    output[0, :, 6] = 1, 2, 3  # x of the first joint
    first, second = nms(output, 0.3)
    assert (first[:, 4].tolist(), first[:, 5].tolist()) == ([np.float32(0.9), 0.5], [2, 3])
    assert second.shape == (0, 56)


@pytest.mark.slow
@pytest.mark.parametrize("backend", RUNTIMES)
def test_a_network_is_exported_once_and_a_damaged_export_is_made_again(tmp_path, monkeypatch, backend):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))
    source = Counted(EMBEDDED)
    model = exported(source, backend)
    assert exported(source, backend) == model
    assert source.builds == 1
    file = export_file(source, backend)
    file.write_bytes(file.read_bytes()[:-100])
    assert EXPORTED[backend](exported(source, backend)) is not None
    assert source.builds == 2
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_two_that_export_at_once_leave_one_sound_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))
    file, models = tmp_path / "networks" / "a", [bytes([i]) * 500_000 for i in range(8)]
    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(lambda model: export._keep(model, file), models))
    assert export._intact(file) in models
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.slow
def test_a_runtime_that_gives_something_else_is_refused_with_figures_and_auto_takes_torch(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))

    class Strict(PoseNetworkSpec):
        def disagreement(self, reference, other):
            return Disagreement(value=7.5, limit=1.0, what="distance in px")

    [backend, *_] = RUNTIMES
    with pytest.raises(
        NotExportable, match=rf"poses.backend={backend} in fp32: .*distance in px 7.5, at most 1"
    ):
        open_network(Strict(EMBEDDED), backend, "cpu")
    messages = make_ready(Strict(EMBEDDED), "auto", "cpu")
    assert [text.partition(",")[0] for text in messages] == [f"not using {name} in fp32" for name in RUNTIMES]
    assert isinstance(open_network(Strict(EMBEDDED), "auto", "cpu"), TorchNetwork)


def test_an_output_with_moved_joints_or_other_scores_is_told_apart(by_torch):
    source = PoseNetworkSpec(EMBEDDED)
    output = on_host(by_torch(source.samples()[0]))
    moved, unsure = output.copy(), output.copy()
    moved[:, 5::3] += 2.0
    unsure[:, 4] *= 0.5
    assert source.disagreement(output, output).value == 0.0
    assert source.disagreement(output, moved).value == pytest.approx(2.0, abs=1e-3)
    assert source.disagreement(output, unsure).value > source.disagreement(output, unsure).limit


def test_other_weights_and_other_versions_are_other_files(shared_data, monkeypatch):
    real = PosesConfig(weights=str(shared_data / "weights" / "yolov8n-pose.pt"))
    before = export_file(PoseNetworkSpec(EMBEDDED), "onnx")
    assert export_file(PoseNetworkSpec(real), "onnx") != before
    monkeypatch.setattr(export, "version", lambda package: "0.0")
    assert export_file(PoseNetworkSpec(EMBEDDED), "onnx") != before


def busy_threads(work):
    """How many of this process's threads spent CPU time on some work; the clock ticks in hundredths of a second."""
    before = {thread.id: thread.user_time for thread in psutil.Process().threads()}
    work()
    after = {thread.id: thread.user_time for thread in psutil.Process().threads()}
    return sum(spent - before.get(name, 0.0) > 0.015 for name, spent in after.items())


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("backend", RUNTIMES)
def test_a_runtime_works_on_no_more_threads_than_it_is_given(cache, backend, num_threads):
    images = np.zeros((4, 256, 320, 3), np.uint8)
    network = open_network(PoseNetworkSpec(EMBEDDED), backend, "cpu", num_threads)
    network(images)
    assert 1 <= busy_threads(lambda: [network(images) for _ in range(6)]) <= num_threads


def test_torch_takes_the_threads_that_it_is_given():
    before = torch.get_num_threads()
    try:
        open_network(PoseNetworkSpec(EMBEDDED), "torch", "cpu", 1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_missing_weights_are_said_and_not_taken_for_a_runtimes_fault(tmp_path):
    with pytest.raises(InputError, match="no such file") as error:
        open_network(PoseNetworkSpec(PosesConfig(weights=str(tmp_path / "gone.pt"))), "auto", "cpu")
    assert not isinstance(error.value, NotExportable)


def test_half_precision_keeps_the_joints_within_half_a_pixel():
    """What a GPU runs, on the CPU."""
    images = torch.from_numpy(PoseNetworkSpec(EMBEDDED).samples()[0][:2])
    full, half = (PoseNetwork(load_pose_model("embedded")).eval() for _ in range(2))
    with torch.inference_mode():
        found = PoseNetworkSpec(EMBEDDED).disagreement(full(images).numpy(), half.halved()(images).numpy())
    assert found.value < 0.5
