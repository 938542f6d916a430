"""The measurement end to end on a few small videos. How fast anything is, is asserted nowhere."""

import json

import pytest

from harray.bench.extraction import BATCHED, HARRAY, LIMIT, NOTEBOOK, WHOLE, bench_extraction, steady_rate
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


@pytest.mark.parametrize(
    ("reports", "num_actors", "expected"),
    [
        ([(0, 0), (10, 4), (12, 8), (14, 12)], 1, [2.0]),  # 8 clips in the 4 s after the first batch
        ([(0, 0), (10, 4), (12, 8), (14, 12), (18, 16)], 2, [2.0]),  # the last of two works alone for 4 s
        ([(0, 0), (10, 4), (12, 8), (14, 12)], 2, []),  # nothing is left to count
        ([(0, 0)], 1, []),
    ],
)
def test_the_clock_runs_while_every_actor_is_at_work(reports, num_actors, expected):
    assert steady_rate(reports, num_actors) == expected


def test_all_ways_are_measured_and_the_ratios_are_those_of_the_rates(ray_cluster, manifest):
    notes = []
    bench = bench_extraction(manifest, CONFIG, 1, lambda done, total, note: notes.append((done, total)))
    rates = bench.clips_per_sec
    assert {NOTEBOOK, BATCHED, HARRAY, WHOLE, LIMIT} <= rates.keys()
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
