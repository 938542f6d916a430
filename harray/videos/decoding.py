"""A video file as packets and frames, with patience for damage and none for what does not end. The only decoder."""

import errno
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harray.videos.files import content_digest

FALLBACK_FPS = 25.0  # for containers that state no rate


class VideoError(Exception):
    """A video that cannot be read; `stage` is "open" or "decode"."""

    def __init__(self, stage: str, message: str):
        super().__init__(message)
        self.stage = stage


class Video:
    """The first video stream of a local file. Every method opens it anew; one clock runs over all of them.

    Args:
        limit_sec: how long all reading together may take; None for as long as it takes.
    """

    def __init__(self, path: Path | str, limit_sec: float | None = None):
        self.path = Path(path)
        self.limit_sec = limit_sec
        self.deadline = float("inf") if limit_sec is None else time.monotonic() + limit_sec
        self.fps = FALLBACK_FPS  # known after the first method ran

    def count_packets(self) -> int:
        """How many packets hold something; decodes nothing."""
        with self._opened() as (container, stream):
            return sum(1 for packet in self._packets(container, stream) if packet.size)

    def extent_sec(self) -> tuple[float, float]:
        """Presentation time of the first frame, and of the end of the last, by the packets; decodes nothing."""
        with self._opened() as (container, stream):
            ticks = [p.pts for p in self._packets(container, stream) if p.size and p.pts is not None]
            if not ticks:
                raise VideoError("decode", "its packets say no times, so it cannot be cut into clips")
            unit = float(stream.time_base)
            return min(ticks) * unit, max(ticks) * unit + 1 / self.fps

    def frames(self) -> Iterator[Any]:
        """Every frame that can be decoded, in order of presentation; damaged packets are passed over."""
        import av

        with self._opened() as (container, stream):
            for packet in self._packets(container, stream):
                try:
                    yield from packet.decode()
                except av.FFmpegError as error:
                    self._refuse_fault_of_machine(error)
                    continue  # what a damaged packet lacks shows in the number of frames

    @contextmanager
    def _opened(self) -> Generator[tuple[Any, Any]]:
        import av

        if not self.path.exists():
            raise VideoError("open", "no such file")
        if self.path.is_file() and self.path.stat().st_size == 0:
            raise VideoError("open", "the file is empty")
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise VideoError("open", f"not a video that FFmpeg can open ({_reason(error)})") from error
        with container:
            if not container.streams.video:
                raise VideoError("open", "no video stream in it")
            stream = container.streams.video[0]
            self.fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
            yield container, stream

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """The stream's packets, up to where the container breaks off."""
        import av

        packets = container.demux(stream)
        while True:
            if time.monotonic() > self.deadline:
                raise VideoError("decode", f"reading takes longer than {self.limit_sec:g} s; it was given up")
            try:
                yield next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self._refuse_fault_of_machine(error)
                return

    def _refuse_fault_of_machine(self, error: Exception) -> None:
        """Damage is passed over, but not a disk or a memory that failed; FFmpeg says EIO for either, so the file's
        bytes are asked."""
        if isinstance(error, MemoryError):
            raise VideoError("decode", "no memory was left") from error
        if getattr(error, "errno", None) == errno.EIO:
            try:
                content_digest(self.path)
            except OSError as fault:
                raise VideoError("decode", f"reading broke off ({_reason(fault)})") from fault


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
