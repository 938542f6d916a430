"""Exported models against torch, on clips with joints hidden, with nobody and with everybody."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harray.config import with_overrides
from harray.errors import InputError
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors
from harray.inference import Predictor
from harray.inference.export import ABOUT_FILE, export
from harray.inference.fusion_form import FusionForm
from harray.inference.predictor import ClipArrays
from harray.inference.samples import sample_clips
from harray.model.network import FusionNetwork
from harray.networks.portable import ABOUT_KEY, Opened
from harray.poses.detector import PoseDetector
from harray.skeleton import layout_named
from harray.synth.samples import sample_frames
from harray.training.calibration import Calibration
from harray.training.checkpoint import Checkpoint
from tests.toys import EXTRACTION, TINY_MODEL, untrained_checkpoint

SCRIPT = Path(__file__).parents[2] / "docs" / "guide" / "run_exported.py"
CLASSES = ("wave", "jump", "sit down")
SHAPE = {"num_people": 2, "num_frames": 8, "num_joints": 13}
CLOSE = {"rtol": 0, "atol": 1e-3}


def toy(*, scene: bool = True, second: bool = False, seed: int = 0, **model: object) -> Predictor:
    """A network of random weights whose every part has something to say."""
    skeleton = layout_named("penn13")
    torch.manual_seed(seed)
    network = FusionNetwork(
        with_overrides(TINY_MODEL, {"pcm.num_components": 2, **model}),
        **SHAPE,
        num_coordinates=2,
        bones=skeleton.bones,
        scene_dim=6 if scene else None,
        num_classes=len(CLASSES),
        second={**SHAPE, "num_coordinates": 3, "bones": skeleton.bones} if second else None,
    )
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.1 * torch.randn_like(weights)
        if network.cfn and network.cfn.probe:
            network.cfn.probe.weight_DA.normal_()
    return Predictor(
        Checkpoint(
            network=network,
            features=FeaturesConfig(),
            classes=CLASSES,
            skeleton=skeleton,
            second_skeleton=skeleton if second else None,
            scene_grid=(1, 2) if scene else None,
            store_digest="",
            calibration=Calibration(temperature=1.7, confidence_N=(0.9, 0.6), is_right_N=(True, False)),
        ),
        device="cpu",
    )


def opened(predictor: Predictor, folder: Path, file_format: str = "onnx") -> Opened:
    exported = export(predictor, folder, file_format)
    return Opened(folder / next(name for name in exported.files if name in ("fusion.onnx", "fusion.xml")), 1)


@pytest.fixture(scope="module")
def with_scene(tmp_path_factory) -> tuple[Predictor, Path]:
    predictor, folder = toy(), tmp_path_factory.mktemp("exported") / "model"
    export(predictor, folder, "onnx")
    return predictor, folder


def with_people(clips: ClipTensors, people: list[int], hidden_share: float) -> ClipTensors:
    """Only these people, with that share of their joints hidden."""
    drawn = torch.rand(clips.confidence_NPTK.shape, generator=torch.Generator().manual_seed(5))
    confidence = torch.zeros_like(drawn)
    confidence[:, people] = (drawn >= hidden_share)[:, people].float()
    return dataclasses.replace(clips, confidence_NPTK=confidence)


@pytest.mark.parametrize("use_scene", [True, False])
@pytest.mark.parametrize(
    ("people", "hidden_share"),
    [([0, 1], 0.0), ([0, 1], 0.3), ([0, 1], 0.6), ([0], 0.9), ([1], 0.0), ([], 0.0)],
)
def test_probabilities_and_completed_joints_are_torchs(with_scene, people, hidden_share, use_scene):
    predictor, folder = with_scene
    clips = with_people(sample_clips(predictor.checkpoint, seed=3), people, hidden_share)
    wanted = predictor.predict_clips(clips, use_scene=use_scene)
    found = Opened(folder / "fusion.onnx", 1)(
        FusionForm(predictor.checkpoint).named(clips, use_scene=use_scene)
    )
    np.testing.assert_allclose(found[0], wanted.probabilities_NA, **CLOSE)
    np.testing.assert_allclose(found[1], wanted.completed_NPTKC, rtol=0, atol=0.5)
    np.testing.assert_array_equal(found[2], wanted.visible_NPTK)
    np.testing.assert_allclose(found[3], wanted.attention_time_NT, **CLOSE)


def test_a_clip_alone_and_among_others_has_the_same_answer(with_scene):
    predictor, folder = with_scene
    run, form = Opened(folder / "fusion.onnx", 1), FusionForm(predictor.checkpoint)
    clips = sample_clips(predictor.checkpoint, seed=4)
    together = run(form.named(clips))[0]
    alone = [run(form.named(clips.select([i])))[0][0] for i in range(len(clips))]
    np.testing.assert_allclose(np.stack(alone), together, rtol=0, atol=1e-5)


def test_what_a_program_must_know_stands_beside_the_model_and_in_it(with_scene):
    _, folder = with_scene
    import onnxruntime

    about = json.loads((folder / ABOUT_FILE).read_text())
    inside = onnxruntime.InferenceSession(folder / "fusion.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(inside[ABOUT_KEY]) == about
    assert about["classes"] == list(CLASSES)
    assert about["temperature"] == 1.7 and about["threshold"] == 0.5
    assert about["streams"][0]["shape"] == [2, 8, 13, 2]
    assert about["streams"][0]["joints"] == list(layout_named("penn13").joints)
    assert about["fusion"]["inputs"] == ["keypoints", "scene_tokens", "use_scene"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        {"scene": False, "mme.medians": False, "pcm.prior": False},
        {"scene": False, "pcm.enabled": False, "pcm.fill": "linear", "mme.people_distances": True},
        {"second": True, "mme.head": "transformer", "cfn.probe": False, "mme.num_members": 2},
    ],
)
def test_models_of_other_parts_are_exported(kind, tmp_path):
    exported = export(toy(**kind), tmp_path / "model", "onnx")
    assert exported.max_difference < 1e-3
    assert exported.files == ("fusion.onnx", "model.json")


@pytest.mark.slow
def test_openvino_answers_alike(tmp_path):
    pytest.importorskip("openvino")
    predictor = toy()
    run = opened(predictor, tmp_path / "model", "openvino")
    clips = sample_clips(predictor.checkpoint, seed=6)
    found = run(FusionForm(predictor.checkpoint).named(clips))[0]
    np.testing.assert_allclose(found, predictor.predict_clips(clips).probabilities_NA, **CLOSE)


@pytest.mark.slow
def test_the_script_of_the_guide_says_what_the_pipeline_says(tmp_path):
    predictor = Predictor.load(untrained_checkpoint(tmp_path / "checkpoint"), device="cpu")
    assert {"pose.onnx", "fusion.onnx"} < set(export(predictor, tmp_path / "model", "onnx").files)
    small = sample_frames(1)[:, ::2, ::2]  # as large as the embedded network takes them
    frames = np.repeat(small, EXTRACTION.videos.num_frames, axis=0)
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "model"), str(tmp_path / "frames.npy")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    exact = dataclasses.replace(EXTRACTION.poses, precision="fp32")
    best = [found.keypoints_NKC1[:1] for found in PoseDetector(exact).detect(frames)]
    clip = ClipArrays(source="", keypoints_PTKC1=np.stack(best, axis=1), height_px=120, width_px=160)
    [wanted] = predictor.predict_arrays([clip])
    assert said[0] == wanted.label
    assert float(said[1]) == pytest.approx(wanted.probability, abs=1e-3)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else is there"):
        export(toy(), tmp_path, "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(InputError, match="expected onnx or openvino"):
        export(toy(), tmp_path / "model", "tflite")


def test_a_folder_that_holds_anything_else_is_left_alone(with_scene, tmp_path):
    predictor, exported = with_scene
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / "Dockerfile").write_text("FROM scratch")
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="something else is there"):
        export(predictor, folder, "onnx")
    assert sorted(folder.iterdir()) == before
