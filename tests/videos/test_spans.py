"""Clips cut from untrimmed videos."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harray.videos.decoding import VideoError
from harray.videos.spans import MIN_REST_SHARE, cut_spans, read_spans
from tests.videos.test_frames import without_packets, write_video


@pytest.mark.parametrize(
    ("extent", "clip_sec", "stride_sec", "expected"),
    [
        ((0.0, 10.0), 4.0, 4.0, [(0, 4), (4, 8), (6, 10)]),  # the last is moved back to the end
        ((0.0, 8.0), 4.0, 4.0, [(0, 4), (4, 8)]),
        ((0.0, 8.0), 4.0, 2.0, [(0, 4), (2, 6), (4, 8)]),
        ((1.0, 9.0), 4.0, 4.0, [(1, 5), (5, 9)]),  # times need not start at 0
        ((0.0, 3.0), 4.0, 2.0, [(0, 3)]),  # shorter than a clip
        ((0.0, 5.0), 1.0, 3.0, [(0, 1), (3, 4), (4, 5)]),  # gaps are as asked for
        ((0.0, 8.01), 4.0, 4.0, [(0, 4), (4, 8)]),  # a rest of milliseconds would repeat the clip before it
        ((0.0, 8.5), 4.0, 4.0, [(0, 4), (4, 8), (4.5, 8.5)]),
    ],
)
def test_spans_by_hand(extent, clip_sec, stride_sec, expected):
    assert cut_spans(extent, clip_sec, stride_sec) == expected


@given(st.floats(0.1, 500), st.floats(0.5, 20), st.floats(0.1, 1))
def test_overlapping_spans_cover_the_video_but_for_a_short_rest_and_stay_in_it(length, clip_sec, share):
    spans = cut_spans((0.0, length), clip_sec, clip_sec * share)
    assert spans[0][0] == 0
    assert length - MIN_REST_SHARE * clip_sec - 1e-3 < spans[-1][1] < length + 1e-3
    assert all(later[0] <= earlier[1] + 1e-9 for earlier, later in itertools.pairwise(spans))


def test_each_clip_has_the_frames_of_the_middles_of_its_parts(tmp_path):
    path = write_video(tmp_path / "a.mp4", 50, bright=lambda i: 4 * i)  # 2 s
    clips = list(read_spans(path, 5, clip_sec=1.0, stride_sec=0.5))
    assert [clip.index_T.tolist() for clip in clips] == [
        [3, 8, 13, 18, 23],  # 0.1, 0.3, ... s; half a frame early is near enough
        [15, 20, 25, 30, 35],
        [28, 33, 38, 43, 48],
    ]
    for clip in clips:
        bright = clip.rgb_THWC[:, 8:40, 40:60].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(bright, 4 * clip.index_T, atol=4)


def test_a_video_whose_last_frames_are_lost_repeats_the_last_one_taken(tmp_path):
    path = write_video(tmp_path / "a.avi", 30)
    path.write_bytes(without_packets(path.read_bytes(), range(26, 30)))
    [clip] = list(read_spans(path, 6, clip_sec=1.2, stride_sec=1.2))
    assert clip.index_T.tolist() == [3, 8, 13, 18, 23, 23]


def test_what_holds_no_frames_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(VideoError, match="not a video"):
        list(read_spans(tmp_path / "a.mp4", 4, 1.0, 1.0))


def test_a_long_video_needs_no_more_memory_than_a_short_one(tmp_path):
    def peak(num_frames):
        path = write_video(tmp_path / f"{num_frames}.mp4", num_frames, bright=lambda i: i % 200)
        tracemalloc.start()
        for _ in read_spans(path, 8, clip_sec=1.0, stride_sec=1.0):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(50)  # what is imported at the first use
    assert peak(1000) < 1.5 * peak(100)


def test_what_others_do_with_a_clip_is_not_reading_time(tmp_path):
    path = write_video(tmp_path / "a.mp4", 60)
    clips = read_spans(path, 2, clip_sec=0.4, stride_sec=0.4, limit_sec=0.5)
    starts = []
    for clip in clips:
        starts.append(clip.index_T[0])
        time.sleep(0.2)  # six times, more than the limit in all
    assert len(starts) == 6
