import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from harray.videos.decoding import VideoError
from harray.videos.frames import read_frames, uniform_indices
from harray.videos.picture import Pictures

UT_INTERACTION = Path(__file__).parents[3] / "shared/data/videos/ut_interaction/set1"


def write_video(path, num_frames, height=48, width=64, codec="mpeg4", bright=lambda i: 4 * i):
    """A grey video whose brightness tells the frame, its left half darker."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(num_frames):
            image = np.full((height, width, 3), bright(i), np.uint8)
            image[:, : width // 2] //= 2
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("num_source_frames", "num_frames", "expected"),
    [
        (5, 5, [0, 1, 2, 3, 4]),
        (9, 5, [0, 2, 4, 6, 8]),
        (10, 4, [0, 3, 6, 9]),
        (4, 3, [0, 2, 3]),  # 1.5 rounds up
        (2, 5, [0, 0, 1, 1, 1]),  # 0, .25, .5, .75, 1
        (1, 3, [0, 0, 0]),
        (7, 1, [0]),
    ],
)
def test_frames_are_spaced_evenly_from_first_to_last(num_source_frames, num_frames, expected):
    assert uniform_indices(num_source_frames, num_frames).tolist() == expected


def test_the_frames_are_those_that_the_indices_say(tmp_path):
    frames = read_frames(write_video(tmp_path / "a.mp4", 41), 6)
    assert frames.index_T.tolist() == [0, 8, 16, 24, 32, 40]
    assert frames.rgb_THWC.shape == (6, 48, 64, 3)
    bright = frames.rgb_THWC[:, 8:40, 40:60].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(bright, 4 * frames.index_T, atol=4)
    np.testing.assert_allclose(frames.time_sec_T, frames.index_T / 25)
    assert (frames.fps, frames.num_source_frames) == (25.0, 41)


def test_a_short_video_repeats_frames(tmp_path):
    frames = read_frames(write_video(tmp_path / "a.mp4", 3), 6)
    assert frames.index_T.tolist() == [0, 0, 1, 1, 2, 2]
    assert frames.rgb_THWC.shape[0] == 6


def test_only_the_frames_that_are_wanted_become_pictures(tmp_path, monkeypatch):
    converted = []
    original = Pictures.of
    monkeypatch.setattr(Pictures, "of", lambda *given: converted.append(1) or original(*given))
    read_frames(write_video(tmp_path / "a.mp4", 60), 4)
    assert len(converted) == 4


def rotate_by_metadata(path, degrees_clockwise):
    """Write a rotation into the track header's matrix, as telephones do."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees_clockwise]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    fixed = 1 << 16
    struct.pack_into(
        ">9i", data, matrix, cos * fixed, sin * fixed, 0, -sin * fixed, cos * fixed, 0, 0, 0, 1 << 30
    )
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("degrees", "dark"),
    [
        (0, np.s_[:, :20]),  # the left half is dark
        (90, np.s_[:20, :]),  # turned clockwise, left becomes top
        (180, np.s_[:, 44:]),
        (270, np.s_[44:, :]),
    ],
)
def test_rotation_in_the_metadata_is_applied(tmp_path, degrees, dark):
    path = write_video(tmp_path / "a.mp4", 3, bright=lambda i: 200)
    rotate_by_metadata(path, degrees)
    image = read_frames(path, 1).rgb_THWC[0]
    assert image.shape[:2] == ((48, 64) if degrees % 180 == 0 else (64, 48))
    assert image[dark].mean() < 110
    assert image.mean() > 130


def text(path):
    path.write_text("this is no video\n" * 100)


def header_only(path):
    path.write_bytes(write_video(path.with_suffix(".whole.mp4"), 30).read_bytes()[:40])


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def garbled(path):
    data = bytearray(write_video(path.with_suffix(".whole.avi"), 5).read_bytes())
    first, last = data.index(b"movi"), data.index(b"idx1")
    for i in range(first + 4, last):
        if data[i : i + 4] == b"00dc":  # empty what the packet holds, keep its size
            size = int.from_bytes(data[i + 4 : i + 8], "little")
            data[i + 8 : i + 8 + size] = bytes(size)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "stage", "message"),
    [
        (lambda path: None, "open", "no such file"),
        (lambda path: path.touch(), "open", "the file is empty"),
        (lambda path: path.mkdir(), "open", "not a video that FFmpeg can open"),
        (text, "open", "not a video that FFmpeg can open"),
        (header_only, "open", "not a video that FFmpeg can open"),
        (audio_only, "open", "no video stream"),
        (garbled, "decode", "holds a frame"),
    ],
)
def test_what_cannot_be_read_says_at_which_stage_and_why(tmp_path, make, stage, message):
    make(tmp_path / "v.mp4")
    with pytest.raises(VideoError, match=message) as error:
        read_frames(tmp_path / "v.mp4", 4)
    assert error.value.stage == stage


def test_a_truncated_video_gives_the_frames_that_it_holds(tmp_path):
    whole = write_video(tmp_path / "whole.avi", 60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 4 // 5])
    frames = read_frames(tmp_path / "cut.avi", 8)
    assert 5 < frames.num_source_frames < 50
    assert frames.index_T.tolist() == uniform_indices(frames.num_source_frames, 8).tolist()


def test_frames_that_cannot_be_decoded_are_known_after_a_first_reading(tmp_path):
    path = write_video(tmp_path / "a.avi", 60, codec="libx264")
    path.write_bytes(without_packets(path.read_bytes(), range(55, 60)))
    frames = read_frames(path, 5)
    assert frames.index_T.tolist() == uniform_indices(frames.num_source_frames, 5).tolist()


def without_packets(data, numbers):
    """An AVI whose packets of these numbers hold nothing that can be decoded."""
    data, at = bytearray(data), data.index(b"movi") + 4
    for number in range(max(numbers) + 1):
        at = data.index(b"00dc", at)
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if number in numbers:
            data[at + 8 : at + 8 + size] = bytes(size)
        at += 8 + size
    return bytes(data)


@pytest.mark.skipif(not UT_INTERACTION.is_dir(), reason="needs ../shared/data/videos/ut_interaction")
def test_a_real_file_that_reports_more_frames_than_it_holds_is_read_to_its_end():
    frames = read_frames(UT_INTERACTION / "33_6_3.avi", 32)  # reports 129, has 130 packets, holds 127 frames
    assert frames.num_source_frames == 127
    assert frames.index_T[[0, -1]].tolist() == [0, 126]
    assert frames.rgb_THWC.shape[0] == 32


PEAK = """
import resource, sys
import av, numpy, harray.videos.frames as frames
from harray.videos.picture import Needed
peak_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before_mb = peak_mb()
frames.read_frames(sys.argv[1], 32, needed=Needed(long_px=320, short_px=0))
print(peak_mb() - before_mb)
"""


@pytest.mark.slow
def test_frames_shrink_while_they_are_decoded(tmp_path):
    """32 frames of 5.5 MB each as the decoder gives them, and 11 MB each as RGB, would take 530 MB."""
    path = write_video(tmp_path / "a.mp4", 40, height=1440, width=2560)
    peak_mb = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    assert float(peak_mb.stdout) < 120
