"""Which clips are one film, by their frames, where the videos still are.

    some frames of each -> small and grey -> alike in what stands still, and alike in what moves

Two takes before one background agree in what stands still only; a film that was encoded again agrees in both.

Letters: N M clips, T frames, H W pixels, D numbers.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from harray.videos.decoding import VideoError
from harray.videos.frames import read_frames_at
from harray.videos.segments import part_of

NUM_FRAMES, SIZE_HW = 6, (24, 32)
STILL_ALIKE, MOVING_ALIKE = 0.8, 0.9  # correlations
LOOK_ALIKE = 0.99  # where nothing moves
ROWS_AT_ONCE = 1024
STILL = 1.5  # grey levels of movement, root mean square: less is what encoding leaves of nothing


def small_frames(path: str, index_T: np.ndarray) -> np.ndarray | None:
    """float32 `[T, H, W]`: a few of a clip's frames; None where they cannot be read."""
    file = part_of(path).file
    if not Path(file).exists():
        return None
    chosen = index_T[np.linspace(0, len(index_T) - 1, NUM_FRAMES).round().astype(int)]
    try:
        frames = read_frames_at(file, chosen).rgb_THWC
    except (VideoError, OSError):
        return None
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    small = [cv2.resize(frame, SIZE_HW[::-1], interpolation=cv2.INTER_AREA) for frame in grey]
    return np.stack(small).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class SmallFilms:
    """Small frames of N clips, taken apart into what stands still and what moves, each of length 1 about its mean."""

    still_ND: np.ndarray
    moving_ND: np.ndarray
    is_still_N: np.ndarray

    @classmethod
    def of(cls, frames_NTHW: np.ndarray) -> "SmallFilms":
        middle = frames_NTHW.mean(axis=1, keepdims=True)
        moving = frames_NTHW - middle
        return cls(
            still_ND=_unit(middle),
            moving_ND=_unit(moving),
            is_still_N=np.sqrt(np.square(moving).mean(axis=(1, 2, 3))) < STILL,
        )

    def alike(self, others: "SmallFilms") -> np.ndarray:
        """Bool `[N, M]`: which are one film. Two without any movement are where they look the same."""
        still_NM = self.still_ND @ others.still_ND.T
        moving_NM = self.moving_ND @ others.moving_ND.T
        both_NM = self.is_still_N[:, None] & others.is_still_N
        return np.where(
            both_NM, still_NM >= LOOK_ALIKE, (still_NM >= STILL_ALIKE) & (moving_NM >= MOVING_ALIKE)
        )


def same_films(frames_NTHW: np.ndarray) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of clips that are one film, and pairs of one film and its mirror image; the smaller number first."""
    again, mirrored = (
        _pairs(frames_NTHW, SmallFilms.of(others)) for others in (frames_NTHW, frames_NTHW[:, :, :, ::-1])
    )
    return again, sorted(set(mirrored) - set(again))


def _pairs(frames_NTHW: np.ndarray, others: SmallFilms) -> list[tuple[int, int]]:
    pairs = []
    for start in range(0, len(frames_NTHW), ROWS_AT_ONCE):
        alike_RN = SmallFilms.of(frames_NTHW[start : start + ROWS_AT_ONCE]).alike(others)
        row, second = np.nonzero(alike_RN)
        pairs += [(int(i) + start, int(j)) for i, j in zip(row, second, strict=True) if i + start < j]
    return pairs


def _unit(values: np.ndarray) -> np.ndarray:
    """Each entry flat, about its mean, of length 1."""
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
