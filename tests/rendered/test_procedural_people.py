"""Drawn figures are found by the real network, and by the embedded one that was trained on them."""

import pytest

from harray.poses.config import PosesConfig
from harray.poses.detector import PoseDetector
from harray.poses.embedded import EMBEDDED_WEIGHTS, load_card, load_embedded_model
from harray.rendered.accuracy import PoseAccuracy, frame_accuracy
from harray.synth.clips import clip_specs, num_frames, render_clip
from harray.synth.config import SynthConfig

pytestmark = pytest.mark.slow

UNSEEN = SynthConfig(clips_per_action=3, seed=2026)  # actors that neither network was trained on


def scored(detector: PoseDetector, every: int) -> dict[str, float]:
    total = PoseAccuracy()
    for spec in clip_specs(UNSEEN):
        frames, truth = render_clip(spec, range(0, num_frames(spec), every))
        for t, people in enumerate(detector.detect(frames)):
            total += frame_accuracy(people.boxes_N4, people.keypoints_NKC1, truth, t)
    return total.shares()


def test_the_real_network_finds_the_figure_and_its_joints(shared_data):
    weights = shared_data / "weights" / "yolov8n-pose.pt"
    if not weights.is_file():
        pytest.skip(f"no weights at {weights}")
    shares = scored(PoseDetector(PosesConfig(weights=str(weights), image_size=320)), every=20)
    assert shares["found"] >= 0.95
    assert shares["mean_error"] <= 0.05


def test_the_embedded_network_finds_unseen_actors_and_their_joints():
    shares = scored(PoseDetector(PosesConfig(weights="embedded")), every=6)
    assert shares["found"] >= 0.98
    assert shares["pck_0.1"] >= 0.95
    assert shares["second_found"] >= 0.9


def test_the_embedded_weights_are_small_and_their_card_says_what_made_them():
    card = load_card()
    assert EMBEDDED_WEIGHTS.stat().st_size <= 3 * 2**20
    assert {"command", "seed", "date", "scores", "libraries", "architecture", "image_size"} <= set(card)
    assert card["scores"]["found"] >= 0.98
    assert card["scores"]["pck_0.1"] >= 0.95


def test_the_embedded_network_gives_what_a_yolo_pose_network_gives():
    import torch

    size = load_card()["image_size"]
    with torch.inference_mode():
        output = load_embedded_model()(torch.rand(2, 3, size * 3 // 4, size))[0]
    assert output.shape[:2] == (2, 4 + 1 + 17 * 3)
