"""The six lines of the README, as a notebook runs them: on a few rendered clips, by names as text and as paths."""

import subprocess
import sys
from pathlib import Path

import pytest

import harray
from harray.api.extract import list_source
from harray.distributed import extraction
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from harray.workspace import Workspace
from tests.reporters import Recorder

SMALL = {
    "videos.num_frames": 8,
    "poses.image_size": 160,
    "scenes.num_frames": 1,
    "training.num_epochs": 1,
    "training.device": "cpu",
    "model.pcm.hidden_size": 8,
    "model.pcm.refine_size": 8,
    "model.mme.width": 16,
    "model.mme.num_blocks": 1,
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder of rendered videos."""
    folder = tmp_path_factory.mktemp("six") / "videos"
    render_dataset(folder, SynthConfig(clips_per_action=3, num_actors=3))
    return folder


@pytest.mark.parametrize("named", [str, Path])
def test_the_six_lines_work_quietly_by_text_and_by_path(
    videos, tmp_path, monkeypatch, ray_cluster, capfd, named
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARRAY_OUT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    store = harray.extract(named(videos), named("STORE"), recipe="procedural", overrides=SMALL)
    model = harray.train(named("STORE"), recipe="procedural", overrides=SMALL, register="actions")
    report = model.evaluate(named("STORE"), split="test", occlusion=False)
    model = harray.load("models:/actions@champion")
    answer = model.predict(named(next(videos.rglob("*.mp4"))))
    pictures = answer.explain(named("why"))
    with model.live(named(next(videos.rglob("*.mp4"))), own_speed=False) as events:
        assert all({"label", "start_sec"} <= event.keys() for event in events)
    for segment in model.timeline(named(next(videos.rglob("*.mp4")))):
        assert segment.start_sec < segment.end_sec

    assert store.summary.extracted == 36
    assert report.scores.num_clips > 0
    assert len(answer.top(3)) == 3
    assert {path.parent.name for path in pictures} == {"why"}
    assert all(path.exists() for path in pictures)
    for shown in (store, model, report, answer):
        assert "<table>" in shown._repr_html_()
    for drawn in (report, answer):
        assert drawn.figure().axes
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "harray-out" / "logs").glob("python-*.log"))


def test_keypoints_are_those_of_supervision(videos, tmp_path, ray_cluster):
    supervision = pytest.importorskip("supervision")
    place = Workspace(tmp_path / "out")
    store = harray.extract(
        list_source(videos), tmp_path / "store", recipe="procedural", overrides=SMALL, workspace=place
    )
    model = harray.train(store, recipe="procedural", overrides=SMALL, workspace=place)
    found = model.predict(next(videos.rglob("*.mp4"))).keypoints
    assert len(found) == 8
    assert all(isinstance(frame, supervision.KeyPoints) for frame in found)
    assert found[0].xy.shape[1:] == (17, 2)


def test_a_reporter_hears_of_every_verb_and_of_the_log_once(videos, tmp_path, ray_cluster, monkeypatch):
    place, told, asked = Workspace(tmp_path / "out"), Recorder(), []
    check = extraction.check_demand
    monkeypatch.setattr(extraction, "check_demand", lambda *what: asked.append(what) or check(*what))
    store = harray.extract(
        videos, tmp_path / "store", recipe="procedural", overrides=SMALL, workspace=place, reporter=told
    )
    harray.train(store, recipe="procedural", overrides=SMALL, workspace=place, reporter=told)
    assert {title for title, *_ in told.updates} == {"extracting", "training"}
    assert sum(line.startswith("log: ") for line in told.said) == 1
    assert len(asked) == 1, "the cluster is asked once for what an extraction needs"


def test_importing_harray_loads_no_heavy_library():
    heavy = "torch,ray,mlflow,ultralytics,optuna"
    code = "import sys, harray; print(*sorted(set(sys.modules) & set(sys.argv[1].split(','))))"
    found = subprocess.run([sys.executable, "-c", code, heavy], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
