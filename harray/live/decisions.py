"""Decisions about one person over time -> what is said of them, steadily.

    probabilities of each window --moving average--> the likeliest label --margin over the label that stands-->
    --threshold, evidence--> ok: a label; unsure; nobody

A label begins when it is said and ends when another is, or none; each is an `Event`.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harray.inference.evidence import NOBODY, OK, UNSURE
from harray.inference.predictor import Prediction
from harray.live.config import LiveConfig
from harray.live.windows import Window

WAITING = "waiting"  # the verdict on somebody about whom nothing was decided yet
BEGIN, END = "begin", "end"


@dataclass(frozen=True, kw_only=True)
class Event:
    """A label begins, or ends."""

    kind: str  # BEGIN or END
    track: int | None  # None: the whole picture
    label: str
    start_sec: float  # of the frame with which it began, on the stream's clock
    time_sec: float  # of the frame with which it begins or ends
    probability: float  # smoothed, when it began or at most until it ended

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = {"event": self.kind, **{name: value for name, value in vars(self).items() if name != "kind"}}
        return {
            name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()
        }


@dataclass
class Standing:
    """What stands about one person, or about the whole picture.

    Attributes:
        probabilities: smoothed, by label.
        label: said at present; None while nothing is, or the verdict is not `ok`.
        completed_KC: px, joints at the end of the window last decided on; NaN where there are none.
        attention_S: over the tokens of the scene, sums to 1; None without scene.
    """

    track: int | None
    probabilities: dict[str, float] = field(default_factory=dict)
    label: str | None = None
    verdict: str = WAITING
    start_sec: float = 0.0
    time_sec: float = -math.inf
    best: float = 0.0
    completed_KC: np.ndarray | None = None
    attention_S: np.ndarray | None = None

    @property
    def probability(self) -> float | None:
        """Of the label that is said; of the likeliest where none is."""
        if not self.probabilities:
            return None
        return self.probabilities[self.label] if self.label else max(self.probabilities.values())

    def decide(
        self, window: Window, prediction: Prediction, threshold: float, config: LiveConfig
    ) -> list[Event]:
        """Take in a decision, and say what begins and ends with it."""
        self._smooth(prediction.probabilities, window.end_sec, config.smoothing_sec)
        self.time_sec = window.end_sec
        said = prediction.clips
        if said.completed_NPTKC is not None:
            self.completed_KC = said.completed_NPTKC[0, window.place, -1]
        self.attention_S = None if said.attention_scene_NS is None else said.attention_scene_NS[0]
        label = self._likeliest(config.margin)
        self.verdict = prediction.evidence.verdict
        if self.verdict == OK and self.probabilities[label] < threshold:
            self.verdict = UNSURE
        return self._say(label if self.verdict == OK else None)

    def finish(self) -> list[Event]:
        """They are gone, or the stream ends."""
        return self._say(None)

    def _smooth(self, newest: dict[str, float], time_sec: float, smoothing_sec: float) -> None:
        if newest.keys() != self.probabilities.keys() or smoothing_sec == 0:  # at first, or another model
            self.probabilities = dict(newest)
            return
        weight = 1.0 - math.exp(-(time_sec - self.time_sec) / smoothing_sec)
        self.probabilities = {
            label: old + weight * (newest[label] - old) for label, old in self.probabilities.items()
        }

    def _likeliest(self, margin: float) -> str:
        """The likeliest label, or the one that stands where that is not much less likely."""
        likeliest = max(self.probabilities, key=lambda label: self.probabilities[label])
        stands = self.label in self.probabilities and self.label
        return (
            stands
            if stands and self.probabilities[likeliest] < self.probabilities[stands] + margin
            else likeliest
        )

    def _say(self, label: str | None) -> list[Event]:
        if label == self.label:
            self.best = max(self.best, self.probabilities.get(label, 0.0)) if label else 0.0
            return []
        events = []
        if self.label is not None:
            events.append(self._event(END, self.best))
        self.label = label
        if label is not None:
            self.start_sec, self.best = self.time_sec, self.probabilities[label]
            events.append(self._event(BEGIN, self.best))
        return events

    def _event(self, kind: str, probability: float) -> Event:
        assert self.label is not None
        return Event(
            kind=kind,
            track=self.track,
            label=self.label,
            start_sec=self.start_sec,
            time_sec=self.time_sec,
            probability=probability,
        )


def verdict_of(standings: list[Standing], anybody: bool) -> str:
    """Of the whole stream: nobody; the picture's where it has one; else ok where a label is said of anybody, unsure
    where not, waiting before the first decision."""
    if not anybody:
        return NOBODY
    standings = [standing for standing in standings if standing.track is None] or standings
    verdicts = {standing.verdict for standing in standings}
    return next((verdict for verdict in (OK, UNSURE, NOBODY) if verdict in verdicts), WAITING)
