"""A video file as packets and frames, with patience for damage and none for what does not end. The only decoder."""

import errno
import functools
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harray.videos.damage import Damage, damage_of
from harray.videos.files import content_digest
from harray.videos.frame_folders import opened_folder
from harray.videos.segments import DEFAULT_RATE
from harray.videos.streams import Stamps, Survey, film_streams, survey_of

SEEK_EARLY_SEC = 2.0  # before what is wanted, so that frames that lean on ones before a key frame are whole
NO_FRAME_BYTES = 1  # DivX writes packets of one byte in place of a frame


class VideoError(Exception):
    """A video that cannot be read; `stage` is "open" or "decode"."""

    def __init__(self, stage: str, message: str):
        super().__init__(message)
        self.stage = stage


class Decoded(NamedTuple):
    """A frame as the decoder gave it, and when it is shown.

    Attributes:
        time_sec: on the timeline's clock.
        shown_sec: on the same without gaps.
        next_sec: when the next frame is due, on the latter.
        place: on the timeline, from 0.
    """

    frame: Any
    time_sec: float
    shown_sec: float
    next_sec: float
    place: int = 0


class Video:
    """The film in a local file. Every pass opens it anew; one clock runs over all of them.

    Args:
        limit_sec: how long all reading together may take; None for as long as it takes.
        fps: of a folder of pictures, which states none.

    Attributes:
        notes: what is to be said of the video, by kind; complete after all its frames were decoded.
        aspect: width of a stored pixel by its height; known after the first frame was decoded.
    """

    def __init__(self, path: Path | str, limit_sec: float | None = None, fps: float | None = None):
        self.path = Path(path)
        self._folder_fps = fps or DEFAULT_RATE
        self.limit_sec = limit_sec
        self.deadline = float("inf") if limit_sec is None else time.monotonic() + limit_sec
        self.notes: dict[str, str] = {}
        self.aspect: Fraction | None = None

    @functools.cached_property
    def survey(self) -> Survey:
        """Which stream is the film, and when its frames are shown, by the packets; decodes nothing.

        Raises:
            VideoError: stage "open": no such file, or no film in it; "decode": it holds no packets, or reading takes
                longer than `limit_sec`.
        """
        with self._opened() as container:
            streams = film_streams(container)
            if not streams:
                kind = "only pictures, such as a cover" if container.streams.video else "no video stream"
                raise VideoError("open", f"{kind} in it")
            stamps = {stream.index: Stamps() for stream in streams}
            for packet in self._packets(container, streams):
                if packet.size > NO_FRAME_BYTES:
                    stamps[packet.stream_index].add(packet)
            if not any(len(of_stream) for of_stream in stamps.values()):
                raise VideoError("decode", "no packet of its video can be read")
            survey = survey_of(container, streams, stamps)
        self.notes |= survey.notes
        return survey

    @property
    def fps(self) -> float:
        """Frames per second as the container states."""
        return self.survey.rate

    def can_seek(self) -> bool:
        """Whether decoding can begin in the middle: the frames' own time stamps tell where it is."""
        return (
            bool(len(self.survey.ticks_N))
            and not self.survey.timeline.restarts_sec
            and not self.path.is_dir()
        )

    def frames(self, from_sec: float = 0.0) -> Iterator[Decoded]:
        """Every frame that is shown and can be decoded, in order of presentation.

        Damaged packets are passed over; what they cost stands in `notes` in the end.

        Args:
            from_sec: on the clock of shown time; where the video can seek, frames well before it are passed over.

        Raises:
            VideoError: as `survey`, or in the end: there was no frame, or most are damaged.
        """
        import av

        survey, places, damage = self.survey, self.survey.places(), Damage()
        with self._opened() as container:
            stream = container.streams[survey.stream_index]
            stream.codec_context.thread_count = (
                1  # each further thread of some decoders holds frames of its own
            )
            if from_sec > SEEK_EARLY_SEC and self.can_seek():
                shown_N = survey.timeline.shown_sec_N
                place = max(0, int(np.searchsorted(shown_N, from_sec - SEEK_EARLY_SEC)) - 1)
                container.seek(int(survey.ticks_N[place]), stream=stream, backward=True)
            for packet in self._packets(container, [stream]):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    self._refuse_fault_of_machine(error)
                    damage.lose_packet()
                    continue
                for frame in frames:
                    self.aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
                    place = places.next(frame.dts if frame.pts is None else frame.pts)
                    damage.add_frame(place, is_damaged=frame.is_corrupt, is_key=frame.key_frame)
                    next_sec = survey.timeline.seconds(place + 1)[1]
                    yield Decoded(frame, *survey.timeline.seconds(place), next_sec, place)
        if not damage.places:
            num_packets = len(survey.timeline.time_sec_N)
            raise VideoError("decode", f"none of {num_packets} packets holds a frame that can be decoded")
        found = damage_of(damage)
        if found.note:
            self.notes["damaged"] = found.note
        if found.is_heavy:
            raise VideoError("decode", found.note)

    @contextmanager
    def _opened(self) -> Generator[Any]:
        import av

        if not self.path.exists():
            raise VideoError("open", "no such file")
        if self.path.is_file() and self.path.stat().st_size == 0:
            raise VideoError("open", "the file is empty")
        try:
            if self.path.is_dir():
                opening = opened_folder(self.path, self._folder_fps)
            else:  # FFmpeg takes what stands before a colon for a protocol
                opening = av.open(f"file:{self.path}", metadata_errors="replace")
            container = opening.__enter__()
        except (av.FFmpegError, OSError) as error:
            raise VideoError("open", f"not a video that FFmpeg can open ({_reason(error)})") from error
        try:
            yield container
        finally:
            opening.__exit__(None, None, None)

    def _packets(self, container: Any, streams: list[Any]) -> Iterator[Any]:
        """The streams' packets, up to where the container breaks off."""
        import av

        packets = container.demux(streams)
        while True:
            if time.monotonic() > self.deadline:
                raise VideoError("decode", f"reading takes longer than {self.limit_sec:g} s; it was given up")
            try:
                yield next(packets)
            except (
                StopIteration,
                IndexError,
            ):  # PyAV at last asks for streams that damage made up on the way
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
