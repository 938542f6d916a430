"""Frames of whatever plays: a camera, a stream, a pipe, a file or a folder of files, one after another.

    source --open, again with back-off where a stream broke off--> decoded frames --Pictures--> Captured

All sources have one clock: seconds from the first frame on, which never run backwards, over broken connections and
from file to file.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harray.errors import InputError
from harray.videos.decoding import Video, VideoError
from harray.videos.picture import Needed, Pictures

Kind = Literal["camera", "stream", "pipe", "file", "folder"]

OPEN_SEC, READ_SEC = 10.0, 10.0  # within which a stream must answer
PAUSES_SEC = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # before each try to connect again; the last again and again
GIVE_UP_SEC = 600.0  # without a frame
JUMP_SEC = 10.0  # by which time stamps may leap ahead; beyond, or backwards, the clock goes on without them
LEAST_STEP_SEC = 1e-3
CAMERA_FORMATS = {"linux": "video4linux2,v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, kw_only=True)
class Captured:
    """One frame.

    Attributes:
        rgb_HWC: uint8, upright, pixels square; shrunk to what is needed.
        full_HWC: the same in its own size, where it was asked for.
        size_hw: px, its own size.
        time_sec: on the source's clock.
        name: of the file, or of the source as it was given.
        is_new: the first of a file or of a connection: nobody goes on from the frame before.
    """

    rgb_HWC: np.ndarray
    full_HWC: np.ndarray | None
    size_hw: tuple[int, int]
    time_sec: float
    name: str
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was named to be watched."""

    name: str
    kind: Kind

    @property
    def comes_by_itself(self) -> bool:
        """Whether frames come in their own time and are lost where nobody takes them."""
        return self.kind in ("camera", "stream")


def source_named(name: str) -> Source:
    """A camera's number or device, `rtsp://` and the like, `-`, a file or a folder of files.

    Raises:
        InputError: nothing of that name.
    """
    if name == "-":
        return Source(name=name, kind="pipe")
    if re.match(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://", name):
        return Source(name=name, kind="stream")
    path = Path(name).expanduser()
    if path.is_dir():
        return Source(name=name, kind="folder")
    if re.fullmatch(r"\d+", name) and not path.exists():
        return Source(name=name, kind="camera")
    if name.startswith(("/dev/", "video=")):
        return Source(name=name, kind="camera")
    if path.exists():
        return Source(name=name, kind="file")
    raise InputError(
        f"{name}: found nothing of that name; expected a camera (0, /dev/video0), a file, a folder, "
        "rtsp:// or http(s)://, or - for a pipe"
    )


def captured(
    source: Source,
    needed: Needed | None,
    *,
    wants_full: bool = False,
    on_message: Callable[[str], None] = lambda message: None,
) -> Iterator[Captured]:
    """Frames as fast as they are to be had; whoever wants a file at its own speed waits for its times.

    Args:
        needed: how large frames must be for the networks; None: as large as they are.
        wants_full: whether `full_HWC` is wanted.
        on_message: called with what the user should know: a connection that broke off, a file passed over.

    Raises:
        InputError: a source that cannot be opened, or a stream that is silent for `GIVE_UP_SEC`.
    """
    clock, maker = _Clock(), _Maker(needed, wants_full)
    if source.kind in ("file", "folder"):
        yield from _of_files(source, clock, maker, on_message)
    elif source.kind == "stream":
        yield from _of_stream(source, clock, maker, on_message)
    else:
        for frame, aspect in _decoded(source):
            yield maker.make(frame, aspect, clock.at(frame.time), source.name)


class _Clock:
    """Time stamps of one connection or file after another as seconds that never run backwards."""

    def __init__(self) -> None:
        self.last_sec = -LEAST_STEP_SEC
        self._offset_sec: float | None = None

    def restart(self, gap_sec: float = 0.04) -> None:
        """What follows has stamps of its own, and comes so much later."""
        self._offset_sec = None
        if self.last_sec >= 0:
            self.last_sec += gap_sec

    def at(self, stamp_sec: float | None) -> float:
        """The time of a frame with this stamp."""
        stamp_sec = time.monotonic() if stamp_sec is None else stamp_sec
        if self._offset_sec is None:
            self._offset_sec = max(self.last_sec, 0.0) - stamp_sec
        now_sec = stamp_sec + self._offset_sec
        if not self.last_sec - JUMP_SEC / 10 <= now_sec <= self.last_sec + JUMP_SEC:
            self._offset_sec = self.last_sec + 0.04 - stamp_sec
            now_sec = stamp_sec + self._offset_sec
        self.last_sec = max(now_sec, self.last_sec + LEAST_STEP_SEC)
        return self.last_sec


class _Maker:
    """Makes pictures of decoded frames."""

    def __init__(self, needed: Needed | None, wants_full: bool):
        self._needed, self._wants_full = needed, wants_full
        self.restart()

    def restart(self) -> None:
        self._small, self._full = Pictures(self._needed), Pictures(None)
        self._stored_hw: tuple[int, int] | None = None
        self._is_new = True

    def make(self, frame: Any, aspect: Any, time_sec: float, name: str) -> Captured:
        stored_hw = frame.height, frame.width
        if self._stored_hw not in (None, stored_hw):  # a stream that changed its size
            self.restart()
        self._stored_hw, is_new, self._is_new = stored_hw, self._is_new, False
        return Captured(
            rgb_HWC=self._small.of(frame, aspect),
            full_HWC=self._full.of(frame, aspect) if self._wants_full else None,
            size_hw=self._small.size_hw,
            time_sec=time_sec,
            name=name,
            is_new=is_new,
        )


def _of_files(source: Source, clock: _Clock, maker: _Maker, on_message: Any) -> Iterator[Captured]:
    from harray.videos.sources import videos_among

    paths = [source.name] if source.kind == "file" else videos_among([source.name], on_message)
    for path in paths:
        clock.restart()
        maker.restart()
        video = Video(path)
        try:
            for decoded in video.frames():
                yield maker.make(decoded.frame, video.aspect, clock.at(decoded.shown_sec), str(path))
        except VideoError as error:
            if len(paths) == 1:
                raise InputError(f"{path}: {error.stage}: {error}") from error
            on_message(f"{path}: passed over: {error.stage}: {error}")


def _of_stream(source: Source, clock: _Clock, maker: _Maker, on_message: Any) -> Iterator[Captured]:
    was_connected, heard, tries = False, time.monotonic(), 0
    while True:
        try:
            for frame, aspect in _decoded(source):
                if not was_connected or tries:
                    was_connected, tries = True, 0
                heard = time.monotonic()
                yield maker.make(frame, aspect, clock.at(frame.time), source.name)
            return  # it says itself that it has ended
        except _BrokenOff as error:
            if not was_connected:
                raise InputError(f"{source.name}: cannot be opened ({error}); is it reachable?") from error
            silent_sec = time.monotonic() - heard
            if silent_sec > GIVE_UP_SEC:
                raise InputError(
                    f"{source.name}: no frame for {silent_sec:.0f} s; given up ({error})"
                ) from error
            pause_sec = PAUSES_SEC[min(tries, len(PAUSES_SEC) - 1)]
            on_message(f"{source.name}: broke off ({error}); connecting again in {pause_sec:g} s")
            time.sleep(pause_sec)
            tries += 1
            clock.restart(time.monotonic() - heard)
            maker.restart()


class _BrokenOff(Exception):
    """A stream that did not open, or ended before its end."""


def _decoded(source: Source) -> Iterator[tuple[Any, Any]]:
    """Frames of one connection with the aspect of their pixels.

    Raises:
        InputError: a camera or pipe that cannot be opened.
        _BrokenOff: a stream.
    """
    import av

    try:
        container = _opened(source)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if source.kind == "stream":
            raise _BrokenOff(reason) from error
        what = "camera" if source.kind == "camera" else "pipe"
        raise InputError(f"{what} {source.name}: cannot be opened ({reason})") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{source.name}: no video stream in it")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        ends = source.kind == "pipe" or bool(container.duration)  # a film has a length, what is live has none
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue  # damaged on the way; the next key frame mends it
                for frame in frames:
                    yield frame, stream.sample_aspect_ratio
        except (av.FFmpegError, OSError) as error:
            if source.kind == "stream":
                raise _BrokenOff(getattr(error, "strerror", None) or str(error)) from error
    if not ends and source.kind == "stream":
        raise _BrokenOff("the stream ended")


def _opened(source: Source) -> Any:
    import av

    if source.kind == "pipe":
        return av.open(sys.stdin.buffer, "r")
    if source.kind == "stream":
        options = {"rtsp_transport": "tcp"} if source.name.startswith("rtsp") else {}
        return av.open(source.name, "r", options=options, timeout=(OPEN_SEC, READ_SEC))
    number, platform = source.name.isdigit(), sys.platform
    device = {"linux": f"/dev/video{source.name}", "win32": f"video={source.name}"}.get(platform, source.name)
    return av.open(device if number else source.name, "r", format=CAMERA_FORMATS.get(platform))
