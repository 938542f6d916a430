"""The measurement of a GPU, made on the CPU with next to nothing; and what only a GPU can show."""

import dataclasses

import pytest

from harray.bench.gpu import PARTS, SMALL, GpuBench, bench_gpu
from harray.bench.gpu_parts import Extracting, limit_of
from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig

EXPERIMENT = with_overrides(ExperimentConfig(), {"poses.weights": "embedded", "scenes.weights": "none"})
MEASURED = GpuBench(
    device="card",
    torch="2.15",
    seconds=100.0,
    pose_frames_per_sec={32: {"detector": 800.0, "network": 1000.0}},
    extraction_clips_per_sec={
        1: Extracting(extraction=9.0, decoding=10.0, networks=50.0, limited_by="decoding"),
    },
    actor_clips_per_sec={1: 9.0, 2: 17.8, 4: 18.0, 8: 15.0},
    epoch_sec={"harray": 2.0, "bare": 1.9},
    agreement=None,
    failed={"agreement": "RuntimeError: out of memory"},
)


@pytest.mark.slow
def test_every_part_runs_on_a_cpu():
    steps = []
    bench = bench_gpu(EXPERIMENT, "cpu", SMALL, lambda done, total, note: steps.append(note))
    assert bench.failed == {}
    assert steps == ["rendering videos", *PARTS]
    assert set(bench.pose_frames_per_sec) == set(SMALL.batch_sizes)
    assert set(bench.extraction_clips_per_sec) == set(SMALL.decoding_threads)
    assert set(bench.actor_clips_per_sec) == set(SMALL.num_actors)
    assert all(ratio > 0 for ratio in bench.ratios.values())
    there = bench.agreement
    assert there is not None and there.num_people > 0 and there.num_missed == 0
    assert there.joint_distance == 0 and there.loss_difference == 0  # the device is the CPU itself
    assert bench.to_json()["gpus_per_actor"] in (1.0, 0.5)


def test_without_a_gpu_one_line_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="needs a GPU, and torch finds none"):
        bench_gpu(EXPERIMENT)


def test_ratios_are_shares_of_what_the_hardware_gives():
    assert MEASURED.ratios == {
        "pose detector/network, batch 32": 0.8,
        "extraction/networks, 1 threads": 9.0 / 50.0,
        "training bare/harray": 0.95,
    }


def test_the_fewest_processes_that_are_about_as_fast_as_any_share_the_gpu():
    assert MEASURED.gpus_per_actor == 0.5
    assert dataclasses.replace(MEASURED, actor_clips_per_sec={}).gpus_per_actor is None


def test_a_part_that_failed_is_named_with_its_reason():
    assert MEASURED.lines[-1] == "agreement failed: RuntimeError: out of memory"


@pytest.mark.parametrize(
    ("extraction", "decoding", "networks", "limit"),
    [
        (9.5, 10, 50, "decoding"),
        (44, 200, 50, "networks"),
        (20, 60, 50, "the work between decoding and networks"),
    ],
)
def test_the_slower_of_two_is_the_limit_where_extraction_is_about_as_fast(
    extraction, decoding, networks, limit
):
    assert limit_of(extraction, decoding, networks) == limit


@pytest.mark.gpu
def test_a_gpu_finds_the_people_and_tokens_that_the_cpu_finds_and_the_same_loss():
    experiment = with_overrides(EXPERIMENT, {"scenes.weights": "random"})
    there = bench_gpu(experiment, "cuda", SMALL).agreement
    assert there is not None and there.num_missed == 0
    assert there.joint_distance is not None and there.joint_distance < 0.01
    assert there.token_difference is not None and there.token_difference < 0.01
    assert there.loss_difference < 1e-3
