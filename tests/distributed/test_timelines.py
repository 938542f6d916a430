"""Recordings that are cut and shared over actors: the same segments as in one process."""

import numpy as np
import pytest

from harray.distributed.timelines import timelines_on_ray
from harray.inference import Predictor
from harray.live.config import TimelineConfig
from harray.live.networks import FrameNetworks
from harray.live.recordings import WHOLE, Span, Steps, seen_frames, spans_of
from harray.live.timeline import recording_traits, timeline
from harray.synth.pairs import Pair, render_pair
from harray.synth.render import write_video
from tests.serving.models import frames_of, specs_of

CONFIG = TimelineConfig()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Somebody alone, then two people: 7 to 10 s."""
    one, other = (
        specs_of((label,), 99, 3)[place] for place, label in enumerate(("jog_street", "jumping_jacks"))
    )
    together = render_pair(Pair(left=one, right=other, scene="street"))
    path = tmp_path_factory.mktemp("recording") / "long.mp4"
    write_video(path, np.concatenate([frames_of("lift_box"), together, together[::-1]]))
    return path


@pytest.fixture(scope="module")
def predictor(little_model):
    return Predictor.load(little_model, device="cpu", num_threads=1)


def test_spans_seen_apart_are_the_frames_of_the_whole(recording, predictor):
    networks, traits = FrameNetworks(predictor.extractor), recording_traits(predictor, CONFIG)
    spans = spans_of(recording, traits, 2.0)
    assert len(spans) >= 4 and spans[0].first == 0 and spans[-1].last is None
    whole = list(seen_frames(networks, recording, traits))
    parts = [frame for span in spans for frame in seen_frames(networks, recording, traits, span)]
    assert [frame.time_sec for frame in parts] == [frame.time_sec for frame in whole]
    for part, of_whole in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(part.people.keypoints_NKC1, of_whole.people.keypoints_NKC1)


def test_a_short_recording_is_one_span(recording, predictor):
    assert spans_of(recording, recording_traits(predictor, CONFIG), 60.0) == [WHOLE]


def test_a_frame_is_looked_at_once_a_step_and_blocks_are_whole_steps():
    steps = Steps(step_sec=0.1, in_block=10)
    assert [steps.step_at(t) for t in (0.0, 0.07, 0.08, 0.1, 0.99)] == [0, 0, 1, 1, 10]
    assert [steps.block_at(t) for t in (0.9, 0.98, 1.9, 2.5)] == [0, 1, 1, 2]
    assert Span(0, None) == WHOLE


def test_actors_find_the_segments_that_one_process_finds(
    ray_cluster, recording, predictor, little_model, tmp_path
):
    (tmp_path / "no.mp4").write_text("no video")
    told = []
    found = timelines_on_ray(
        little_model,
        [str(recording), str(tmp_path / "no.mp4"), str(recording)],
        [],
        CONFIG,
        2,
        span_sec=2.0,
        on_progress=lambda video, time_sec: told.append(time_sec),
    )
    first, broken, again = list(found)
    alone = timeline(predictor, recording, CONFIG)
    assert len({segment.track for segment in alone}) >= 3  # the picture, and people
    assert [segment.to_json() for segment in first] == [segment.to_json() for segment in alone]
    assert again == first
    assert "no.mp4: open" in broken
    assert max(told) > 6.0


def test_the_command_with_actors_says_what_it_says_without(
    ray_cluster, harray, recording, little_model, tmp_path
):
    command = ("timeline", little_model, recording, "--json", "--out", tmp_path)
    alone, shared = harray(*command), harray(*command, "--actors", "2")
    assert (alone.code, shared.code) == (0, 0), shared.err
    assert alone.json["timelines"] == shared.json["timelines"]
