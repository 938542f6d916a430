"""Clips of an untrimmed video: spans of fixed length, cut in one pass over its frames.

Letters: T frames.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harray.videos.decoding import Video, VideoError
from harray.videos.frames import Frames, to_frames

Span = tuple[float, float]  # start and end in seconds


def cut_spans(extent: Span, clip_sec: float, stride_sec: float) -> list[Span]:
    """Spans of `clip_sec`, one every `stride_sec`; the last is moved back to end where the video ends.

    A video that is no longer than `clip_sec` is one span.

    >>> cut_spans((0.0, 10.0), clip_sec=4.0, stride_sec=4.0)
    [(0.0, 4.0), (4.0, 8.0), (6.0, 10.0)]
    """
    start, end = extent
    if end - start <= clip_sec:
        return [extent]
    num_whole = int((end - start - clip_sec) / stride_sec + 1e-6) + 1
    starts = [start + number * stride_sec for number in range(num_whole)]
    if end - (starts[-1] + clip_sec) > 1e-3:
        starts.append(end - clip_sec)
    return [(at, at + clip_sec) for at in starts]


def read_spans(
    path: Path | str, num_frames: int, clip_sec: float, stride_sec: float, limit_sec: float | None = None
) -> Iterator[Frames]:
    """The clips of a video in order of time, each as soon as its last frame is decoded.

    A clip's frames are those nearest to the middles of `num_frames` equal parts of its span, whatever the rate;
    where the video ends before the container said, the last one taken stands for those that are missing.

    Raises:
        VideoError: as `read_frames`, or its packets say no times.
    """
    video = Video(path, limit_sec)
    cuts = [_Cut(span, num_frames) for span in cut_spans(video.extent_sec(), clip_sec, stride_sec)]
    for clip in _clips(video, cuts):
        handed_out = time.monotonic()
        yield clip
        video.deadline += time.monotonic() - handed_out  # what others do with a clip is not reading


def _clips(video: Video, cuts: "list[_Cut]") -> Iterator[Frames]:
    count, num_cuts, half_frame_sec = 0, len(cuts), 0.5 / video.fps
    for frame in video.frames():
        time_sec = count / video.fps if frame.time is None else frame.time
        for cut in cuts:
            if cut.wanted_T[0] > time_sec + half_frame_sec:
                break  # neither this one nor later ones have begun
            cut.take(count, time_sec + half_frame_sec, frame)
        count += 1
        while cuts and cuts[0].is_full:
            yield cuts.pop(0).frames(video.fps)
    begun = [cut for cut in cuts if cut.kept]
    if len(cuts) == num_cuts and not begun:
        raise VideoError("decode", f"{count} frames can be decoded, which reach no clip")
    yield from (cut.frames(video.fps) for cut in begun)


@dataclasses.dataclass
class _Cut:
    """A span on its way: which times are wanted, which frames were taken for them so far."""

    span: Span
    num_frames: int
    index: list[int] = dataclasses.field(default_factory=list)
    kept: dict[int, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def wanted_T(self) -> np.ndarray:
        """Seconds, the middles of equal parts."""
        start, end = self.span
        return start + (np.arange(self.num_frames) + 0.5) * (end - start) / self.num_frames

    @property
    def is_full(self) -> bool:
        return len(self.index) == self.num_frames

    def take(self, index: int, until_sec: float, frame: Any) -> None:
        """Take the frame for every wanted time up to `until_sec` that has none yet."""
        reached = int(np.searchsorted(self.wanted_T, until_sec, side="right"))
        if new := reached - len(self.index):
            self.index += [index] * new
            self.kept[index] = frame

    def frames(self, fps: float) -> Frames:
        """What was taken, the last frame repeated for what was not."""
        index = self.index + [self.index[-1]] * (self.num_frames - len(self.index))
        return to_frames(self.kept, np.asarray(index, np.int32), fps, self.index[-1] + 1)
