"""A second model on the same windows: how often would it have said something else?"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harray.inference.predictor import Prediction
from harray.live.windows import Window
from harray.serving.counters import Counters
from harray.serving.following import Following, Served
from harray.tracking.shadows import ShadowRun

LOG_EVERY_SEC = 30.0
MAX_PENDING = 4  # batches of windows; a shadow that is slower than the champion sees fewer
_log = logging.getLogger(__name__)


class Decides(Protocol):
    async def decide(self, name: str, windows: Sequence[Window]) -> list[Prediction]: ...


@dataclass
class Tally:
    """Windows that both models decided about."""

    num_windows: int = 0
    num_disagreed: int = 0

    def add(self, first: Sequence[Prediction], second: Sequence[Prediction]) -> list[bool]:
        """Whether they agree, window by window."""
        agreed = [a.label == b.label for a, b in zip(first, second, strict=True)]
        self.num_windows += len(agreed)
        self.num_disagreed += len(agreed) - sum(agreed)
        return agreed

    def metrics(self) -> dict[str, float]:
        values = {"shadow.windows": float(self.num_windows), "shadow.disagreed": float(self.num_disagreed)}
        if self.num_windows:
            values["shadow.disagreement"] = self.num_disagreed / self.num_windows
        return values


class Shadow:
    """Runs the second model behind the first, off the way of any answer.

    What it says goes to MLflow as a run of its own for each pair of versions, and to nobody else.
    """

    def __init__(self, following: Following, networks: Decides, counters: Counters):
        self.following = following
        self._networks = networks
        self._counters = counters
        self._tally = Tally()
        self._pair: tuple[str, str] | None = None
        self._run: ShadowRun | None = None
        self._tasks: set[asyncio.Task] = set()

    async def stop(self) -> None:
        """Log what is known, and end the run."""
        await self.record()
        if self._run is not None:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self._run.end)

    def watch(self, served: Served, windows: Sequence[Window], predictions: Sequence[Prediction]) -> None:
        """Let the shadow decide about windows that the first model has decided about."""
        shadow = self.following.current
        if shadow is None or len(self._tasks) >= MAX_PENDING or not fits(served, shadow):
            return
        task = asyncio.ensure_future(self._compare(served, shadow, windows, predictions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def keep_record(self) -> None:
        """Log to MLflow every half minute; ends by being cancelled."""
        while True:
            await asyncio.sleep(LOG_EVERY_SEC)
            await self.record()

    async def record(self) -> None:
        """Log what is known now."""
        if self._pair is None or not self._tally.num_windows:
            return
        pair, metrics = self._pair, self._tally.metrics()
        try:
            if self._run is None:
                self._run = await asyncio.to_thread(ShadowRun.begin, self.following.tracking_uri, *pair)
            await asyncio.to_thread(self._run.log, metrics)
        except Exception as error:  # a tracking store that is away costs nobody an answer
            _log.warning("the shadow's record was not taken: %s", error)

    async def _compare(
        self, served: Served, shadow: Served, windows: Sequence[Window], predictions: Sequence[Prediction]
    ) -> None:
        try:
            second = await self._networks.decide(shadow.name, windows)
        except Exception as error:
            _log.warning("the shadow %s did not decide: %s", shadow.name, error)
            return
        if self._pair != (pair := (served.name, shadow.name)):
            self._pair, self._tally, self._run = pair, Tally(), None
        for agreed in self._tally.add(predictions, second):
            self._counters.shadow.labels(agreement="yes" if agreed else "no").inc()


def fits(served: Served, shadow: Served) -> bool:
    """Whether the second model takes the first one's windows."""
    first, second = served.facts, shadow.facts
    return (
        first.keypoints_shape == second.keypoints_shape
        and second.traits.num_scene_frames in (0, first.traits.num_scene_frames)
        and set(first.classes) == set(second.classes)
    )
