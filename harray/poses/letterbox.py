"""Fit frames into the network's input and its coordinates back into the frames.

Letters: B frames, H height, W width, C colour, N people.
"""

import dataclasses

import numpy as np

STRIDE = 32  # the network's sides are multiples of it
GREY = 114  # of the border, as in training (ultralytics LetterBox)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Letterbox:
    """Geometry that keeps the aspect ratio: resized to `size_hw`, then padded to `input_hw`."""

    source_hw: tuple[int, int]
    size_hw: tuple[int, int]
    input_hw: tuple[int, int]
    top: int
    left: int


def longer_side(image_size: int) -> int:
    """px of the longer side of what enters the network."""
    return -(-image_size // STRIDE) * STRIDE


def letterbox_for(height: int, width: int, image_size: int) -> Letterbox:
    """The longer side becomes `image_size` (rounded up to a multiple of 32); each side is padded as little as
    the stride allows."""
    side = longer_side(image_size)
    scale = side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    padded = -(-size[0] // STRIDE) * STRIDE, -(-size[1] // STRIDE) * STRIDE
    return Letterbox(
        source_hw=(height, width),
        size_hw=size,
        input_hw=padded,
        top=(padded[0] - size[0]) // 2,
        left=(padded[1] - size[1]) // 2,
    )


def fit(frames_BHWC: np.ndarray, box: Letterbox) -> np.ndarray:
    """uint8 [B, H, W, 3] frames as uint8 [B, H', W', 3] of `box.input_hw`."""
    import cv2

    out = np.full((len(frames_BHWC), *box.input_hw, 3), GREY, np.uint8)
    height, width = box.size_hw
    places = out[:, box.top : box.top + height, box.left : box.left + width]
    if (height, width) == box.source_hw:
        places[:] = frames_BHWC
        return out
    for frame, place in zip(frames_BHWC, places, strict=True):
        cv2.resize(frame, (width, height), dst=place, interpolation=cv2.INTER_LINEAR)
    return out


def to_source(xy: np.ndarray, box: Letterbox) -> np.ndarray:
    """[..., 2] network px as [..., 2] source px (x, y), clipped to the frame."""
    scale = np.array([box.size_hw[1] / box.source_hw[1], box.size_hw[0] / box.source_hw[0]], np.float32)
    moved = (xy - np.array([box.left, box.top], np.float32)) / scale
    return np.clip(moved, 0, np.array([box.source_hw[1], box.source_hw[0]], np.float32))
