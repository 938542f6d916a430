"""Camera cuts, found frame by frame in small pictures.

A cut changes two things at once: the colours (a histogram, which a pan or somebody's movement changes little) and
the arrangement (the best correlation of the middle of one picture with any place of the other, which light and
exposure change little); and both by much more than in the frames before, so that a shaky camera, or frames that lie
a second apart, raise the bar for themselves. Fast pans, flashes and balls in front of the lens are no cuts; nor is
one found between pictures of like colours.

Letters: T frames, H height, W width, C colour.
"""

import collections
import functools

import numpy as np

SMALL_WH = (64, 48)  # px
MARGIN_WH = (16, 12)  # px by which the middle of one picture may lie elsewhere in the other, on each side
COLOUR_BINS = (8, 4, 4)  # hue, saturation, value
MIN_COLOURS = 0.2  # least difference of the colours at a cut, in [0, 1]
MIN_ARRANGEMENT = 0.15  # and of the arrangement, 1 less the correlation
MIN_BOTH = 0.7  # and of their sum
MIN_RATIO = 3.0  # of the sum to what is usual in the shot
USUAL = 0.3  # sum of differences of a lively camera, until the shot itself shows it
NUM_BEFORE = 8  # differences that show it; two of `USUAL` stand in for it at first
FLAT = 2.0  # standard deviation of grey values under which a picture has no arrangement


Look = tuple[
    np.ndarray, np.ndarray
]  # of a frame: shares of its colours, and grey values of the small picture


class CutDetector:
    """Detects cuts frame by frame: whether a new shot begins."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._before: collections.deque[_Step] = collections.deque(maxlen=NUM_BEFORE)

    def update(self, rgb_HWC: np.ndarray) -> bool:
        """Whether a cut lies between the frame before and this one, uint8 RGB; never before the first."""
        return self.update_look(look_of(rgb_HWC))

    def update_look(self, look: Look) -> bool:
        """As `update`, of a frame of which only its `look_of` is at hand."""
        last, self._last = self._last, look
        if last is None:
            return False
        step = _Step(last, look)
        is_cut = (
            step.colours > MIN_COLOURS
            and step.arrangement > MIN_ARRANGEMENT
            and step.both > max(MIN_BOTH, MIN_RATIO * self._usual())
        )
        if is_cut:
            self._before.clear()
        else:
            self._before.append(step)
        return is_cut

    def _usual(self) -> float:
        """The difference that is usual in the shot."""
        num_missing = min(2, NUM_BEFORE - len(self._before))
        return float(np.median([*(step.both for step in self._before), *[USUAL] * num_missing]))


class _Step:
    """From one frame to the next. The arrangements are compared only where it matters, which in most videos is never:
    that takes longer than all else."""

    def __init__(self, last: Look, look: Look):
        self._looks = last, look
        self.colours = _colour_difference(last[0], look[0])

    @functools.cached_property
    def arrangement(self) -> float:
        last, look = self._looks
        return _arrangement_difference(last[1], look[1])

    @property
    def both(self) -> float:
        return self.colours + self.arrangement


def cut_frames(rgb_THWC: np.ndarray) -> np.ndarray:
    """Bool [T]: whether a new shot begins with the frame."""
    detector = CutDetector()
    return np.array([detector.update(frame) for frame in rgb_THWC], bool)


def look_of(rgb_HWC: np.ndarray) -> Look:
    """The features of a frame that are compared: shares of its colours, and grey values `[H, W]`; some 10 kB."""
    import cv2

    small = cv2.resize(rgb_HWC, SMALL_WH, interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    colours = cv2.calcHist([hsv], [0, 1, 2], None, list(COLOUR_BINS), [0, 180, 0, 256, 0, 256])
    return colours / colours.sum(), cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _colour_difference(first: np.ndarray, second: np.ndarray) -> float:
    """In [0, 1]: the share of the pixels that have another colour."""
    return float(1.0 - np.minimum(first, second).sum())


def _arrangement_difference(first_HW: np.ndarray, second_HW: np.ndarray) -> float:
    """In [0, 1]: 1 less the best correlation of either's middle with a place of the other."""
    import cv2

    x, y = MARGIN_WH
    flat = [float(grey[y:-y, x:-x].std()) < FLAT for grey in (first_HW, second_HW)]
    if any(flat):
        return float(not all(flat))
    pairs = ((first_HW, second_HW), (second_HW, first_HW))
    best = max(
        float(np.nan_to_num(cv2.matchTemplate(other, one[y:-y, x:-x], cv2.TM_CCOEFF_NORMED)).max())
        for one, other in pairs
    )
    return 1.0 - min(max(best, 0.0), 1.0)
