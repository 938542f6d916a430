"""Who did what from when to when in a recording of any length: overlapping windows, merged into segments.

    frames, as many a second as a window holds --networks, each once--> SeenFrame (`recordings`, maybe on many machines)
        --> streams: every person's, the whole picture's
        --windows, one every `stride_share` of their length--> decisions, in batches
        --each moment's mean over the windows around it--> label, unsure or nobody --runs of one label--> Segment

Letters: N moments (frames that were looked at), A action classes.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harray.inference.evidence import OK
from harray.inference.predictor import Prediction, Predictor
from harray.live.config import LiveConfig, TimelineConfig
from harray.live.networks import FrameNetworks, SeenFrame
from harray.live.recordings import Steps, seen_frames
from harray.live.stream import Stream, decide
from harray.live.traits import ModelTraits
from harray.live.windows import Window

WINDOWS_AT_ONCE = 64
GAP_SEC = 1.0  # for which somebody may be hidden without their segment ending


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Somebody does one thing."""

    track: int | None  # None: the whole picture
    start_sec: float
    end_sec: float
    label: str
    probability: float  # mean over its moments

    def to_json(self) -> dict[str, Any]:
        """Plain values, times to the millisecond."""
        return {
            name: round(value, 4 if name == "probability" else 3) if isinstance(value, float) else value
            for name, value in vars(self).items()
        }


@dataclass
class Lane:
    """What is known of one person, or of the whole picture.

    Attributes:
        times: of the moments at which they were seen.
        decisions: window's start and end, probabilities `[A]`, whether enough was seen.
    """

    times: list[float] = field(default_factory=list)
    decisions: list[tuple[float, float, np.ndarray, bool]] = field(default_factory=list)


def timeline(
    predictor: Predictor,
    video: Path | str,
    config: TimelineConfig | None = None,
    on_progress: Callable[[float], None] = lambda time_sec: None,
) -> list[Segment]:
    """Segments of a recording: the picture's first, then by person, in order of time; what lies in none is idle,
    nobody or unsure.

    Args:
        on_progress: called now and then with the time that was reached, in seconds.

    Raises:
        InputError: a file that cannot be read, or weights that are missing.
    """
    config = config or TimelineConfig()
    traits = recording_traits(predictor, config)
    seen = seen_frames(FrameNetworks(predictor.extractor).load(), video, traits)
    return segments_seen(predictor, _told(seen, on_progress), traits, config)


def recording_traits(predictor: Predictor, config: TimelineConfig) -> ModelTraits:
    """What must be known of the model."""
    return ModelTraits.of(predictor.checkpoint, LiveConfig(min_precision=config.min_precision))


def segments_seen(
    predictor: Predictor, seen: Iterable[SeenFrame], traits: ModelTraits, config: TimelineConfig
) -> list[Segment]:
    """The segments of a recording of which `seen` are the frames, in order of time, whoever saw them."""
    lanes: dict[int | None, Lane] = {}
    for windows in _windows(seen, traits, config, lanes):
        for window, prediction in zip(windows, decide(predictor, windows), strict=True):
            lanes.setdefault(window.track, Lane()).decisions.append(
                (window.start_sec, window.end_sec, *_said(prediction, predictor.classes))
            )
    step_sec = Steps.of(traits).step_sec
    order = sorted(lanes, key=lambda track: -1 if track is None else track)
    return [
        segment
        for track in order
        for segment in segments_of(track, lanes[track], predictor.classes, traits.threshold, step_sec, config)
    ]


def _told(seen: Iterable[SeenFrame], on_progress: Callable[[float], None]) -> Iterator[SeenFrame]:
    for frame in seen:
        yield frame
        on_progress(frame.time_sec)


def _said(prediction: Prediction, classes: Sequence[str]) -> tuple[np.ndarray, bool]:
    probabilities = np.array([prediction.probabilities[label] for label in classes])
    return probabilities, prediction.evidence.verdict == OK


def _windows(
    seen: Iterable[SeenFrame], traits: ModelTraits, config: TimelineConfig, lanes: dict[int | None, Lane]
) -> Iterator[list[Window]]:
    """Batches of windows of the people and of the picture; who was seen when goes into the lanes."""
    per_sec = 1.0 / (config.stride_share * traits.window_sec)
    streams = [
        Stream(traits, LiveConfig(decisions_per_sec=per_sec, scene=scene), keeps_last=True)
        for scene in (True, False)
    ]
    waiting: list[Window] = []
    for frame in seen:
        for stream in streams:
            stream.take(frame)
            waiting += stream.due()
        people = streams[1].here()
        for track in [*people, *([None] if people else [])]:
            lanes.setdefault(track, Lane()).times.append(frame.time_sec)
        if len(waiting) >= WINDOWS_AT_ONCE:
            yield waiting
            waiting = []
    yield waiting + [window for stream in streams for window in stream.last()]


def segments_of(
    track: int | None,
    lane: Lane,
    classes: Sequence[str],
    threshold: float,
    step_sec: float,
    config: TimelineConfig,
) -> list[Segment]:
    """The segments of one lane, in order of time.

    Args:
        step_sec: from one moment to the next; each stands for so long.
    """
    times_N = np.array(lane.times)
    if not len(times_N) or not lane.decisions:
        return []
    mean_NA = _means(times_N, lane.decisions, len(classes))
    label_N = np.where(mean_NA.max(axis=1) >= max(threshold, 1e-9), mean_NA.argmax(axis=1), -1)
    runs = _without_short(_runs(times_N, label_N), times_N, mean_NA, step_sec, config.least_sec)
    return [
        Segment(
            track=track,
            start_sec=float(times_N[first]),
            end_sec=float(times_N[last] + step_sec),
            label=classes[label],
            probability=float(mean_NA[first : last + 1, label].mean()),
        )
        for first, last, label in runs
        if label >= 0
    ]


def _means(times_N: np.ndarray, decisions: Sequence[tuple], num_classes: int) -> np.ndarray:
    """`[N, A]`: each moment's mean over the windows that hold it, the nearer to their middle the heavier; 0 where none
    does."""
    sum_NA, weight_N = np.zeros((len(times_N), num_classes)), np.full(len(times_N), 1e-12)
    for start_sec, end_sec, probabilities_A, is_seen in decisions:
        first, last = np.searchsorted(times_N, [start_sec - 1e-6, end_sec + 1e-6])
        if not is_seen or last <= first:
            continue
        half_sec = max((end_sec - start_sec) / 2, 1e-6)
        off = np.abs(times_N[first:last] - (start_sec + end_sec) / 2) / half_sec
        weights = 1.05 - np.minimum(off, 1.0)
        sum_NA[first:last] += weights[:, None] * probabilities_A
        weight_N[first:last] += weights
    return sum_NA / weight_N[:, None]


Run = tuple[int, int, int]  # first and last moment, label (-1: none)


def _runs(times_N: np.ndarray, label_N: np.ndarray) -> list[Run]:
    breaks = np.flatnonzero((np.diff(label_N) != 0) | (np.diff(times_N) > GAP_SEC)) + 1
    edges = [0, *breaks.tolist(), len(label_N)]
    return [(i, j - 1, int(label_N[i])) for i, j in itertools.pairwise(edges)]


def _without_short(
    runs: list[Run], times_N: np.ndarray, mean_NA: np.ndarray, step_sec: float, least_sec: float
) -> list[Run]:
    """Short runs given to the neighbour whose label is likelier there, where one touches; the shortest first."""
    runs = list(runs)
    while True:
        lengths = [times_N[last] - times_N[first] + step_sec for first, last, _ in runs]
        short = [i for i in np.argsort(lengths) if lengths[i] < least_sec and _beside(runs, int(i), times_N)]
        if not short:
            return runs
        place = int(short[0])
        first, last, _ = runs[place]
        near = _beside(runs, place, times_N)
        chosen = max(
            near, key=lambda i: mean_NA[first : last + 1, runs[i][2]].mean() if runs[i][2] >= 0 else 0
        )
        low, high = min(place, chosen), max(place, chosen)
        runs[low : high + 1] = [(runs[low][0], runs[high][1], runs[chosen][2])]
        merged = low
        for other in _beside(runs, merged, times_N)[::-1]:  # of one label now
            if runs[other][2] == runs[merged][2]:
                low, high = min(merged, other), max(merged, other)
                runs[low : high + 1] = [(runs[low][0], runs[high][1], runs[low][2])]
                merged = low


def _beside(runs: list[Run], place: int, times_N: np.ndarray) -> list[int]:
    """Runs that touch this one in time."""
    pairs = [(place - 1, place), (place, place + 1)]
    touching = [
        (i, j)
        for i, j in pairs
        if i >= 0 and j < len(runs) and times_N[runs[j][0]] - times_N[runs[i][1]] <= GAP_SEC
    ]
    return [i if j == place else j for i, j in touching]
