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
    from av.video.reformatter import VideoReformatter

    first = kept[int(index_T[0])]
    convert = VideoReformatter().reformat  # of one: it keeps what it set up for the first frame
    turns = round(first.rotation / 90)
    height, width = (first.width, first.height) if turns % 2 else (first.height, first.width)
    rgb_THWC = np.empty((len(index_T), height, width, 3), np.uint8)
    seconds_T = np.empty(len(index_T), np.float64)
    for place, index in enumerate(index_T.tolist()):
        frame = kept[index]
        seconds_T[place] = index / fps if frame.time is None else frame.time
        if place and index == index_T[place - 1]:
            rgb_THWC[place] = rgb_THWC[place - 1]
        else:
            image = convert(frame, first.width, first.height, "rgb24").to_ndarray()
            rgb_THWC[place] = np.rot90(image, k=turns)
    return Frames(
        rgb_THWC=rgb_THWC,
        index_T=index_T,
        time_sec_T=seconds_T,
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
