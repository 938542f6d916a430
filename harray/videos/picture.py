"""A decoded frame as a picture: as a player shows it, and no larger than needed.

    stored frame --pixels made square, shrunk, RGB (libswscale)--> --display matrix--> upright [H, W, 3]

Letters: H height, W width.
"""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

PLAUSIBLE_ASPECT = 8  # of a pixel, or its inverse; what lies beyond is a fault of the file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needed:
    """Pictures are shrunk as long as both sides stay at least this long, in px."""

    long_px: int
    short_px: int

    def shrunk(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture of this size after shrinking; never more than they are."""
        long, short = max(height, width), min(height, width)
        scale = min(1.0, max(self.long_px / long, self.short_px / short))
        return max(1, round(height * scale)), max(1, round(width * scale))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """A display matrix as what it does to an array: transposed first, then flipped."""

    is_transposed: bool = False
    flips_columns: bool = False
    flips_rows: bool = False

    def __call__(self, image: np.ndarray) -> np.ndarray:
        turned = image.swapaxes(0, 1) if self.is_transposed else image
        return turned[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]


def turn_of(matrix_9: np.ndarray) -> Turn:
    """The nearest turn by right angles, with or without mirroring.

    Args:
        matrix_9: FFmpeg's display matrix a b u c d v x y w, where a picture's point (p, q) is shown at
            (a p + c q + x, b p + d q + y).
    """
    a, b, _, c, d, *_ = matrix_9.tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(flips_columns=a < 0, flips_rows=d < 0)
    return Turn(is_transposed=True, flips_columns=c < 0, flips_rows=b < 0)


def square_size(height: int, width: int, aspect: Fraction | None) -> tuple[int, int]:
    """Height and width with square pixels, for which one side is stretched.

    Args:
        aspect: width of a stored pixel by its height; None or implausible: square.
    """
    if not aspect or not 1 / PLAUSIBLE_ASPECT <= aspect <= PLAUSIBLE_ASPECT:
        return height, width
    return (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)


class Pictures:
    """Makes the pictures of one film; all have the size of the first.

    Attributes:
        size_hw: height and width, px, at which players show the film; known after the first picture.
    """

    def __init__(self, needed: Needed | None):
        from av.video.reformatter import VideoReformatter

        self.size_hw = (0, 0)
        self._needed = needed
        self._convert = VideoReformatter().reformat  # of one: it keeps what it set up for the first frame
        self._stored_hw: tuple[int, int] | None = None
        self._turn = Turn()

    def of(self, frame: Any, aspect: Fraction | None) -> np.ndarray:
        """uint8 RGB [H, W, 3], upright."""
        if self._stored_hw is None:
            self._turn = turn_of(_display_matrix(frame))
            square = square_size(frame.height, frame.width, aspect)
            self._stored_hw = self._needed.shrunk(*square) if self._needed else square
            self.size_hw = square[::-1] if self._turn.is_transposed else square
        height, width = self._stored_hw
        return self._turn(self._convert(frame, width, height, "rgb24", threads=1).to_ndarray())


def _display_matrix(frame: Any) -> np.ndarray:
    from av.sidedata.sidedata import Type

    for data in frame.side_data:
        if data.type is Type.DISPLAYMATRIX:
            return np.frombuffer(bytes(data), np.int32, count=9)
    return np.array([1, 0, 0, 0, 1, 0, 0, 0, 1], np.int32)
