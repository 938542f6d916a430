"""What training is measured against. How fast anything is, is asserted nowhere."""

import json

import numpy as np
import pytest
import torch

from harray.bench.sample_loop import augment_one
from harray.bench.training import RATIOS, TrainingBench
from harray.bench.training_ways import EpochClock, bare_seconds, harray_seconds, sample_loop_seconds
from harray.config import with_overrides
from harray.features.augment import mirror
from harray.features.config import AugmentationConfig
from harray.skeleton import PENN13
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import TrainingRequest
from tests.toys import TINY_MODEL, arm_store

STILL = dict.fromkeys(
    (
        "mirror_probability",
        "rotation_deg",
        "turn_deg",
        "scale",
        "shear",
        "time_crop",
        "speed",
        "noise",
        "misplace_probability",
    ),
    0.0,
) | dict.fromkeys((f"hide_{name}_probability" for name in ("joint", "limb", "span", "person")), 0.0)
NOTHING = AugmentationConfig(hide_probability=0.0, **STILL)


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    visible = rng.random((2, 9, 13)) < 0.8
    keypoints = rng.normal(0, 1, (2, 9, 13, 2)).astype(np.float32) * visible[..., None]
    return keypoints, visible


def varied(clip, **changes):
    config = with_overrides(NOTHING, changes)
    return augment_one(*clip, config, PENN13, np.random.default_rng(1))


def test_a_sample_stays_as_it_is_where_nothing_is_to_be_varied(clip):
    seen, visible, target, observed = varied(clip)
    for found, expected in ((seen, clip[0]), (target, clip[0]), (visible, clip[1]), (observed, clip[1])):
        assert np.allclose(found, expected, atol=1e-5)


def test_a_sample_is_mirrored_as_a_batch_is(clip):
    before = clip[0].copy()
    seen, visible, *_ = varied(clip, mirror_probability=1.0)
    batch = (torch.from_numpy(part)[None] for part in clip)
    keypoints, expected = mirror(*batch, torch.tensor([True]), PENN13.flip_order)
    assert np.allclose(seen, keypoints[0], atol=1e-5)
    assert np.array_equal(visible, expected[0])
    assert np.array_equal(clip[0], before)


def test_what_a_sample_hides_is_zero_and_stays_in_the_target(clip):
    seen, visible, target, observed = varied(clip, hide_span_probability=1.0, hide_probability=1.0)
    assert (observed & ~visible).any()
    assert not (visible & ~observed).any()
    assert not seen[~visible].any()
    assert np.allclose(target, clip[0], atol=1e-5)


def test_a_shear_and_a_speed_change_lengths_and_times_within_their_limits(clip):
    _, _, target, _ = varied(clip, scale=0.5)
    ratio = np.linalg.norm(target) / np.linalg.norm(clip[0])
    assert 0.5 <= ratio <= 1.5
    assert ratio != pytest.approx(1, abs=1e-3)


@pytest.fixture
def request_(tmp_path) -> TrainingRequest:
    rows = [{"path": f"/{number:02}.mp4", "splits": ["train"]} for number in range(12)]
    store = arm_store(tmp_path / "store", rows, scene=False)
    return TrainingRequest(
        store=store.path,
        out=tmp_path / "model",
        learning=LearningConfig(
            model=TINY_MODEL,
            training=TrainingConfig(num_epochs=3, batch_size=4, device="cpu", val_share=0.3, patience=0),
        ),
    )


@pytest.mark.parametrize("measure", [harray_seconds, bare_seconds, sample_loop_seconds])
def test_every_way_takes_its_time_and_leaves_nothing_behind(request_, measure):
    seconds, peak_mb = measure(request_)
    assert seconds > 0
    assert peak_mb > 0
    assert not request_.out.exists()


def test_the_first_epoch_warms_up():
    clock = EpochClock()
    clock.ends_sec = [10.0, 12.0, 16.0]
    assert clock.seconds == 3.0


def test_ratios_are_of_the_medians_of_the_rounds():
    ways = {way for pair in RATIOS for way in pair}
    bench = TrainingBench(
        num_clips=dict.fromkeys(ways, 10),
        num_parameters={},
        measured={way: [4.0, 2.0, 100.0] if way == "in_process" else [2.0] for way in ways},
        peak_mb={},
    )
    assert bench.ratios["in_process/bare"] == 2.0
    assert bench.ratios["ray_1/in_process"] == 0.5
    assert bench.samples_per_sec["in_process"] == 2.5
    assert json.loads(json.dumps(bench.to_json()))["ratios"] == bench.ratios
