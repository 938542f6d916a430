"""The clock of a video: restarts, gaps, rounding; by hand, and in files."""

import functools
import re

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harray.videos.decoding import Video, VideoError
from harray.videos.frames import read_frames, uniform_frames
from harray.videos.spans import read_spans, span_frames, spans_of
from harray.videos.timeline import FramePlaces, even_timeline, frames_at, presentation_order, timeline_of
from tests.videos.films import film_frames, square_xy, write_film

MS = 0.001


@pytest.mark.parametrize(
    ("ticks", "time", "shown"),
    [
        ([0, 40, 80, 120], [0, 0.04, 0.08, 0.12], [0, 0.04, 0.08, 0.12]),
        ([1400, 1440, 1480], [0, 0.04, 0.08], [0, 0.04, 0.08]),  # a clock starts anywhere
        ([0, 40, 80, 0, 40, 80], np.arange(6) * 0.04, np.arange(6) * 0.04),  # started anew
        (
            [0, 40, 80, 20, 60, 100],
            np.arange(6) * 0.04,
            np.arange(6) * 0.04,
        ),  # so too where the clocks overlap
        ([0, 40, 80, 5000, 5040], [0, 0.04, 0.08, 5, 5.04], [0, 0.04, 0.08, 0.12, 0.16]),  # a gap
        ([0, 40, 80, 900, 940], [0, 0.04, 0.08, 0.9, 0.94], [0, 0.04, 0.08, 0.9, 0.94]),  # held, not a gap
        ([0, 3000, 6000, 9000], [0, 3, 6, 9], [0, 3, 6, 9]),  # slow, but not a row of gaps
        ([0, 40, 40, 80], [0, 0.04, 0.04, 0.08], [0, 0.04, 0.04, 0.08]),
        ([7], [0], [0]),
        ([5, 5, 5, 5], np.arange(4) / 25, np.arange(4) / 25),  # a clock that stands still says nothing
        ([9, 7, 5, 3, 4], np.arange(5) / 25, np.arange(5) / 25),  # one that runs backwards neither
        ([0, 33, 67, 100, 133], np.arange(5) * 0.03325, np.arange(5) * 0.03325),  # rounded by the container
        ([0, 80, *range(120, 481, 40)], np.arange(12) * 0.04, np.arange(12) * 0.04),  # the first is misplaced
    ],
)
def test_time_stamps_become_a_clock_that_rises(ticks, time, shown):
    timeline = timeline_of(np.array(ticks), MS, rate=25)
    np.testing.assert_allclose(timeline.time_sec_N, time, atol=1e-9)
    np.testing.assert_allclose(timeline.shown_sec_N, shown, atol=1e-9)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50))
def test_no_clock_runs_backwards(ticks):
    timeline = timeline_of(np.array(ticks), MS, rate=25)
    assert len(timeline.time_sec_N) == len(timeline.shown_sec_N) == len(ticks)
    assert timeline.time_sec_N[0] == timeline.shown_sec_N[0] == 0
    assert (np.diff(timeline.time_sec_N) >= 0).all()
    assert (np.diff(timeline.shown_sec_N) >= 0).all()
    assert timeline.shown_sec_N[-1] <= timeline.time_sec_N[-1] + 1e-6
    assert timeline.pieces[-1][1] == timeline.shown_sec_N[-1] + timeline.frame_sec


def test_gaps_and_restarts_are_known():
    timeline = timeline_of(np.array([0, 40, 80, 5000, 5040, 5080, 0, 40, 80]), MS, rate=25)
    assert timeline.gaps == ((0.08, 5.0),)
    assert timeline.restarts_sec == pytest.approx((5.12,))
    np.testing.assert_allclose(timeline.pieces, [(0, 0.12), (0.12, 0.36)])


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([(0, -2), (4, -1), (2, 0), (1, 1), (3, 2)], [0, 1, 2, 3, 4]),  # reordered frames
        (
            [(0, 0), (2, 1), (1, 2), (0, 0), (2, 1), (1, 2)],
            [0, 1, 2, 0, 1, 2],
        ),  # two films, one after the other
        ([(None, 0), (None, 1), (None, 2)], [0, 1, 2]),
        ([(0, None), (4, None), (2, 0), (1, 1)], [0, 1, 2, 4]),
        ([(0, 0), (None, None), (1, 1)], [0, 1]),  # the second field of a frame
    ],
)
def test_packets_come_in_order_of_decoding(stamps, expected):
    assert presentation_order(stamps).tolist() == expected


@pytest.mark.parametrize(
    ("ticks", "decoded", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 1, 2, 3], [0, 3], [0, 3]),  # two frames are lost
        (
            [0, 1, 2, 0, 1, 2],
            [0, 2, 0, 1, 2],
            [0, 2, 3, 4, 5],
        ),  # a frame is lost before the clock starts anew
        ([0, 1, 2], [0, None, 2], [0, 1, 2]),
        ([0, 1, 2, 3], [0, 2, 1, 3], [0, 2, 2, 3]),  # swapped by a parser
        ([0, 1, 2], [0, 99, 2], [0, 1, 2]),
        ([], [5, 3, 4], [0, 1, 2]),  # counted
        ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3]),  # more frames than packets
        ([*range(1000)], [0, 700], [0, 700]),
    ],
)
def test_a_decoded_frame_finds_its_place(ticks, decoded, expected):
    places = FramePlaces(np.array(ticks, np.int64))
    assert [places.next(tick) for tick in decoded] == expected


@given(st.integers(1, 400), st.integers(1, 64))
def test_of_a_constant_rate_every_way_of_sampling_takes_the_same_frames(num_source_frames, num_frames):
    timeline = even_timeline(num_source_frames, 30.0)
    wanted = np.linspace(0, timeline.shown_sec_N[-1], num_frames)
    found = frames_at(timeline.shown_sec_N, wanted, timeline.early_sec)
    last, parts = num_source_frames - 1, max(1, num_frames - 1)
    assert found.tolist() == [
        (2 * last * i + parts) // (2 * parts) for i in range(num_frames)
    ]  # halves round up


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0, 2)], [(0, 1), (1, 2)]),
        ([(0, 1), (1, 3)], [(0, 1), (1, 2), (2, 3)]),
        ([(0, 1.5), (1.5, 3)], [(0, 1), (0.5, 1.5), (1.5, 2.5), (2, 3)]),  # none reaches over the gap
        ([(0, 1), (1, 1.04), (1.04, 2.04)], [(0, 1), (1.04, 2.04)]),  # a stray frame is no clip
        ([(0, 0.04), (0.04, 0.12)], [(0.04, 0.12)]),  # but for the longest where there is nothing else
    ],
)
def test_clips_stay_between_the_gaps(pieces, expected):
    np.testing.assert_allclose(spans_of(pieces, 1.0, 1.0), expected)


def seconds_of(*parts, rate=25):
    """Times of frames: spans from a start for a while."""
    return [start + number / rate for start, length in parts for number in range(round(length * rate))]


@pytest.mark.parametrize(
    ("container", "parts", "clips", "kind"),
    [
        ("matroska", [(0, 3)], [0, 1, 2], None),
        ("matroska", [(0, 1), (21, 2)], [0, 21, 22], "gap"),
        ("matroska", [(0, 1), (3601, 2)], [0, 3601, 3602], "gap"),  # the clock jumps by an hour
        ("mpegts", [(0, 1), (21, 2)], [0, 21, 22], "gap"),
        ("mp4", [(0, 1), (21, 2)], [0, 21, 22], "gap"),  # as a frame of 20 s
        ("matroska", [(0, 2.04)], [0, 1], None),  # the rest is one frame
        ("matroska", [(0, 1), (9, 0.04), (20, 1)], [0, 20], "gap"),
        ("matroska", [(5, 2)], [0, 1], None),
    ],
)
def test_clips_are_where_there_are_frames(tmp_path, container, parts, clips, kind):
    seconds = seconds_of(*parts)
    path = write_film(tmp_path / "a", film_frames(len(seconds)), container=container, seconds=seconds)
    video = Video(path)
    found = list(span_frames(video, 5, 1.0, 1.0))
    assert [round(clip.time_sec_T[0] - 0.1, 1) for clip in found] == pytest.approx(clips, abs=0.05)
    for start, clip in zip(clips, found, strict=True):
        assert start <= clip.time_sec_T[0]
        assert clip.time_sec_T[-1] < start + 1
        assert len(set(clip.index_T.tolist())) == 5  # no frame stands for another time
    assert (kind in video.notes) if kind else not video.notes


@pytest.mark.parametrize(("codec", "bframes"), [("libx264", "2"), ("libx264", "0"), ("mpeg2video", None)])
def test_a_film_whose_clock_starts_anew_is_read_to_its_end(tmp_path, codec, bframes):
    """Two recordings in one file, as by `cat a.ts b.ts`."""
    film = film_frames(100)
    how = {"codec": codec, "container": "mpegts", "codec_options": {"bf": bframes} if bframes else {}}
    parts = [write_film(tmp_path / name, part, **how) for name, part in (("a", film[:50]), ("b", film[50:]))]
    (tmp_path / "ab.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    video = Video(tmp_path / "ab.ts")
    clips = list(span_frames(video, 5, 1.0, 1.0))
    assert [round(clip.time_sec_T[0], 2) for clip in clips] == [0.12, 1.12, 2.12, 3.12]
    assert "restarted clock" in video.notes
    frames = read_frames(tmp_path / "ab.ts", 4)
    assert frames.index_T.tolist() == [0, 33, 66, 99]
    expected_xy = square_xy(np.stack([film[i] for i in (0, 33, 66, 99)]), 120, 160)
    assert np.abs(square_xy(frames.rgb_THWC, 120, 160) - expected_xy).max() < 1


@pytest.mark.parametrize(
    "seconds",
    [
        [*seconds_of((0, 1)), *seconds_of((1, 2), rate=5)],  # the rate drops
        [*seconds_of((0, 2), rate=5), *seconds_of((2, 1))],
        [number / 25 for number in range(75) if number % 7 != 3 or number > 40],  # frames were dropped
        np.cumsum(np.linspace(0.02, 0.1, 50)) - 0.02,
        [0.0, 0.04, 0.5, 0.54, 1.0, 1.04, 1.5, 1.54, 2.0, 2.04],
    ],
)
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_frames_are_spaced_evenly_in_time_whatever_the_rate(tmp_path, container, seconds):
    path = write_film(tmp_path / "a", film_frames(len(seconds)), container=container, seconds=seconds)
    taken = read_frames(path, 32).time_sec_T
    wanted = np.linspace(0, seconds[-1], 32)
    assert (
        taken <= wanted + np.median(np.diff(seconds)) / 2 + 2e-3
    ).all()  # none stands for a time long before it
    for shown, at in zip(taken, wanted, strict=True):  # and a player shows no later one at that time
        assert not [second for second in seconds if shown + 2e-3 < second < at - 2e-3]


def test_only_what_an_edit_list_presents_is_read(tmp_path):
    """Frames before time 0 are needed for decoding, and not shown."""
    film = film_frames(75)
    seconds = [number / 25 - 1 for number in range(75)]
    path = write_film(tmp_path / "a.mp4", film, seconds=seconds, options={"avoid_negative_ts": "disabled"})
    with av.open(str(path)) as container:
        assert sum(packet.is_discard for packet in container.demux(video=0)) >= 20  # the file is such a one
    frames = read_frames(path, 3)
    np.testing.assert_allclose(frames.time_sec_T, [0, 1.0, 1.96], atol=0.03)
    expected_xy = square_xy(np.stack([film[i] for i in (25, 50, 74)]), 120, 160)
    assert np.abs(square_xy(frames.rgb_THWC, 120, 160) - expected_xy).max() < 1.1
    assert [round(clip.time_sec_T[0], 1) for clip in read_spans(path, 5, 1.0, 1.0)] == [0.1, 1.1]


def cut_at(share, path):
    path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)])
    return path


def flip_bits(count, path, low=0.05, high=0.95):
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    for at in rng.integers(round(low * len(data)), round(high * len(data)), count):
        data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return path


NOISY = [
    np.clip(image + np.random.default_rng(0).integers(0, 60, image.shape), 0, 255).astype(np.uint8)
    for image in film_frames(90)
]


@pytest.mark.parametrize(
    ("container", "options", "damage", "said"),
    [
        (
            "mp4",
            {"movflags": "faststart"},
            functools.partial(cut_at, 0.4),
            r"broken off: \d+ of 90 frames are there",
        ),
        ("avi", {}, functools.partial(cut_at, 0.4), r"broken off: \d+ of 90 frames are there"),
        ("matroska", {}, functools.partial(cut_at, 0.4), r"broken off: [\d.]+ of 3.6 s are there"),
        ("matroska", {}, functools.partial(flip_bits, 2), r"damaged: \d+ of 90 frames are damaged or lost"),
        ("avi", {}, functools.partial(flip_bits, 2), r"damaged: \d+ of 90 frames are damaged or lost"),
        ("h264", {}, lambda path: path, "no times: it states none; 25 frames a second are assumed"),
        ("mpegts", {}, lambda path: path, "^$"),
        ("mp4", {}, lambda path: path, "^$"),
    ],
)
def test_what_is_wrong_with_a_film_is_said(tmp_path, container, options, damage, said):
    path = write_film(tmp_path / "a", NOISY, container=container, options=options, codec_options={"g": "15"})
    video = Video(damage(path))
    uniform_frames(video, 16)
    assert re.search(said, " | ".join(f"{kind}: {text}" for kind, text in video.notes.items()))


@pytest.mark.parametrize("container", ["matroska", "avi", "mpegts"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_film_of_which_too_little_is_whole_is_refused(tmp_path, container, codec):
    path = write_film(tmp_path / "a", NOISY, codec=codec, container=container)
    flip_bits(path.stat().st_size // 150, path)
    with pytest.raises(
        VideoError, match=r"frames are damaged or lost|no packet|not a video|holds a frame"
    ) as error:
        read_frames(path, 8)
    assert error.value.stage in ("open", "decode")


@pytest.mark.parametrize(("length_sec", "is_sparse"), [(10, False), (15, False), (39, True)])
def test_sparse_sampling_is_said(tmp_path, length_sec, is_sparse):
    path = write_film(tmp_path / "a.mp4", film_frames(60), seconds=np.linspace(0, length_sec, 60))
    video = Video(path)
    uniform_frames(video, 32)
    expected = f"32 frames over {length_sec} s, one every {length_sec / 31:.1f} s"
    assert video.notes.get("sparse", "").startswith(expected) if is_sparse else not video.notes
