"""Clips of an untrimmed video: spans of fixed length, cut in one pass over its frames.

Letters: T frames.
"""

import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harray.videos.decoding import Video, VideoError
from harray.videos.frames import Cut, Frames, shown_span, take
from harray.videos.picture import Needed, Pictures
from harray.videos.timeline import Span

MIN_REST_SHARE = 0.1  # of a clip; a shorter rest at the end would repeat the clip before it, and gets none


def cut_spans(extent: Span, clip_sec: float, stride_sec: float) -> list[Span]:
    """Spans of `clip_sec`, one every `stride_sec`; the last is moved back to end where the video ends.

    A video that is no longer than `clip_sec` is one span.

    >>> cut_spans((0.0, 10.0), clip_sec=4.0, stride_sec=4.0)
    [(0.0, 4.0), (4.0, 8.0), (6.0, 10.0)]
    >>> cut_spans((0.0, 8.1), clip_sec=4.0, stride_sec=4.0)
    [(0.0, 4.0), (4.0, 8.0)]
    """
    start, end = extent
    if end - start <= clip_sec:
        return [extent]
    num_whole = int((end - start - clip_sec) / stride_sec + 1e-6) + 1
    starts = [start + number * stride_sec for number in range(num_whole)]
    if end - (starts[-1] + clip_sec) >= MIN_REST_SHARE * clip_sec:
        starts.append(end - clip_sec)
    return [(at, at + clip_sec) for at in starts]


def spans_of(pieces: list[Span], clip_sec: float, stride_sec: float) -> list[Span]:
    """Spans of every piece of a video between its gaps; none reaches over a gap.

    A piece shorter than a tenth of a clip gets none, unless all are.
    """
    long = [piece for piece in pieces if piece[1] - piece[0] >= MIN_REST_SHARE * clip_sec]
    longest = max(pieces, key=lambda piece: piece[1] - piece[0])
    return [span for piece in long or [longest] for span in cut_spans(piece, clip_sec, stride_sec)]


def read_spans(
    path: Path | str,
    num_frames: int,
    clip_sec: float,
    stride_sec: float,
    limit_sec: float | None = None,
    needed: Needed | None = None,
) -> Iterator[Frames]:
    """The clips of a video in order of time, each as soon as its last frame is decoded.

    A clip's frames are those at the middles of `num_frames` equal parts of its span, whatever the rate.

    Raises:
        VideoError: as `read_frames`; that most frames are damaged is known only after the last clip.
    """
    return span_frames(Video(path, limit_sec), num_frames, clip_sec, stride_sec, needed)


def span_frames(
    video: Video,
    num_frames: int,
    clip_sec: float,
    stride_sec: float,
    needed: Needed | None = None,
    within: Span | None = None,
) -> Iterator[Frames]:
    """As `read_spans`, of a part of the video where `within` names one; warnings are in its notes at the end."""
    pictures = Pictures(needed)
    pieces = video.survey.timeline.pieces if within is None else [shown_span(video, within)]
    spans = spans_of(pieces, clip_sec, stride_sec)
    cuts = [Cut(_middles(span, num_frames), needed, pictures) for span in spans]
    shown = array("d")
    num_clips = 0
    for cut in take(video, cuts, shown):
        num_clips += 1
        handed_out = time.monotonic()
        yield cut.frames(video.fps, len(shown))
        video.deadline += time.monotonic() - handed_out  # what others do with a clip is not reading
    if not num_clips:
        raise VideoError("decode", f"{len(shown)} frames can be decoded, which reach no clip")


def _middles(span: Span, num_frames: int) -> np.ndarray:
    """Seconds, the middles of equal parts."""
    start, end = span
    return start + (np.arange(num_frames) + 0.5) * (end - start) / num_frames
