"""The web application without Ray: networks in threads of this process."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harray.live.windows import Window
from harray.serving.config import Limits, ServingConfig
from harray.serving.hub import Hub
from harray.serving.networks import FrameJob, ModelPool
from harray.serving.web import web_application

FAST = Limits(max_frames_per_sec=10_000.0)


class LocalNetworks:
    """`hub.Networks` in this process."""

    def __init__(self, config: ServingConfig):
        self.pool = ModelPool(config, num_threads=1)

    async def load(self, name: str):
        return await asyncio.to_thread(self.pool.load, name)

    async def see(self, job: FrameJob):
        return (await asyncio.to_thread(self.pool.see, [job]))[0]

    async def decide(self, name: str, windows: Sequence[Window]):
        return (await asyncio.to_thread(self.pool.decide_all, [(name, windows)]))[0]

    async def pose_network(self, name: str) -> bytes:
        return await asyncio.to_thread(self.pool.pose_network, name)

    async def predict_video(self, name: str, content: bytes) -> dict[str, Any]:
        return await asyncio.to_thread(self.pool.predict_video, name, content)

    async def predict_keypoints(self, name: str, keypoints: np.ndarray, height_px: int, width_px: int):
        return await asyncio.to_thread(self.pool.predict_keypoints, name, keypoints, height_px, width_px)


def local_application(model: Path | str, **settings: Any):
    """The application and its hub, around a model."""
    settings.setdefault("limits", FAST)
    config = ServingConfig(model=str(model), **settings)
    hub = Hub(config, LocalNetworks(config))
    return web_application(hub), hub
