"""How a stream is followed and when something is said of it."""

from dataclasses import dataclass

from harray.config import Count, Fraction, Positive


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """Of one stream."""

    decisions_per_sec: Positive = 4.0
    """How often each person is decided about, at most; fewer where frames come more slowly."""

    window_sec: Positive | None = None
    """Seconds that a decision looks back; None: as long as the clips that the model learned from."""

    scene: bool = False
    """One label for the whole picture, by its best seen people as `predict` chooses them, instead of one each."""

    scenes_per_sec: Positive = 1.0
    """How often the scene network sees a frame, where the model has a scene branch."""

    smoothing_sec: float = 0.3
    """Time constant of the probabilities' moving average over decisions; 0: each decision by itself."""

    margin: Fraction = 0.1
    """By how much another label's smoothed probability must exceed the label that stands before it takes its place."""

    least_share: Fraction = 0.5
    """Of a window, for which somebody must have been followed before the first decision."""

    keep_sec: Positive = 1.0
    """For which somebody who is not found any more is still decided about and shown, by completed joints."""

    max_people: Count = 8
    """Decided about at a time; the largest in the picture are."""

    min_precision: Fraction | None = None
    """Least share of right answers among those given, on clips not learned from; others are "unsure". None: all."""


@dataclass(frozen=True, kw_only=True)
class TimelineConfig:
    """How a recording is divided."""

    stride_share: Fraction = 0.2
    """From one window's start to the next one's, of a window's length."""

    least_sec: float = 0.6
    """Of a segment; a shorter one between two others belongs to the one that it is likelier to."""

    min_precision: Fraction | None = None
    """As `LiveConfig.min_precision`."""
