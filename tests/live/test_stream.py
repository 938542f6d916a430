"""People come and go, cuts end them, windows lie in time: a stream fed with detections and decisions by hand."""

import dataclasses
import json

import numpy as np
import pytest

from harray.inference import Predictor
from harray.inference.evidence import Evidence
from harray.inference.predictor import ClipPredictions, Prediction
from harray.live.config import LiveConfig
from harray.live.networks import FrameNetworks, Picture, SeenFrame
from harray.live.stream import Stream, decide
from harray.live.traits import ModelTraits
from harray.poses.detector import FrameDetections
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from tests.toys import untrained_checkpoint

TRAITS = ModelTraits(
    window_sec=2.0, num_frames=8, num_people=1, num_joints=17, num_scene_frames=2, min_confidence=0.3
)
EACH = LiveConfig(smoothing_sec=0.0)


def seen(time_sec: float, *middles: float, tokens: float | None = None) -> SeenFrame:
    """A frame with people of 40 x 100 px standing at these x."""
    boxes = np.array([[x - 20, 20, x + 20, 120] for x in middles], np.float32).reshape(-1, 4)
    joints = [np.stack([np.full(17, x), np.linspace(25, 115, 17), np.ones(17)], 1) for x in middles]
    keypoints = np.array(joints, np.float32).reshape(-1, 17, 3)
    people = FrameDetections(
        boxes_N4=boxes, confidence_N=np.full(len(middles), 0.9, np.float32), keypoints_NKC1=keypoints
    )
    tokens_SD = None if tokens is None else np.full((4, 3), tokens, np.float16)
    return SeenFrame(time_sec=time_sec, height_px=240, width_px=320, people=people, tokens_SD=tokens_SD)


def prediction(seen_share: float = 1.0, **probabilities: float) -> Prediction:
    ordered = dict(sorted(probabilities.items(), key=lambda item: -item[1]))
    label, probability = next(iter(ordered.items()))
    clips = ClipPredictions(
        probabilities_NA=np.array([list(probabilities.values())]),
        completed_NPTKC=np.zeros((1, 1, 8, 17, 2)),
        visible_NPTK=np.ones((1, 1, 8, 17), bool),
        attention_time_NT=None,
        attention_scene_NS=np.full((1, 8), 0.125),
        gate_N=None,
    )
    evidence = Evidence(
        num_people_seen=int(seen_share > 0), frames_seen_share=seen_share, joints_seen_share=seen_share
    )
    return Prediction(
        source="", label=label, probability=probability, probabilities=ordered, clips=clips, evidence=evidence
    )


def played(stream: Stream, frames: list[SeenFrame]) -> list:
    """All windows that fall due, none decided on."""
    windows = []
    for frame in frames:
        stream.take(frame)
        windows += stream.due()
    return windows


def test_each_person_is_decided_about_several_times_a_second_once_followed_for_half_a_window():
    frames = [seen(t / 20, 60, 200) for t in range(41)]
    windows = played(Stream(TRAITS), frames)
    assert {window.track for window in windows} == {0, 1}
    assert [window.end_sec for window in windows if window.track == 1] == [1.0, 1.25, 1.5, 1.75, 2.0]


def test_a_window_holds_the_frames_that_are_shown_at_evenly_spaced_times():
    frames = [seen(t / 10, 60 + t) for t in range(31)]
    window = played(Stream(TRAITS), frames)[-1]
    assert (window.start_sec, window.end_sec) == (1.0, 3.0)
    # wanted: 1.0, 1.286, 1.571, ... 3.0; a frame stands for times from half a frame before it
    assert window.keypoints_PTKC1[0, :, 0, 0].tolist() == [70, 73, 76, 79, 81, 84, 87, 90]
    assert (window.keypoints_PTKC1[..., 2] == 1).all()


def test_frames_may_come_at_any_rate_and_those_out_of_order_are_passed_over():
    times = [0.0, 0.9, 0.5, 1.0, 1.7, 2.0]
    window = played(Stream(TRAITS), [seen(t, 100 + 10 * t) for t in times])[-1]
    assert set(window.keypoints_PTKC1[0, :, 0, 0].tolist()) == {100, 110, 117, 120}


def test_who_is_hidden_for_a_moment_keeps_the_number_and_the_frames_between_are_empty():
    frames = [seen(t / 10, *([] if 12 <= t < 17 else [100])) for t in range(25)]
    window = played(Stream(TRAITS), frames)[-1]
    assert window.track == 0
    assert (window.keypoints_PTKC1[0, ..., 2].any(axis=-1)).tolist() == [True] * 3 + [False] * 2 + [True] * 3


def test_who_has_gone_is_forgotten_and_what_was_said_of_them_ends():
    stream = Stream(TRAITS, EACH)
    windows = played(stream, [seen(t / 10, 100) for t in range(11)])
    [began] = stream.decided(windows, [prediction(walk=0.9, sit=0.1)] * len(windows))
    assert (began.kind, began.track, began.label, began.time_sec) == ("begin", 0, "walk", 1.0)
    played(stream, [seen(t / 10) for t in range(11, 25)])
    assert stream.view()["verdict"] == "nobody"
    [ended] = stream.decided([], [])
    assert (ended.kind, ended.label, ended.start_sec, ended.time_sec) == ("end", "walk", 1.0, 1.0)


def test_a_picture_of_another_size_is_another_shot():
    stream = Stream(TRAITS)
    played(stream, [seen(t / 10, 100) for t in range(15)])
    stream.take(dataclasses.replace(seen(1.5, 100), width_px=480))
    assert stream.num_cuts == 1
    assert [track["track"] for track in stream.view()["tracks"]] == [1]


def test_two_are_looked_at_together_where_the_model_looks_at_two():
    stream = Stream(dataclasses.replace(TRAITS, num_people=2))
    windows = played(stream, [seen(t / 10, 40, 100, 280) for t in range(11)])
    looked_at = {window.track: window.keypoints_PTKC1[:, 0, 0, 0].tolist() for window in windows}
    assert looked_at == {0: [40, 100], 1: [40, 100], 2: [100, 280]}
    assert [window.place for window in windows] == [0, 1, 1]


def test_one_label_for_the_whole_picture_on_request():
    stream = Stream(dataclasses.replace(TRAITS, num_people=2), LiveConfig(scene=True))
    windows = played(stream, [seen(t / 10, 40, 100, 280) for t in range(11)])
    assert [window.track for window in windows] == [None]
    stream.decided(windows, [prediction(walk=0.9, sit=0.1)])
    picture, *people = stream.view()["tracks"]
    assert (picture["track"], picture["label"]) == (None, "walk")
    assert [(each["track"], each["label"]) for each in people] == [(0, None), (1, None), (2, None)]


def test_scene_tokens_are_wanted_once_a_second_and_the_nearest_stand_for_a_window():
    stream = Stream(TRAITS)
    wanted, windows = [], []
    for t in range(41):
        if stream.wants_scene(t / 20):
            wanted.append(t / 20)
        stream.take(seen(t / 20, 100, tokens=t / 20 if wanted[-1] == t / 20 else None))
        windows += stream.due()
    assert wanted == [0.0, 1.0, 2.0]
    assert windows[-1].scene_tokens_FSD[:, 0, 0].tolist() == [1.0, 2.0]  # asked for at 0.57 and 1.71


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ([{"a": 0.9, "b": 0.1}, {"a": 0.46, "b": 0.54}], ["a", "a"]),  # within the margin
        ([{"a": 0.9, "b": 0.1}, {"a": 0.3, "b": 0.7}], ["a", "b"]),
        ([{"a": 0.42, "b": 0.38}, {"a": 0.7, "b": 0.3}], [None, "a"]),  # unsure below 0.45
    ],
)
def test_a_label_gives_way_only_by_a_margin_and_is_said_only_above_the_threshold(decisions, said):
    stream = Stream(dataclasses.replace(TRAITS, threshold=0.45), EACH)
    [window] = played(stream, [seen(t / 10, 100) for t in range(11)])
    found = []
    for number, probabilities in enumerate(decisions):
        moved = dataclasses.replace(window, end_sec=1.0 + number)
        stream.decided([moved], [prediction(**probabilities)])
        found.append(stream.view()["tracks"][0]["label"])
    assert found == said


def test_smoothing_weighs_a_decision_by_the_time_since_the_last_one():
    stream = Stream(TRAITS, LiveConfig(smoothing_sec=0.5))
    [window] = played(stream, [seen(t / 10, 100) for t in range(11)])
    stream.decided([window], [prediction(a=1.0, b=0.0)])
    stream.decided([dataclasses.replace(window, end_sec=1.5)], [prediction(a=0.0, b=1.0)])
    assert stream.view()["tracks"][0]["top"][0] == {"label": "b", "probability": 0.6321}  # 1 - 1/e


def test_hidden_joints_of_the_view_are_the_models_moved_with_the_body():
    stream = Stream(TRAITS, EACH)
    windows = played(stream, [seen(t / 10, 100) for t in range(11)])
    completed = np.zeros((1, 1, 8, 17, 2))
    completed[0, 0, -1] = windows[-1].keypoints_PTKC1[0, -1, :, :2]
    said = prediction(a=1.0, b=0.0)
    said = dataclasses.replace(said, clips=dataclasses.replace(said.clips, completed_NPTKC=completed))
    stream.decided(windows, [said] * len(windows))
    newest = seen(1.1, 110)
    newest.people.keypoints_NKC1[0, 5, 2] = 0.1
    stream.take(newest)
    view = json.loads(json.dumps(stream.view(with_attention=True)))["tracks"][0]
    assert view["completed"] == [joint == 5 for joint in range(17)]
    assert view["keypoints"][5] == [110.0, pytest.approx(25 + 5 * 90 / 16, abs=0.1), 0.1]
    assert view["scene_attention"] == [[0.25, 0.25], [0.25, 0.25]]


def test_another_model_may_take_over_in_mid_stream():
    stream = Stream(TRAITS, EACH)
    windows = played(stream, [seen(t / 10, 100) for t in range(11)])
    stream.decided(windows, [prediction(a=1.0, b=0.0)] * len(windows))
    stream.adopt(dataclasses.replace(TRAITS, num_frames=4, window_sec=1.0))
    [window] = played(stream, [seen(t / 10, 100) for t in range(11, 14)])
    assert window.keypoints_PTKC1.shape[1] == 4 and window.end_sec - window.start_sec == pytest.approx(1.0)
    events = stream.decided([window], [prediction(c=1.0, d=0.0)])
    assert [(event.kind, event.label) for event in events] == [("end", "a"), ("begin", "c")]


@pytest.mark.slow
def test_nothing_grows_with_time():
    stream = Stream(TRAITS, EACH)
    sizes = []
    for t in range(4000):
        middles = [] if t % 200 > 150 else [100 + 40 * (t // 200 % 4)]
        stream.take(seen(t / 20, *middles, tokens=0.0))
        windows = stream.due()
        stream.decided(windows, [prediction(a=1.0, b=0.0)] * len(windows))
        if t in (2100, 3900):
            held = stream._history, stream._standings, stream._last_sec, stream._tracker._people
            sizes.append([len(held[0].moments), len(held[0].scenes), *map(len, held[1:])])
    assert sizes[0] == sizes[1]


def test_a_rendered_clip_gets_the_same_answer_live_as_by_predict(tmp_path):
    predictor = Predictor.load(untrained_checkpoint(tmp_path / "checkpoint"), device="cpu", num_threads=1)
    frames, _ = render_clip(clip_specs(SynthConfig(clips_per_action=1))[0], range(8))
    pictures = [Picture(rgb_HWC=frame, time_sec=t / 25) for t, frame in enumerate(frames)]
    config = LiveConfig(scene=True)
    stream = Stream(ModelTraits.of(predictor.checkpoint, config), config)
    for seen_frame in FrameNetworks(predictor.extractor).see(pictures):
        stream.take(seen_frame)
    [live] = decide(predictor, stream.last())
    from harray.synth.render import write_video

    write_video(tmp_path / "clip.mp4", frames)
    by_file = predictor.predict_video(tmp_path / "clip.mp4")
    assert live.label == by_file.label
    assert live.probabilities == pytest.approx(by_file.probabilities, abs=0.02)  # the file is compressed
