"""When each frame of a video is shown: the one clock for every way of sampling. Pure functions of time stamps.

    time stamps --in order of presentation--> restarts joined, gaps found, rounding undone --> Timeline

A clock that runs backwards was started anew: what follows goes on where the film was. A gap is a time for which the
file holds no frame; it stays a gap: no frame stands for it, and shown time does not run in it.

Letters: N frames, W wanted times.
"""

import functools
import itertools
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Span = tuple[float, float]  # start and end in seconds

MAX_HOLD_SEC = 1.0  # a frame stands for so long at most, or for
MAX_HOLD_FRAMES = 10  # times the usual time between frames where that is longer; what lasts longer is a gap
COARSE_SEC = 1e-3  # containers round times to this, or to a unit of their own
MISPLACED_FRAMES = (
    3.5  # the first and last frame of a constant rate may lie so far off, where parsers stumble
)
TIE_SEC = 1e-6
NEAR_PLACES = 256  # frames that are lost at once are mostly fewer


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Frames in order of presentation.

    Attributes:
        time_sec_N: float64, when each appears, from 0, never decreasing.
        shown_sec_N: float64, the same clock without the gaps.
        frame_sec: the usual time from one frame to the next.
        gaps: start and end of each gap, on the first clock.
        restarts_sec: where the file's own clock was started anew, on the first clock.
        is_stated: whether the file states times; otherwise frames lie evenly.
    """

    time_sec_N: np.ndarray
    shown_sec_N: np.ndarray
    frame_sec: float
    gaps: tuple[Span, ...] = ()
    restarts_sec: tuple[float, ...] = ()
    is_stated: bool = True

    @property
    def early_sec(self) -> float:
        """A frame stands for wanted times from half a frame before it appears."""
        return self.frame_sec / 2 + TIE_SEC

    @functools.cached_property
    def pieces(self) -> list[Span]:
        """Spans of shown time between the gaps; the last frame of each lasts as long as is usual."""
        at = [0, *np.searchsorted(self.time_sec_N, [end for _, end in self.gaps]).tolist()]
        lasts = [*(first - 1 for first in at[1:]), len(self.shown_sec_N) - 1]
        shown = self.shown_sec_N
        return [(float(shown[i]), float(shown[j]) + self.frame_sec) for i, j in zip(at, lasts, strict=True)]

    def seconds(self, place: int) -> Span:
        """Time and shown time of a place; frames beyond the last follow evenly."""
        beyond = max(0, place - len(self.time_sec_N) + 1)
        place = min(place, len(self.time_sec_N) - 1)
        more = beyond * self.frame_sec
        return float(self.time_sec_N[place]) + more, float(self.shown_sec_N[place]) + more


def timeline_of(ticks_N: np.ndarray, unit_sec: float, rate: float) -> Timeline:
    """The timeline of frames with these time stamps, in order of presentation.

    Args:
        ticks_N: int64, in units of `unit_sec`.
        rate: frames per second, where the stamps say nothing.
    """
    steps = np.diff(ticks_N) * unit_sec
    rising = steps[steps > 0]
    if len(ticks_N) == 1:
        return even_timeline(1, rate, is_stated=True)
    if 2 * len(rising) < len(steps):  # a clock that stands still or runs backwards more often than not
        return even_timeline(len(ticks_N), rate)
    usual = float(np.median(rising))
    is_restart = steps < 0
    steps[is_restart] = usual
    is_gap = steps > max(MAX_HOLD_SEC, MAX_HOLD_FRAMES * usual)
    firsts = [0, *(np.flatnonzero(is_gap) + 1).tolist(), len(ticks_N)]
    pieces = [
        _without_rounding(np.concatenate([[0.0], np.cumsum(steps[i : j - 1])]), unit_sec)
        for i, j in itertools.pairwise(firsts)
    ]
    within = np.concatenate([np.diff(piece) for piece in pieces])
    frame_sec = float(np.median(within[within > 0])) if (within > 0).any() else usual
    time, shown = [pieces[0]], [pieces[0]]
    for gap, piece in zip(steps[is_gap], pieces[1:], strict=True):
        time.append(time[-1][-1] + gap + piece)
        shown.append(shown[-1][-1] + frame_sec + piece)
    time_N = np.concatenate(time)
    return Timeline(
        time_sec_N=time_N,
        shown_sec_N=np.concatenate(shown),
        frame_sec=frame_sec,
        gaps=tuple((float(time_N[i - 1]), float(time_N[i])) for i in firsts[1:-1]),
        restarts_sec=tuple(time_N[np.flatnonzero(is_restart) + 1].tolist()),
    )


def even_timeline(num_frames: int, rate: float, *, is_stated: bool = False) -> Timeline:
    """Of a file that states no times, or none that can be believed."""
    time_N = np.arange(num_frames) / rate
    return Timeline(time_sec_N=time_N, shown_sec_N=time_N, frame_sec=1 / rate, is_stated=is_stated)


def presentation_order(stamps: Iterable[tuple[int | None, int | None]]) -> np.ndarray:
    """int64: the presentation time stamps, in order of presentation, of packets in order of decoding.

    A packet without one counts by its decoding time stamp, and one without either not at all. Between two packets
    whose decoding time stamps run backwards a clock was started anew, and nothing is sorted across.

    Args:
        stamps: presentation and decoding time stamp of every packet.
    """
    epochs = [array("q")]
    latest: int | None = None
    for pts, dts in stamps:
        if dts is not None:
            if latest is not None and dts < latest:
                epochs.append(array("q"))
            latest = dts
        if (tick := dts if pts is None else pts) is not None:
            epochs[-1].append(tick)
    return np.concatenate([np.sort(np.asarray(epoch, np.int64)) for epoch in epochs])


def frames_at(shown_sec_N: np.ndarray, wanted_W: np.ndarray, early_sec: float) -> np.ndarray:
    """int32 [W]: for each wanted time the frame that a player shows then, or that appears within `early_sec`."""
    return np.searchsorted(shown_sec_N - early_sec, wanted_W, side="right").clip(1).astype(np.int32) - 1


class FramePlaces:
    """Which place of the timeline a decoded frame has; asked in the order in which frames are decoded.

    Args:
        ticks_N: the time stamps of the timeline; empty where those of frames are not to be believed, and frames are
            counted.
    """

    def __init__(self, ticks_N: np.ndarray):
        self._ticks_N = ticks_N
        self._last = -1

    def next(self, tick: int | None) -> int:
        """The next place with this time stamp. The last one again where it was passed over a moment ago, as parsers
        swap neighbours; the next at all where there is none."""
        start = self._last + 1
        is_next = start < len(self._ticks_N) and self._ticks_N[start] == tick
        if is_next or not len(self._ticks_N):  # as nearly always
            self._last = start
            return start
        for part_N in (self._ticks_N[start : start + NEAR_PLACES], self._ticks_N[start:]):
            if len(found := np.flatnonzero(part_N == tick)):
                self._last = start + int(found[0])
                return self._last
        if not (self._ticks_N[max(0, start - NEAR_PLACES) : start] == tick).any():
            self._last = start
        return self._last


def _without_rounding(sec_N: np.ndarray, unit_sec: float) -> np.ndarray:
    """A constant rate as even times from 0, whatever the container rounds to; its first and last frame may be
    misplaced. Other times stay as they are."""
    count = len(sec_N)
    edge = 1 if count >= 8 else 0
    if count < 3 or (step := (sec_N[-1 - edge] - sec_N[edge]) / (count - 1 - 2 * edge)) <= 0:
        return sec_N
    even_N = sec_N[edge] + (np.arange(count) - edge) * step
    off_N = np.abs(sec_N - even_N)
    is_even_N = off_N <= min(1.01 * max(unit_sec, COARSE_SEC), step / 4)
    if is_even_N[edge : count - edge].all() and off_N.max() < MISPLACED_FRAMES * step:
        return even_N - even_N[0]
    return sec_N
