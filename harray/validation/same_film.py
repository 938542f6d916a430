"""Whether two clips that look alike are one film, by their frames, where the videos still are.

    some frames of each -> small and grey -> alike in what stands still, and alike in what moves

Two takes before one background agree in what stands still only; a film that was encoded again agrees in both.

Letters: T frames, H W pixels.
"""

from pathlib import Path

import cv2
import numpy as np

from harray.videos.decoding import VideoError
from harray.videos.frames import read_frames_at
from harray.videos.segments import part_of

NUM_FRAMES, SIZE_HW = 6, (24, 32)
STILL_ALIKE, MOVING_ALIKE = 0.8, 0.6  # correlations
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


def same_film(first_THW: np.ndarray, second_THW: np.ndarray) -> bool:
    """Whether two clips' small frames are of one film; two without any movement count as such where they look alike."""
    middle = [frames.mean(axis=0) for frames in (first_THW, second_THW)]
    if _correlation(*middle) < STILL_ALIKE:
        return False
    moving = [frames - still for frames, still in zip((first_THW, second_THW), middle, strict=True)]
    if max(float(np.sqrt(np.square(part).mean())) for part in moving) < STILL:
        return True
    return _correlation(*moving) >= MOVING_ALIKE


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / length if length > 0 else 1.0
