"""Decisions about windows become segments; what other tools read of them."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from harray.live.config import TimelineConfig
from harray.live.exports import as_csv, as_eaf, as_label_studio, as_vtt, frame_rate, write_timeline
from harray.live.timeline import Lane, Segment, segments_of
from harray.synth.render import write_video

CLASSES = ("sit", "wave")
STEP_SEC = 0.1


def lane(*decisions: tuple[float, float, float], seen: tuple[float, float] = (0.0, 10.0)) -> Lane:
    """Somebody who is seen throughout; decisions are start, end, probability of `wave`."""
    times = np.arange(round((seen[1] - seen[0]) / STEP_SEC)) * STEP_SEC + seen[0]
    said = [(start, end, np.array([1 - wave, wave]), True) for start, end, wave in decisions]
    return Lane(times=times.tolist(), decisions=said)


def found(of: Lane, threshold: float = 0.0) -> list[tuple[str, float, float]]:
    segments = segments_of(0, of, CLASSES, threshold, STEP_SEC, TimelineConfig())
    return [(each.label, round(each.start_sec, 2), round(each.end_sec, 2)) for each in segments]


def test_a_label_changes_where_the_windows_around_a_moment_change_their_mind():
    windows = [(start, start + 2.0, 0.1 if start < 4 else 0.9) for start in np.arange(0, 8.1, 0.5)]
    (first, start, middle), (second, at, end) = found(lane(*windows))
    assert (first, second, start, end) == ("sit", "wave", 0.0, 10.0)
    assert middle == at == pytest.approx(4.75, abs=0.3)  # between the middles of the last and the first


def test_what_is_less_sure_than_the_threshold_lies_in_no_segment():
    windows = [(start, start + 2.0, 0.55 if start >= 4 else 0.05) for start in np.arange(0, 8.1, 2.0)]
    assert found(lane(*windows), threshold=0.8) == [("sit", 0.0, 4.0)]


def test_a_moment_in_which_nobody_is_seen_divides_segments():
    both = lane((0.0, 3.0, 0.9), (6.0, 9.0, 0.9))
    both.times = [time_sec for time_sec in both.times if not 3.0 <= time_sec < 6.0 and time_sec < 9.0]
    assert found(both) == [("wave", 0.0, 3.0), ("wave", 6.0, 9.0)]


def test_a_short_change_of_mind_is_none():
    assert found(lane((0.0, 5.0, 0.1), (5.01, 5.29, 0.9), (5.3, 10.0, 0.1))) == [("sit", 0.0, 10.0)]


def test_nobody_and_nothing_decided_give_no_segment():
    assert found(Lane()) == [] and found(lane()) == []


SEGMENTS = [
    Segment(track=None, start_sec=0.0, end_sec=61.5, label="wave <hand>", probability=0.9),
    Segment(track=3, start_sec=1.25, end_sec=2.0, label="sit & talk", probability=0.75),
]


def test_csv_and_subtitles():
    rows = list(csv.DictReader(as_csv(SEGMENTS).splitlines()))
    assert [(row["track"], row["start_sec"], row["label"]) for row in rows] == [
        ("", "0.0", "wave <hand>"),
        ("3", "1.25", "sit & talk"),
    ]
    assert as_vtt(SEGMENTS).splitlines()[:3] == [
        "WEBVTT",
        "",
        "00:00:00.000 --> 00:01:01.500",
    ]
    assert "<v person 3>sit &amp; talk 75%" in as_vtt(SEGMENTS)


def test_elan_has_a_tier_a_person():
    root = ElementTree.fromstring(as_eaf(SEGMENTS, "a video.mp4"))
    assert [tier.get("TIER_ID") for tier in root.findall("TIER")] == ["picture", "person 3"]
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    (annotation,) = root.findall("TIER")[1].iter("ALIGNABLE_ANNOTATION")
    assert times[annotation.get("TIME_SLOT_REF1")] == "1250"


@pytest.mark.parametrize(("fps", "start", "end"), [(25.0, 32, 51), (30.0, 39, 61), (12.5, 17, 26)])
def test_label_studio_counts_frames_at_the_videos_own_rate(fps, start, end):
    (task,) = json.loads(as_label_studio(SEGMENTS, "a video.mp4", fps))
    assert task["predictions"][0]["result"][1]["value"]["ranges"] == [{"start": start, "end": end}]
    assert task["data"] == {"video": "a video.mp4", "fps": fps}


def test_the_rate_is_the_films(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((5, 240, 320, 3), np.uint8))
    assert frame_rate(str(tmp_path / "a.mp4")) == 25.0
    assert frame_rate(str(tmp_path / "no.mp4")) == 24.0


def test_every_format_is_written_of_nothing_too(tmp_path):
    for segments in (SEGMENTS, []):
        assert all(path.stat().st_size for path in write_timeline(segments, "a.mp4", tmp_path, "a"))
