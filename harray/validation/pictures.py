"""Small pictures of clips for a page: frames with skeletons, from the video where it still is, else on a blank ground.

Letters: N clips, P people, T frames, K joints, C coordinates, H W pixels.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from harray.inference.pictures import draw_skeletons
from harray.skeleton import SkeletonLayout
from harray.store import FeatureStore
from harray.videos.decoding import VideoError
from harray.videos.frames import read_frames_at
from harray.videos.segments import part_of

HEIGHT_PX, NUM_SHOWN, QUALITY = 132, 3, 72
MARGIN = 0.15  # about a skeleton that stands on a blank ground, in its own sizes
BLANK = 38  # grey


def clip_pictures(store: FeatureStore, wanted: Sequence[str], min_confidence: float) -> dict[str, str]:
    """Path -> a strip of `NUM_SHOWN` frames as a data URI, of the first clip of each wanted path."""
    table = store.read(columns=["frame_index", "height_px", "width_px", "keypoints"])
    paths = table["path"].to_pylist()
    first = {path: place for place, path in reversed(list(enumerate(paths)))}
    chosen = {path: first[path] for path in dict.fromkeys(wanted) if path in first}
    columns = [table[name] for name in ("frame_index", "height_px", "width_px")]
    pictures = {}
    for path, place in chosen.items():
        index, height, width = (column[place].as_py() for column in columns)
        keypoints_PTKC1 = table["keypoints"][place].to_numpy()
        strip = clip_strip(
            path, np.asarray(index), keypoints_PTKC1, (height, width), store.skeleton, min_confidence
        )
        pictures[path] = data_uri(strip)
    return pictures


def clip_strip(
    path: str,
    index_T: np.ndarray,
    keypoints_PTKC1: np.ndarray,
    size_hw: tuple[int, int],
    skeleton: SkeletonLayout,
    min_confidence: float,
) -> np.ndarray:
    """uint8 `[H, W, 3]`: some frames side by side, with whoever is seen in them.

    Args:
        index_T: places of the clip's frames in its video.
        keypoints_PTKC1: px, then confidence.
        size_hw: of the video, px; 0 where not known.
    """
    shown = np.linspace(0, len(index_T) - 1, NUM_SHOWN + 2).round().astype(int)[1:-1]
    confidence_PTK = keypoints_PTKC1[..., -1]
    places_PTKC = np.where(confidence_PTK[..., None] > 0, keypoints_PTKC1[..., :2], np.nan).astype(float)
    frames = _frames(path, index_T[shown])
    if frames is None:
        places_PTKC, size_hw = _on_blank(places_PTKC, size_hw)
        frames = [np.full((*size_hw, 3), BLANK, np.uint8)] * len(shown)
    pictures = []
    for frame, t in zip(frames, shown, strict=True):
        scale = HEIGHT_PX / frame.shape[0]
        small = cv2.resize(
            frame, (max(1, round(frame.shape[1] * scale)), HEIGHT_PX), interpolation=cv2.INTER_AREA
        )
        drawn_PK = confidence_PTK[:, t] >= min_confidence
        places_PKC = np.where(drawn_PK[..., None], places_PTKC[:, t] * scale, np.nan)
        pictures.append(draw_skeletons(small, places_PKC, drawn_PK, skeleton))
    return np.concatenate(pictures, axis=1)


def data_uri(picture_HWC: np.ndarray) -> str:
    """A picture as a page can hold it."""
    bgr = cv2.cvtColor(picture_HWC, cv2.COLOR_RGB2BGR)
    done, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return f"data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}"


def _frames(path: str, index_T: np.ndarray) -> list[np.ndarray] | None:
    """None where the video is gone, is elsewhere, or cannot be read any more."""
    file = part_of(path).file
    if not Path(file).exists():
        return None
    try:
        return list(read_frames_at(file, index_T).rgb_THWC)
    except (VideoError, OSError):
        return None


def _on_blank(places_PTKC: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Places and the size of a ground that holds them: the video's where it is known, else what they fill."""
    if min(size_hw) > 0:
        return places_PTKC, size_hw
    if not np.isfinite(places_PTKC).any():
        return places_PTKC, (HEIGHT_PX, HEIGHT_PX)
    low_C, high_C = np.nanmin(places_PTKC, axis=(0, 1, 2)), np.nanmax(places_PTKC, axis=(0, 1, 2))
    extent = max(float((high_C - low_C).max()), 1e-9)
    scale = HEIGHT_PX / (extent * (1 + 2 * MARGIN))
    moved = (places_PTKC - (low_C + high_C) / 2) * scale + HEIGHT_PX / 2
    return moved, (HEIGHT_PX, HEIGHT_PX)
