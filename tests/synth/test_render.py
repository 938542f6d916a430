"""Rendered sets: files, manifest, determinism and refusals."""

import csv
import dataclasses
import time

import numpy as np
import pytest

from harray.errors import InputError
from harray.synth.actions import ACTION_NAMES
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset, truth_path, write_video
from harray.synth.truth import load_truth, save_truth
from tests.reporters import Recorder

pytestmark = pytest.mark.slow

CONFIG = SynthConfig(clips_per_action=3, seed=1)
MIN_CLIPS_PER_SEC = 8.0  # on two cores


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "set"
    told = Recorder()
    summary = render_dataset(out, CONFIG, told, num_workers=2)
    return out, summary, told.updates


def test_a_set_has_a_video_and_a_truth_for_every_row_of_its_manifest(rendered):
    out, summary, calls = rendered
    rows = list(csv.DictReader((out / "manifest.csv").open()))
    assert list(rows[0]) == ["path", "label", "group", "split", "dataset"]
    assert len(rows) == summary.num_clips == summary.num_rendered == 3 * len(ACTION_NAMES)
    assert calls[-1][1:3] == (36, 36)
    assert summary.splits == {"train": 12, "val": 12, "test": 12}
    for row in rows:
        assert (out / row["path"]).stat().st_size > 0
        truth = load_truth(out / "truth" / row["path"].replace(".mp4", ".npz"))
        assert (truth.label, truth.actor) == (row["label"], row["group"])
        assert truth.keypoints_TPKC.dtype == np.float32
        assert truth.visible_TPK.dtype == bool


def test_a_video_shows_the_rendered_frames(rendered):
    import av

    out, _, _ = rendered
    spec = clip_specs(CONFIG)[0]
    frames, truth = render_clip(spec)
    with av.open(str(out / f"{spec.name}.mp4")) as container:
        assert float(container.streams.video[0].average_rate or 0) == 25.0
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(frames) == len(truth.keypoints_TPKC)
    assert np.abs(decoded[7].astype(int) - frames[7]).mean() < 8


def test_the_same_seed_gives_the_same_bytes_of_truth_for_any_number_of_workers(rendered, tmp_path):
    out, _, _ = rendered
    for spec in clip_specs(CONFIG)[::7]:
        _, truth = render_clip(spec)  # in this process, not in a worker
        save_truth(truth, tmp_path / "again.npz")
        assert (tmp_path / "again.npz").read_bytes() == truth_path(out, spec).read_bytes()


def test_another_seed_gives_other_people_and_places():
    one, other = (render_clip(clip_specs(SynthConfig(clips_per_action=3, seed=s))[0], [0])[1] for s in (1, 2))
    assert not np.array_equal(one.keypoints_TPKC, other.keypoints_TPKC)


def test_rendering_a_set_again_renders_only_what_is_missing(rendered):
    out, _, _ = rendered
    assert render_dataset(out, CONFIG).num_rendered == 0
    lost = clip_specs(CONFIG)[5]
    (out / f"{lost.name}.mp4").unlink()
    assert render_dataset(out, CONFIG).num_rendered == 1


@pytest.mark.slow
def test_eight_clips_a_second_are_rendered_on_two_cores(tmp_path):
    specs = clip_specs(CONFIG)[::5]
    started = time.process_time()  # of one core, whatever else the machine does
    for number, spec in enumerate(specs):
        frames, truth = render_clip(spec)
        save_truth(truth, tmp_path / f"{number}.npz")
        write_video(tmp_path / f"{number}.mp4", frames)
    assert len(specs) / (time.process_time() - started) * 2 > MIN_CLIPS_PER_SEC


@pytest.mark.parametrize("change", [{"clips_per_action": 2}, {"num_actors": 1}])
def test_too_few_clips_or_actors_for_three_splits_are_refused(change, tmp_path):
    with pytest.raises(InputError, match="at least 3"):
        render_dataset(tmp_path / "out", dataclasses.replace(CONFIG, **change))


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(rendered, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        render_dataset(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="other settings"):
        render_dataset(rendered[0], dataclasses.replace(CONFIG, seed=2))


def test_a_file_that_is_no_truth_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_truth(tmp_path / "none.npz")
    (tmp_path / "other.npz").write_text("text")
    with pytest.raises(InputError, match="not the truth"):
        load_truth(tmp_path / "other.npz")
