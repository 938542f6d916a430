"""A part of a video as a path: VIDEO#t=START,END in seconds, as the W3C's media fragments say it; and frames' rate.

A segment is a clip of its own: it has its own row in manifest and ledger, and its span is part of its clip_id.
"""

import os
import re
from typing import NamedTuple

from harray.errors import InputError

Span = tuple[float, float]  # start and end in seconds, on the video's own clock

_FRAGMENT = re.compile(
    r"(?P<file>.+)#(?:t=(?P<start>\d+(?:\.\d+)?),(?P<end>\d+(?:\.\d+)?)|fps=(?P<fps>\d+(?:\.\d+)?))"
)
DEFAULT_RATE = 25.0  # frames per second of a folder of pictures whose rate nobody says


class Part(NamedTuple):
    """What a path of a manifest names."""

    file: str  # video or folder of pictures
    span: Span | None = None  # None: all of it
    fps: float | None = None  # of a folder of pictures


def part_of(path: str) -> Part:
    """A path taken apart; one that exists as it is stands for itself.

    >>> part_of("a.mp4#t=1.5,3"), part_of("a#b.mp4").file
    (Part(file='a.mp4', span=(1.5, 3.0), fps=None), 'a#b.mp4')
    """
    found = _FRAGMENT.fullmatch(path) if "#" in path else None
    if found is None or os.path.lexists(path):
        return Part(path)
    inner = part_of(found["file"])
    if found["fps"]:
        return inner._replace(fps=float(found["fps"]))
    return inner._replace(span=(float(found["start"]), float(found["end"])))


def segment_path(file: str, start: float, end: float) -> str:
    """The path of a segment."""
    return f"{file}#t={_seconds(start)},{_seconds(end)}"


def checked_span(start: str, end: str, where: str) -> Span | None:
    """Start and end as text (seconds, or H:M:S); None where both are empty.

    Raises:
        InputError: one of them is no time, or the end does not follow the start.
    """
    if not start and not end:
        return None
    span = tuple(_parsed(text, where) for text in (start, end))
    if not 0 <= span[0] < span[1]:
        raise InputError(f"{where}: segment from {start} to {end}: expected seconds, the end after the start")
    return span[0], span[1]


def _parsed(text: str, where: str) -> float:
    try:
        values = [float(part) for part in text.split(":")]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(value >= 0 for value in values):
        raise InputError(f"{where}: time {text or 'nothing'}: expected seconds such as 12.5, or 0:01:12.5")
    return sum(value * 60**place for place, value in enumerate(reversed(values)))


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"
