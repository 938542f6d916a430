"""The scene network for other runtimes: its digest, test inputs, and how much outputs may differ."""

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from harray.networks.precision import FP16
from harray.networks.spec import Disagreement
from harray.scenes.config import ScenesConfig
from harray.scenes.weights import scene_weights_digest

if TYPE_CHECKING:
    import torch

MAX_RELATIVE_DIFFERENCE = 0.001  # tokens are kept as float16, which rounds to half of that
MAX_LOSS = 0.06  # the same for lower precisions; ImageNet's weights have 0.027 in bf16 on the samples


def resized(frames_FHWC: np.ndarray, side: int) -> np.ndarray:
    """uint8 frames squeezed into squares [F, side, side, 3]."""
    import cv2

    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames_FHWC])


class SceneNetworkSpec:
    """A scene network before it runs anywhere (`harray.networks.spec.NetworkSpec`)."""

    room = "scenes"

    def __init__(self, config: ScenesConfig):
        self.config = config

    @property
    def precision(self) -> str:
        return self.config.precision

    def digest(self) -> str:
        parts = scene_weights_digest(self.config), version("torchvision")
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def build(self, device: str, precision: str) -> "torch.nn.Module":
        from harray.scenes.network import SceneNetwork, load_trunk

        network = SceneNetwork(load_trunk(self.config)).eval().to(device)
        return network.halved() if precision == FP16 else network

    def samples(self) -> list[np.ndarray]:
        """Drawn scenes."""
        from harray.synth.samples import sample_frames

        return [resized(sample_frames(2), side) for side in (224, 160)]

    def disagreement(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """Mean difference of the features, as a share of their mean."""
        return _difference(reference, other, MAX_RELATIVE_DIFFERENCE)

    def loss(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """As `disagreement`, with the limit for lower precisions."""
        return _difference(reference, other, MAX_LOSS)


def _difference(reference: np.ndarray, other: np.ndarray, limit: float) -> Disagreement:
    value = float(np.abs(reference - other).mean() / np.abs(reference).mean())
    return Disagreement(value=value, limit=limit, what="mean difference of features, relative")
