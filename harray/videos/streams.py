"""Which stream of a file is the film, and what its packets say of it. Knows PyAV's objects, opens nothing."""

import dataclasses
import itertools
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harray.videos.timeline import FramePlaces, Timeline, even_timeline, presentation_order, timeline_of

FALLBACK_RATE = 25.0  # frames per second, for containers that state none
NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS
WHOLE_SHARE = 0.9  # with less of what the container announces, it is broken off
UNKNOWN = -(1 << 63)  # AV_NOPTS_VALUE
MOV = "mov"  # lists its packets before they come


class Stamps:
    """What the packets of a stream say of their times, in its unit and in order of decoding; kept small, for there
    may be millions.

    Attributes:
        num_packets: those too that an edit list needs for decoding only, which are not shown.
    """

    def __init__(self) -> None:
        self.num_packets = 0
        self._pts, self._dts = array("q"), array("q")

    def add(self, packet: Any) -> None:
        self.num_packets += 1
        if not packet.is_discard:
            self._pts.append(UNKNOWN if packet.pts is None else packet.pts)
            self._dts.append(UNKNOWN if packet.dts is None else packet.dts)

    def __len__(self) -> int:
        """Packets that are shown."""
        return len(self._pts)

    def __iter__(self) -> Iterator[tuple[int | None, int | None]]:
        """Presentation and decoding time stamps of those."""
        for pts, dts in zip(self._pts, self._dts, strict=True):
            yield None if pts == UNKNOWN else pts, None if dts == UNKNOWN else dts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a film before it is decoded.

    Attributes:
        rate: frames per second as the container states.
        ticks_N: int64, time stamps of the timeline's frames; empty where a decoder does not give them back in order.
        notes: what is to be said, by kind.
    """

    stream_index: int
    timeline: Timeline
    rate: float
    ticks_N: np.ndarray
    notes: dict[str, str]

    def places(self) -> FramePlaces:
        return FramePlaces(self.ticks_N)


def film_streams(container: Any) -> list[Any]:
    """The video streams that may be the film: none that is an attached picture, or that nothing here decodes."""
    picture = _disposition("attached_pic") | _disposition("timed_thumbnails")
    return [
        stream
        for stream in container.streams.video
        if not int(stream.disposition) & picture and stream.codec_context is not None
    ]


def survey_of(container: Any, streams: Sequence[Any], stamps: Mapping[int, Stamps]) -> Survey:
    """The film among some streams, as a player chooses, and its timeline.

    Args:
        stamps: of every stream by its index; one stream at least has some.
    """
    stream = _chosen(streams, stamps)
    shown = stamps[stream.index]
    ticks_N = presentation_order(shown)
    is_bare = _is_bare(container)
    rates = (stream.guessed_rate, stream.average_rate)
    rate = float(next((rate for rate in (rates if is_bare else rates[::-1]) if rate), FALLBACK_RATE))
    if is_bare or 2 * len(ticks_N) < len(shown):
        timeline = even_timeline(len(shown), rate)
    else:
        timeline = timeline_of(ticks_N, float(stream.time_base), rate)
    is_counted = not timeline.is_stated or _is_order_of_decoding(stream, shown)
    return Survey(
        stream_index=stream.index,
        timeline=timeline,
        rate=rate,
        ticks_N=ticks_N[:0] if is_counted else ticks_N,
        notes=_notes(container, stream, shown.num_packets, ticks_N, timeline, rate),
    )


def _chosen(streams: Sequence[Any], stamps: Mapping[int, Stamps]) -> Any:
    """One of several frames rather than a picture, one that is marked as default rather than others, the largest,
    the first."""
    default = _disposition("default")

    def merit(stream: Any) -> tuple[int, bool, int, int]:
        context = stream.codec_context
        area = context.width * context.height
        return min(len(stamps[stream.index]), 2), bool(int(stream.disposition) & default), area, -stream.index

    return max(streams, key=merit)


def _disposition(name: str) -> int:
    from av.stream import Disposition

    return int(Disposition[name])


def _is_bare(container: Any) -> bool:
    """Whether the file is a codec's stream or a row of images without a container, whose times FFmpeg makes up."""
    return bool(container.format.flags & NO_TIMESTAMPS) or container.format.name.endswith("_pipe")


def _is_order_of_decoding(stream: Any, stamps: Stamps) -> bool:
    """Whether the time stamps only count packets although the codec reorders frames, as in AVI and MXF; a decoded
    frame then carries the stamp of another one."""
    known = (pts for pts, _ in stamps if pts is not None)
    rises = all(earlier < later for earlier, later in itertools.pairwise(known))
    return rises and bool(stream.codec_context.has_b_frames)


def _notes(
    container: Any, stream: Any, num_packets: int, ticks_N: np.ndarray, timeline: Timeline, rate: float
) -> dict[str, str]:
    notes = {}
    if broken := _broken_off(container, stream, num_packets, ticks_N, timeline):
        notes["broken off"] = broken
    if not timeline.is_stated:
        notes["no times"] = f"it states none; {rate:g} frames a second are assumed"
    if timeline.gaps:
        start, end = max(timeline.gaps, key=lambda gap: gap[1] - gap[0])
        several = f", the longest of {len(timeline.gaps)} gaps" if len(timeline.gaps) > 1 else ""
        notes["gap"] = f"no frames from {start:.1f} to {end:.1f} s{several}; no clip covers it"
    if timeline.restarts_sec:
        times = ", ".join(f"{at:.1f}" for at in timeline.restarts_sec[:5])
        notes["restarted clock"] = f"at {times} s; what follows is taken as going on from there"
    return notes


def _broken_off(
    container: Any, stream: Any, num_packets: int, ticks_N: np.ndarray, timeline: Timeline
) -> str:
    """What is there of what the container announces; empty where nothing much is missing."""
    if _is_bare(container):
        return ""
    announced = len(stream.index_entries) if MOV in container.format.name else stream.frames
    if announced > 1:
        is_whole = num_packets >= WHOLE_SHARE * announced
        return "" if is_whole else f"{num_packets} of {announced} frames are there"
    announced_sec = _announced_sec(container, stream)
    last_sec = (
        float(ticks_N[-1] * stream.time_base) if len(ticks_N) else 0.0
    )  # some count from the clock's own 0
    there_sec = max(float(timeline.time_sec_N[-1]), last_sec) + timeline.frame_sec
    is_whole = there_sec >= WHOLE_SHARE * announced_sec
    return "" if is_whole else f"{there_sec:.1f} of {announced_sec:.1f} s are there"


def _announced_sec(container: Any, stream: Any) -> float:
    """How long the container says that the film is; 0 where it says nothing, or only of sound beside it."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")  # Matroska's, of each stream
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except (KeyError, ValueError):
        pass
    if stream.duration:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1
    return container.duration / 1e6 if alone and container.duration else 0.0
