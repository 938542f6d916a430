"""Frames of a recording through the networks, a second at a time; parts of it may be seen apart.

    recording --decoded--> the first frame of each step --a block a batch, its first frame's scene too--> SeenFrame

Steps are so long that a window holds one frame of each, and a block is a whole number of steps, about a second. Which
frames are looked at, and which pass the networks together, follows from their times alone, so whoever sees some blocks
sees in them what whoever sees them all does.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harray.errors import InputError
from harray.extraction.config import needed_pictures
from harray.live.networks import FrameNetworks, Picture, SeenFrame
from harray.live.traits import ModelTraits
from harray.videos.capture import Captured, Source, captured, source_named
from harray.videos.decoding import Video, VideoError
from harray.videos.picture import Needed, Pictures

BLOCK_SEC = 1.0
TIE_STEPS = 0.25  # by which a frame may come before its step


class Span(NamedTuple):
    """Blocks of a recording, the last one not included; None: to its end."""

    first: int
    last: int | None


WHOLE = Span(0, None)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How a recording is looked at.

    Attributes:
        step_sec: from one frame that is looked at to the next, at least.
        in_block: steps of a block.
    """

    step_sec: float
    in_block: int

    @classmethod
    def of(cls, traits: ModelTraits) -> "Steps":
        step_sec = traits.window_sec / (traits.num_frames - 1)
        return cls(step_sec=step_sec, in_block=max(1, round(BLOCK_SEC / step_sec)))

    @property
    def block_sec(self) -> float:
        return self.in_block * self.step_sec

    def step_at(self, time_sec: float) -> int:
        return int(time_sec / self.step_sec + TIE_STEPS)

    def block_at(self, time_sec: float) -> int:
        return self.step_at(time_sec) // self.in_block


def seen_frames(
    networks: FrameNetworks, video: Path | str, traits: ModelTraits, span: Span = WHOLE
) -> Iterator[SeenFrame]:
    """What the networks see in a recording, each frame once, in order of time.

    Args:
        video: a file; or a stream with an end, which can be seen as a whole only.

    Raises:
        InputError: a file that cannot be read.
    """
    steps, needed = Steps.of(traits), needed_pictures(networks.extractor.config)
    source = source_named(str(video))
    frames = (
        _of_file(source.name, needed, steps, span) if source.kind == "file" else _of(source, needed, steps)
    )
    for _, block in itertools.groupby(frames, lambda frame: steps.block_at(frame.time_sec)):
        yield from networks.see(
            [
                Picture(
                    rgb_HWC=frame.rgb_HWC,
                    time_sec=frame.time_sec,
                    size_hw=frame.size_hw,
                    wants_scene=place == 0 and traits.num_scene_frames > 0,
                )
                for place, frame in enumerate(block)
            ]
        )


def spans_of(video: Path | str, traits: ModelTraits, span_sec: float) -> list[Span]:
    """A recording's spans of about so many seconds; one of the whole where its frames cannot be sought.

    Raises:
        InputError: a file that cannot be read.
    """
    film, steps = Video(video), Steps.of(traits)
    try:
        num_blocks = steps.block_at(float(film.survey.timeline.shown_sec_N[-1])) + 1
        is_whole = not film.can_seek()
    except VideoError as error:
        raise InputError(f"{video}: {error.stage}: {error}") from error
    in_span = max(1, round(span_sec / steps.block_sec))
    if is_whole or num_blocks <= in_span:
        return [WHOLE]
    firsts = range(0, num_blocks, in_span)
    return [Span(first, first + in_span if first + in_span < num_blocks else None) for first in firsts]


def _of_file(name: str, needed: Needed | None, steps: Steps, span: Span) -> Iterator[Captured]:
    """The first frame of each step of the span."""
    film, pictures, stored_hw = Video(name), Pictures(needed), None
    step = span.first * steps.in_block - 1  # of the last frame that was looked at
    try:
        for decoded in film.frames(span.first * steps.block_sec):
            found = steps.step_at(decoded.shown_sec)
            if span.last is not None and found >= span.last * steps.in_block:
                return
            if found <= step:
                continue
            size_hw = decoded.frame.height, decoded.frame.width
            if stored_hw not in (None, size_hw):  # a film that changes its size
                pictures = Pictures(needed)
            step, stored_hw = found, size_hw
            yield Captured(
                rgb_HWC=pictures.of(decoded.frame, film.aspect),
                full_HWC=None,
                size_hw=pictures.size_hw,
                time_sec=decoded.shown_sec,
                name=name,
                is_new=False,
            )
    except VideoError as error:
        raise InputError(f"{name}: {error.stage}: {error}") from error


def _of(source: Source, needed: Needed | None, steps: Steps) -> Iterator[Captured]:
    step = -1
    for frame in captured(source, needed):
        if (found := steps.step_at(frame.time_sec)) > step:
            step = found
            yield frame
