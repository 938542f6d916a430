"""Frames of files through the reader: all of them, in time, across files, and none that is too old."""

import time

import numpy as np
import pytest

from harray.errors import InputError
from harray.live.reader import Reader
from harray.synth.render import write_video
from harray.videos.capture import Captured, captured, source_named

GREY = np.full((10, 240, 320, 3), 128, np.uint8)


def frames(count: int):
    for number in range(count):
        yield Captured(
            rgb_HWC=GREY[0],
            full_HWC=None,
            size_hw=(240, 320),
            time_sec=number / 25,
            name="x",
            is_new=number == 0,
        )


def taken(reader: Reader) -> list[float]:
    times = []
    while (arrived := reader.take(4)) is not None:
        times += [each.frame.time_sec for each in arrived]
    return times


def test_a_film_read_as_fast_as_it_goes_loses_no_frame():
    reader = Reader(frames(100), waits=2, own_speed=False, drops=False)
    assert len(taken(reader)) == 100 and reader.num_skipped == 0


def test_of_a_camera_the_newest_frame_waits_and_the_others_are_counted():
    reader = Reader(frames(50), waits=1, own_speed=False, drops=True)
    while not reader._is_over:
        time.sleep(0.01)
    assert taken(reader) == [49 / 25]
    assert (reader.num_read, reader.num_skipped) == (50, 49)


def test_what_breaks_the_source_reaches_whoever_takes():
    def broken():
        yield from frames(1)
        raise InputError("camera 0: unplugged")

    with pytest.raises(InputError, match="unplugged"):
        taken(Reader(broken(), waits=8, own_speed=False, drops=False))


def test_closing_ends_the_thread_however_full_it_is():
    reader = Reader(frames(10_000), waits=1, own_speed=False, drops=False)
    reader.take(1)
    reader.close()
    assert not reader._thread.is_alive()


def test_files_of_a_folder_follow_each_other_on_one_clock(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, GREY)
    found = list(captured(source_named(str(tmp_path)), None))
    times = [frame.time_sec for frame in found]
    assert len(found) == 20 and (np.diff(times) > 0).all()
    assert [number for number, frame in enumerate(found) if frame.is_new] == [0, 10]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("0", "camera"),
        ("/dev/video3", "camera"),
        ("rtsp://camera/1", "stream"),
        ("https://x/y.m3u8", "stream"),
        ("-", "pipe"),
    ],
)
def test_sources_are_told_apart_by_their_names(name, kind):
    assert source_named(name).kind == kind


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.mp4: found nothing of that name; expected a camera"):
        source_named(str(tmp_path / "no.mp4"))
    with pytest.raises(InputError, match="camera 7: cannot be opened"):
        next(captured(source_named("7"), None))
