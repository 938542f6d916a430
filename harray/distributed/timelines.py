"""Timelines over a cluster: recordings are cut, actors look at the pieces, one process follows the people.

    recordings --cut into spans--> TimelineActor x num_actors --> what is seen in each frame, in any order
        --in order of time--> people followed, windows, decisions, segments: in this process

The networks that look at single frames are nearly all of the work, and they remember nothing. So nothing has to be
joined where a recording was cut: people are followed over all its frames in order, as they are in one process, and
the segments are the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harray.distributed.dealing import deal
from harray.distributed.model_actors import ModelActor, crew_of
from harray.errors import InputError
from harray.inference import Predictor
from harray.live.config import TimelineConfig
from harray.live.networks import FrameNetworks, SeenFrame
from harray.live.recordings import Span, seen_frames, spans_of
from harray.live.timeline import Segment, recording_traits, segments_seen
from harray.live.traits import ModelTraits
from harray.reporting import SILENT, Reporter

SPAN_SEC = 30.0


@dataclass(frozen=True, kw_only=True)
class SpanTask:
    """A part of a recording that is to be looked at."""

    video: str
    span: Span
    traits: ModelTraits


class TimelineActor(ModelActor):
    """Looks at parts of recordings."""

    def work(self, task: SpanTask) -> list[SeenFrame] | str:
        """What is seen in its frames; why it cannot be read where it cannot."""
        try:
            networks = FrameNetworks(self.predictor.extractor)
            return list(seen_frames(networks, task.video, task.traits, task.span))
        except InputError as error:
            return str(error)


def timelines_on_ray(
    checkpoint: Path,
    videos: Sequence[str],
    assignments: Sequence[str],
    config: TimelineConfig,
    num_actors: int,
    *,
    span_sec: float = SPAN_SEC,
    on_progress: Callable[[str, float], None] = lambda video, time_sec: None,
    reporter: Reporter = SILENT,
) -> Iterator[list[Segment] | str]:
    """Each recording's segments, as `live.timeline` finds them, or why it cannot be read; in the recordings' order.

    Args:
        checkpoint: folder on this machine; its files travel to the actors.
        videos: paths that every node reaches.
        assignments: as for `Predictor.load`; paths in them must be known to every node.
        span_sec: about the length of the pieces.
        on_progress: called with a recording and the time that was reached in it.

    Raises:
        InputError: the cluster does not hold so many actors, or a node lacks the weights for extraction.
    """
    predictor = Predictor.load(checkpoint, assignments, device="cpu")
    traits = recording_traits(predictor, config)
    pieces = [_pieces(str(Path(video).absolute()), traits, span_sec) for video in videos]
    tasks = [task for each in pieces if not isinstance(each, str) for task in each]
    dealt: Iterator[tuple[int, Any]] = iter(())
    if tasks:
        crew = crew_of(TimelineActor, checkpoint, assignments, len(tasks), num_actors, reporter)
        dealt = deal(tasks, crew, lambda task, reason: f"{task.video}: {reason}")
    seen = _in_order(dealt, len(tasks))
    for video, of_video in zip(videos, pieces, strict=True):
        if isinstance(of_video, str):
            yield of_video
            continue
        errors: list[str] = []
        frames = _frames((next(seen) for _ in of_video), errors, partial(on_progress, video))
        segments = segments_seen(predictor, frames, traits, config)
        yield errors[0] if errors else segments


def _frames(
    parts: Iterable[list[SeenFrame] | str], errors: list[str], on_progress: Callable[[float], None]
) -> Iterator[SeenFrame]:
    """The frames of a recording's parts; what went wrong goes into `errors`."""
    for part in parts:
        if isinstance(part, str):
            errors.append(part)
        elif part:
            yield from part
            on_progress(part[-1].time_sec)


def _pieces(video: str, traits: ModelTraits, span_sec: float) -> list[SpanTask] | str:
    try:
        return [SpanTask(video=video, span=span, traits=traits) for span in spans_of(video, traits, span_sec)]
    except InputError as error:
        return str(error)


def _in_order(dealt: Iterator[tuple[int, Any]], count: int) -> Iterator[Any]:
    """Results in the tasks' order, as soon as they and all before them are there."""
    waiting: dict[int, Any] = {}
    for index in range(count):
        while index not in waiting:
            done, result = next(dealt)
            waiting[done] = result
        yield waiting.pop(index)
