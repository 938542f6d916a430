"""The frames of a video: uniformly spaced, upright, RGB. The only decoder of videos.

Letters: T frames, H height, W width, C colour.

Containers report a number of frames that files do not always hold, and some packets hold no frame. So the
packets are counted first, which decodes nothing; then one decoding pass keeps the wanted frames, for the counted
number and for the few below it; only those that are wanted in the end become RGB.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SLACK = 3  # packets without a frame that a single decoding pass allows for
FALLBACK_FPS = 25.0  # for containers that state no rate


class VideoError(Exception):
    """A video that cannot be read; `stage` is "open" or "decode"."""

    def __init__(self, stage: str, message: str):
        super().__init__(message)
        self.stage = stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """Some frames of a video.

    Attributes:
        rgb_THWC: uint8 [T, H, W, 3], upright (rotation by metadata is applied).
        index_T: int32 [T], positions among the frames that can be decoded, from 0, never decreasing.
        time_sec_T: float64 [T], presentation times.
        fps: frames per second as the container states, 25.0 where it states none.
        num_source_frames: how many frames can be decoded.
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


def read_frames(path: Path | str, num_frames: int) -> Frames:
    """Uniformly spaced frames of a whole video.

    Raises:
        VideoError: stage "open" (no such file, no video in it) or "decode" (no frame can be decoded).
    """
    path = Path(path)
    counted = _count_packets(path)
    kept, num_decoded, fps = _decode(path, _wanted(counted, num_frames))
    if num_decoded == 0:
        raise VideoError("decode", f"none of {counted} packets holds a frame that can be decoded")
    index_T = uniform_indices(num_decoded, num_frames)
    if not set(index_T.tolist()) <= kept.keys():  # the count was too far off: it is known now
        kept, again, fps = _decode(path, set(index_T.tolist()))
        if again != num_decoded:
            raise VideoError("decode", f"{num_decoded} frames at the first reading, {again} at the second")
    return _frames(kept, index_T, fps, num_decoded)


def _wanted(counted: int, num_frames: int) -> set[int]:
    """Indices to keep, should the video hold as many frames as packets were counted or a few less."""
    counts = range(max(1, counted - SLACK), counted + 1)
    return {index for count in counts for index in uniform_indices(count, num_frames).tolist()}


def _frames(kept: dict[int, Any], index_T: np.ndarray, fps: float, num_decoded: int) -> Frames:
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
        num_source_frames=num_decoded,
    )


def _count_packets(path: Path) -> int:
    with _open(path) as (container, stream):
        return sum(1 for packet in _packets(container, stream) if packet.size)


def _decode(path: Path, wanted: set[int]) -> tuple[dict[int, Any], int, float]:
    """The wanted frames as the decoder gave them, how many frames there are, and the rate."""
    kept: dict[int, Any] = {}
    count = 0
    with _open(path) as (container, stream):
        fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
        for frame in _decoded(container, stream):
            if count in wanted:
                kept[count] = frame
            count += 1
    return kept, count, fps


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Every frame that can be decoded, in order of presentation; damaged packets are passed over."""
    import av

    for packet in _packets(container, stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue  # what a damaged packet lacks shows in the number of frames


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, up to where the container breaks off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError):
            return


class _open:
    """Context of (container, first video stream) of a file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> tuple[Any, Any]:
        import av

        if not self.path.exists():
            raise VideoError("open", "no such file")
        if self.path.is_file() and self.path.stat().st_size == 0:
            raise VideoError("open", "the file is empty")
        try:
            self.container = av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise VideoError("open", f"not a video that FFmpeg can open ({_reason(error)})") from error
        if not self.container.streams.video:
            self.container.close()
            raise VideoError("open", "no video stream in it")
        return self.container, self.container.streams.video[0]

    def __exit__(self, *exception: object) -> None:
        self.container.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
