"""What all requests of one ingress share: networks, the model that is served, its shadow, counters and limits."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np

from harray.inference.predictor import Prediction
from harray.live.networks import SeenFrame
from harray.live.windows import Window
from harray.serving.config import ServingConfig
from harray.serving.counters import Counters
from harray.serving.following import Following, Served
from harray.serving.networks import Facts, FrameJob
from harray.serving.protocol import Malformed
from harray.serving.shadow import Shadow


class Unavailable(Exception):
    """The networks do not answer at the moment; trying again may help."""


class Networks(Protocol):
    """The networks, wherever they run. Every method may raise `Unavailable`."""

    async def load(self, name: str) -> Facts: ...
    async def see(self, job: FrameJob) -> SeenFrame | Malformed: ...
    async def decide(self, name: str, windows: Sequence[Window]) -> list[Prediction]: ...
    async def pose_network(self, name: str) -> bytes: ...
    async def predict_video(self, name: str, content: bytes) -> dict[str, Any]: ...
    async def predict_keypoints(
        self, name: str, keypoints_PTKC1: np.ndarray, height_px: int, width_px: int
    ) -> dict[str, Any]: ...


class Hub:
    """Started and stopped with the web application."""

    def __init__(self, config: ServingConfig, networks: Networks):
        self.config = config
        self.networks = networks
        self.counters = Counters()
        self.following = Following(config.model, config.tracking_uri, networks, config.poll_sec)
        self.shadow: Shadow | None = None
        if config.shadow:
            behind = Following(config.shadow, config.tracking_uri, networks, config.poll_sec)
            self.shadow = Shadow(behind, networks, self.counters)
        self.num_sockets = 0
        self.num_uploads = 0
        self._tasks: list[asyncio.Task] = []

    @property
    def served(self) -> Served:
        """What new decisions come from."""
        assert self.following.current is not None
        return self.following.current

    @property
    def model_name(self) -> str:
        """As guests may know it: a folder by its own name."""
        model = self.config.model
        return model if model.startswith(("models:/", "runs:/")) else PurePath(model).name

    async def start(self) -> None:
        """Load the models, and begin to follow their aliases.

        Raises:
            InputError: no such model, or it cannot be loaded.
        """
        await self.following.start()
        loops = [self.following.follow()]
        if self.shadow is not None:
            await self.shadow.following.start()
            loops += [self.shadow.following.follow(), self.shadow.keep_record()]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """End what `start` began."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.shadow is not None:
            await self.shadow.stop()
