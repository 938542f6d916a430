"""The frames of a video: uniformly spaced, upright, RGB.

Letters: T frames, H height, W width, C colour.

Containers report a number of frames that files do not always hold, and some packets hold no frame. So the
packets are counted first, which decodes nothing; then one decoding pass keeps the wanted frames, for the counted
number and for the few below it; only those that are wanted in the end become RGB.

Frames pass through one at a time: what is kept depends on the number of wanted frames, not on the duration.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harray.videos.decoding import Video, VideoError

SLACK = 3  # packets without a frame that a single decoding pass allows for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """Some frames of a video.

    Attributes:
        rgb_THWC: uint8 [T, H, W, 3], upright (rotation by metadata is applied).
        index_T: int32 [T], positions among the frames that can be decoded, from 0, never decreasing.
        time_sec_T: float64 [T], presentation times.
        fps: frames per second as the container states, 25.0 where it states none.
        num_source_frames: how many frames can be decoded; of a span, up to its last one.
    """

    rgb_THWC: np.ndarray
    index_T: np.ndarray
    time_sec_T: np.ndarray
    fps: float
    num_source_frames: int


def uniform_indices(num_source_frames: int, num_frames: int) -> np.ndarray:
    """int32 [num_frames], spaced evenly from the first to the last of `num_source_frames` frames.

    Halves round up, as ties to even would make the spacing uneven. Fewer source frames than asked for repeat.
    """
    spaced = np.linspace(0, num_source_frames - 1, num_frames)
    return np.floor(spaced + 0.5).astype(np.int32)


def read_frames(path: Path | str, num_frames: int, limit_sec: float | None = None) -> Frames:
    """Uniformly spaced frames of a whole video.

    Raises:
        VideoError: stage "open" (no such file, no video in it) or "decode" (no frame can be decoded, or reading
            takes longer than `limit_sec`).
    """
    video = Video(path, limit_sec)
    counted = video.count_packets()
    kept, num_decoded = _decode(video, _wanted(counted, num_frames))
    if num_decoded == 0:
        raise VideoError("decode", f"none of {counted} packets holds a frame that can be decoded")
    index_T = uniform_indices(num_decoded, num_frames)
    if not set(index_T.tolist()) <= kept.keys():  # the count was too far off: it is known now
        kept, again = _decode(video, set(index_T.tolist()))
        if again != num_decoded:
            raise VideoError("decode", f"{num_decoded} frames at the first reading, {again} at the second")
    return to_frames(kept, index_T, video.fps, num_decoded)


def read_frames_at(path: Path | str, index_T: np.ndarray) -> Frames:
    """Frames at positions that an earlier reading of the same file gave.

    Raises:
        VideoError: the file cannot be read, or has become another.
    """
    video = Video(path)
    kept, num_decoded = _decode(video, set(index_T.tolist()))
    if len(kept) < len(set(index_T.tolist())):
        raise VideoError("decode", f"{num_decoded} frames in it, less than there were; it has changed")
    return to_frames(kept, index_T, video.fps, num_decoded)


def to_frames(kept: Mapping[int, Any], index_T: np.ndarray, fps: float, num_source_frames: int) -> Frames:
    """Decoded frames by index as `Frames`; each is converted once, to the size of the first and upright."""
    first = kept[int(index_T[0])]
    size = {"width": first.width, "height": first.height}
    images: dict[int, np.ndarray] = {}
    for index in dict.fromkeys(index_T.tolist()):
        frame = kept[index]
        image = frame.to_ndarray(format="rgb24", **size)
        images[index] = np.rot90(image, k=round(frame.rotation / 90))
    times = [index / fps if (time := kept[index].time) is None else time for index in index_T.tolist()]
    return Frames(
        rgb_THWC=np.stack([images[index] for index in index_T.tolist()]),
        index_T=index_T,
        time_sec_T=np.asarray(times, np.float64),
        fps=fps,
        num_source_frames=num_source_frames,
    )


def _wanted(counted: int, num_frames: int) -> set[int]:
    """Indices to keep, should the video hold as many frames as packets were counted or a few less."""
    counts = range(max(1, counted - SLACK), counted + 1)
    return {index for count in counts for index in uniform_indices(count, num_frames).tolist()}


def _decode(video: Video, wanted: set[int]) -> tuple[dict[int, Any], int]:
    """The wanted frames as the decoder gave them, and how many frames there are."""
    kept: dict[int, Any] = {}
    count = 0
    for frame in video.frames():
        if count in wanted:
            kept[count] = frame
        count += 1
    return kept, count
