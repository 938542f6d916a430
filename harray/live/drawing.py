"""A view drawn over its frame: skeletons, completed joints in orange, labels with bars of probability, the rate.

Letters: K joints, H height, W width.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from harray.inference.lettering import text_mask
from harray.inference.pictures import OBSERVED_RGB, draw_skeletons
from harray.skeleton import SkeletonLayout

MIN_HEIGHT_PX = 480
LINE_PX = 24
BAR_PX = 110  # of a bar at probability 1
NUM_BARS = 3
SAID = {"nobody": "nobody", "unsure": "unsure", "waiting": "..."}


def drawn(frame_HWC: np.ndarray, view: dict[str, Any], skeleton: SkeletonLayout, rate: float) -> np.ndarray:
    """uint8 RGB, enlarged where it is small, its sides even.

    Args:
        frame_HWC: uint8 RGB, of any size; the view's pixels are those of `height_px` and `width_px`.
        rate: frames per second, as it is written into the picture.
    """
    height, width = frame_HWC.shape[:2]
    enlarged = max(1.0, MIN_HEIGHT_PX / height)
    size_wh = round(width * enlarged / 2) * 2, round(height * enlarged / 2) * 2
    canvas = cv2.resize(frame_HWC, size_wh, interpolation=cv2.INTER_LINEAR)
    scale = size_wh[0] / max(1, view["width_px"])
    people = [track for track in view["tracks"] if track["keypoints"]]
    for place, track in enumerate(people):
        keypoints_KC = np.array([joint[:2] if joint else [np.nan] * 2 for joint in track["keypoints"]])
        visible_K = ~np.array(track["completed"], bool)
        colour_first = [np.full_like(keypoints_KC, np.nan)] * (place % len(OBSERVED_RGB))
        keypoints_PKC = np.stack([*colour_first, keypoints_KC * scale])
        canvas = draw_skeletons(canvas, keypoints_PKC, np.stack([visible_K] * len(keypoints_PKC)), skeleton)
        x, y = np.nanmin(keypoints_PKC[-1], axis=0) if np.isfinite(keypoints_KC).any() else (0, 0)
        _bars(canvas, track, int(x), int(y) - 6)
    for track in view["tracks"]:
        if track["track"] is None:
            _bars(canvas, track, 6, size_wh[1] - 6)
    verdict = SAID.get(view["verdict"], "")
    _write(canvas, f"{rate:.1f} frames/s   {verdict}".rstrip(), 6, LINE_PX + 4)
    return canvas


def _bars(canvas: np.ndarray, track: dict[str, Any], left: int, bottom: int) -> None:
    """The likeliest labels with their bars, above a point; of the unsure that first."""
    rows = [
        (f"{said['label']} {said['probability']:.0%}", said["probability"])
        for said in track["top"][:NUM_BARS]
    ]
    if track["verdict"] != "ok" and track["verdict"] in SAID:
        rows = [(SAID[track["verdict"]], 0.0), *rows[:1]] if track["top"] else rows
    top = max(2 * LINE_PX, bottom - LINE_PX * len(rows))
    for number, (text, share) in enumerate(rows):
        y = top + LINE_PX * number
        _shade(canvas, left, y, BAR_PX, LINE_PX, share)
        _write(canvas, text, left + 4, y + LINE_PX - 4)


def _shade(canvas: np.ndarray, left: int, top: int, width: int, height: int, share: float) -> None:
    place = canvas[max(0, top) : top + height, max(0, left) : left + width]
    place[:] = place // 3
    place[:, : round(share * width)] = (43, 108, 176)


def _write(canvas: np.ndarray, text: str, left: int, bottom: int) -> None:
    """White letters where there is room."""
    ink_HW = _ink(text)
    top, left = max(0, bottom - LINE_PX + 4), max(0, left)
    place = canvas[top : top + ink_HW.shape[0], left : left + ink_HW.shape[1]]
    ink = ink_HW[: place.shape[0], : place.shape[1], None]
    place += ((255 - place) * ink).astype(np.uint8)


@lru_cache(maxsize=512)
def _ink(text: str) -> np.ndarray:
    return text_mask(text, LINE_PX)
