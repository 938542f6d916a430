"""Frames to scene tokens: the trunk of torchvision's ResNet-50 up to layer4, pooled to a grid.

    frame [H, W, 3] --resize--> [3, S, S] --ResNet-50 layer4--> [2048, S/32, S/32] --pool--> [grid * grid, 2048]

Letters: F frames, H height, W width, C colour, S scene tokens of a frame (row by row), D features.
"""

import functools

import numpy as np

from harray.networks.backends import open_network
from harray.networks.source import Network
from harray.scenes.config import NONE, ScenesConfig

CHANNELS = 2048
FLOAT16_MAX = 65504.0


def scene_shape(config: ScenesConfig) -> tuple[int, int, int] | None:
    """Shape of a clip's tokens `[num_frames, grid * grid, 2048]`, or None where there is no scene branch."""
    return None if config.weights == NONE else (config.num_frames, config.grid**2, CHANNELS)


def scene_frame_indices(num_clip_frames: int, num_frames: int) -> np.ndarray:
    """Which of a clip's frames the scene network sees: the middles of `num_frames` equal parts, int64 [F]."""
    return ((np.arange(num_frames) + 0.5) * num_clip_frames / num_frames).astype(np.int64)


class SceneEncoder:
    """Encodes frames. The network is loaded at the first use and kept."""

    def __init__(self, config: ScenesConfig, device: str = "cpu"):
        self.config = config
        self.device = device

    @functools.cached_property
    def network(self) -> Network:
        from harray.scenes.network import SceneSource

        return open_network(SceneSource(self.config), self.config.backend, self.device)

    def encode(self, frames_FHWC: np.ndarray) -> np.ndarray:
        """Tokens of every frame.

        The whole frame is squeezed into a square, nothing is cropped: token (row r, column c) of the grid lies
        over the same part of the frame, for whatever shape of frame.

        Args:
            frames_FHWC: uint8 RGB [F, H, W, 3].

        Returns:
            float16 [F, grid * grid, 2048], not negative.
        """
        import torch

        starts = range(0, len(frames_FHWC), self.config.batch_size)
        with torch.inference_mode():
            tokens = [
                self._encode_batch(frames_FHWC[start : start + self.config.batch_size]) for start in starts
            ]
        return np.concatenate(tokens)

    def _encode_batch(self, frames_FHWC: np.ndarray) -> np.ndarray:
        import torch

        features = self.network(resized(frames_FHWC, self.config.image_size))
        pooled = torch.nn.functional.adaptive_avg_pool2d(features, self.config.grid)
        return pooled.flatten(2).mT.clamp(max=FLOAT16_MAX).half().cpu().numpy()


def resized(frames_FHWC: np.ndarray, side: int) -> np.ndarray:
    """uint8 frames squeezed into squares [F, side, side, 3]."""
    import cv2

    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames_FHWC])
