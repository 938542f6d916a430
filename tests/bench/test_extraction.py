"""The measurement end to end on a few small videos. How fast anything is, is asserted nowhere."""

import json

import pytest

from harray.bench.extraction import (
    BATCHED,
    HARRAY,
    LIMIT,
    NOTEBOOK,
    WHOLE,
    Finished,
    bench_extraction,
    steady_rate,
)
from harray.config import with_overrides
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import write_video
from harray.videos.sources import manifest_table

CONFIG = with_overrides(
    ExtractionConfig(), {"poses.weights": "embedded", "scenes.weights": "none", "videos.num_frames": 4}
)


@pytest.fixture
def manifest(tmp_path):
    rows = []
    for spec in clip_specs(SynthConfig(clips_per_action=1))[:5]:
        path = tmp_path / f"{spec.label}.mp4"
        write_video(path, render_clip(spec, range(5))[0])
        rows.append({"path": str(path), "label": spec.label, "dataset": "procedural"})
    return manifest_table(rows)


A, B = [(10, 4), (12, 4), (14, 4)], [(11, 4), (15, 4)]  # when batches ended and how many clips were in them


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ({"a": A}, [2.0]),  # 8 clips in the 4 s after the first batch
        ({"a": A, "b": [(10, 4), (14, 4), (18, 4)]}, [3.0]),  # in its last 4 s b works alone: not counted
        ({"a": A, "b": A}, [4.0]),
        ({"a": A, "b": B}, []),  # b finished nothing while both worked
        ({}, []),
    ],
)
def test_the_clock_runs_while_every_actor_is_at_work(batches, expected):
    finished = [Finished(worker, *batch) for worker, ends in batches.items() for batch in ends]
    assert steady_rate(sorted(finished, key=lambda batch: batch.end_sec)) == expected


def test_all_ways_are_measured_and_the_ratios_are_those_of_the_rates(ray_cluster, manifest):
    notes = []
    bench = bench_extraction(manifest, CONFIG, 1, lambda done, total, note: notes.append((done, total)))
    rates = bench.clips_per_sec
    assert {NOTEBOOK, BATCHED, WHOLE, LIMIT} <= rates.keys()  # five videos may be too few for a steady rate
    assert all(rate > 0 for rate in rates.values())
    for name, ratio in bench.ratios.items():
        assert ratio == pytest.approx(rates[HARRAY] / rates[name.removeprefix("harray/")])
    assert bench.peak_mb["driver"] > 0
    assert bench.peak_mb["actor"] > 0
    assert notes == [(i, 5) for i in range(5)]
    assert json.loads(json.dumps(bench.to_json()))["ratios"] == bench.ratios


def test_fewer_videos_than_rounds_are_refused(tmp_path):
    manifest = manifest_table([{"path": str(tmp_path / "gone.mp4"), "label": "a"}])
    with pytest.raises(InputError, match="0 of 1 videos can be read"):
        bench_extraction(manifest, CONFIG, 1)
