"""Reading files in a thread: order, identity, patience and its end."""

import contextlib
import threading
import time

import pytest

from harray.extraction import reader
from harray.extraction.faults import ExtractionError, is_transient
from harray.extraction.reader import VideoReading
from harray.videos.config import VideosConfig
from tests.videos.test_frames import without_packets, write_video

CONFIG = VideosConfig(num_frames=4)


def read(path, config=CONFIG, is_known=lambda clip_id: False):
    with contextlib.closing(VideoReading(str(path), config, "settings", is_known)) as reading:
        return reading.identity(), list(reading.clips())


def test_the_identity_comes_first_and_then_the_clips_of_which_one_is_the_last(tmp_path):
    path = write_video(tmp_path / "a.mp4", 50)
    identity, clips = read(path)
    assert (identity.attempts, identity.stamp[0]) == (1, path.stat().st_size)
    assert [(clip.is_last, len(clip.frames.rgb_THWC)) for clip in clips] == [(True, 4)]
    again, cut = read(path, VideosConfig(num_frames=2, clip_sec=0.5))
    assert (
        again.clip_id == identity.clip_id
    )  # settings are told apart by their digest, which is the same here
    assert [clip.is_last for clip in cut] == [False, False, False, True]


@pytest.mark.parametrize("config", [VideosConfig(num_frames=16), VideosConfig(num_frames=4, clip_sec=0.5)])
def test_what_is_to_be_said_of_a_video_comes_with_its_last_clip(tmp_path, config):
    path = write_video(tmp_path / "a.avi", 60)
    path.write_bytes(without_packets(path.read_bytes(), range(52, 55)))
    _, clips = read(path, config)
    assert clips[-1].is_last
    assert clips[-1].notes.keys() == {"damaged"}
    assert not any(clip.notes for clip in clips[:-1])


@pytest.mark.parametrize("config", [VideosConfig(num_frames=16), VideosConfig(num_frames=4, clip_sec=0.5)])
def test_a_video_of_which_most_is_damaged_is_refused(tmp_path, config):
    path = write_video(tmp_path / "a.avi", 60)
    path.write_bytes(without_packets(path.read_bytes(), range(10, 50)))
    with pytest.raises(ExtractionError, match=r"decode: .* frames are damaged or lost"):
        read(path, config)


def test_what_is_known_is_not_decoded(tmp_path):
    path = write_video(tmp_path / "a.mp4", 5)
    asked = []
    identity, clips = read(path, is_known=lambda clip_id: bool(asked.append(clip_id) or True))
    assert clips == []
    assert asked == [identity.clip_id]


def test_what_may_pass_is_tried_three_times_and_what_will_not_once(tmp_path):
    (tmp_path / "disk.mp4").symlink_to("/proc/self/mem")  # reading its first byte is an I/O error
    for name, attempts in (("disk.mp4", 3), ("gone.mp4", 1)):
        with contextlib.closing(
            VideoReading(str(tmp_path / name), CONFIG, "s", lambda clip_id: False)
        ) as reading:
            identity = reading.identity()
            assert (identity.clip_id, identity.attempts) == (None, attempts)
            with pytest.raises(ExtractionError, match="open: ") as error:
                next(reading.clips())
            assert error.value.is_transient is (attempts == 3)


def test_a_reading_that_does_not_answer_is_left_behind(tmp_path, monkeypatch):
    """A networked disk that hangs is played by a digest that waits for ever."""
    release = threading.Event()
    monkeypatch.setattr(reader, "content_digest", lambda file: release.wait(30) and "never")
    monkeypatch.setattr(reader, "GRACE_SEC", 0.1)
    path = write_video(tmp_path / "a.mp4", 5)
    started = time.monotonic()
    with contextlib.closing(
        VideoReading(str(path), VideosConfig(limit_sec=0.1), "s", lambda clip_id: False)
    ) as reading:
        assert reading.identity().clip_id is None
        with pytest.raises(ExtractionError, match=r"did not answer for 0\.2 s"):
            next(reading.clips())
    assert time.monotonic() - started < 10
    release.set()


def test_a_caller_who_leaves_early_leaves_no_thread_behind(tmp_path):
    path = write_video(tmp_path / "a.mp4", 900, bright=lambda i: i % 200)
    before = threading.active_count()
    with contextlib.closing(
        VideoReading(str(path), VideosConfig(num_frames=2, clip_sec=0.2), "s", lambda clip_id: False)
    ) as reading:
        reading.identity()
        next(reading.clips())
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OSError(5, "Input/output error"), True),
        (TimeoutError(110, "Connection timed out"), True),
        (MemoryError(), True),
        (FileNotFoundError(2, "No such file"), False),
        (PermissionError(13, "Permission denied"), False),
        (ValueError("bad"), False),
    ],
)
def test_faults_of_the_machine_may_pass(error, transient):
    assert is_transient(error) is transient
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = error
    assert is_transient(wrapped) is transient
