"""Frames to scene tokens: the trunk of torchvision's ResNet-50 up to layer4, pooled to a grid.

    frame [H, W, 3] --resize--> [3, S, S] --ResNet-50 layer4--> [2048, S/32, S/32] --pool--> [grid * grid, 2048]

Letters: F frames, H height, W width, C colour, S scene tokens of a frame (row by row), D features.
"""

import functools

import numpy as np

from harray.networks.backends import open_network
from harray.networks.spec import Network, on_host
from harray.scenes.config import NONE, ScenesConfig
from harray.scenes.spec import SceneNetworkSpec, resized

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

    def __init__(self, config: ScenesConfig, device: str = "cpu", num_threads: int | None = None):
        self.config = config
        self.device = device
        self.num_threads = num_threads  # on a CPU; None: as many as there are cores

    @functools.cached_property
    def network(self) -> Network:
        return open_network(SceneNetworkSpec(self.config), self.config.backend, self.device, self.num_threads)

    def encode(self, frames_FHWC: np.ndarray) -> np.ndarray:
        """Tokens of every frame.

        The whole frame is squeezed into a square, nothing is cropped: token (row r, column c) of the grid lies
        over the same part of the frame, for whatever shape of frame.

        Args:
            frames_FHWC: uint8 RGB [F, H, W, 3].

        Returns:
            float16 [F, grid * grid, 2048], not negative.
        """
        starts = range(0, len(frames_FHWC), self.config.batch_size)
        return np.concatenate(
            [self._encode_batch(frames_FHWC[start : start + self.config.batch_size]) for start in starts]
        )

    def _encode_batch(self, frames_FHWC: np.ndarray) -> np.ndarray:
        features_FDHW = on_host(self.network(resized(frames_FHWC, self.config.image_size)))
        cells_FDS = pooled(features_FDHW, self.config.grid).reshape(*features_FDHW.shape[:2], -1)
        return cells_FDS.transpose(0, 2, 1).clip(max=FLOAT16_MAX).astype(np.float16)


def pooled(features_FDHW: np.ndarray, grid: int) -> np.ndarray:
    """Means over a grid of cells, [F, D, grid, grid]; cells overlap where the grid does not divide the features,
    as in torch's adaptive_avg_pool2d."""
    for axis in (2, 3):
        size = features_FDHW.shape[axis]
        cells = [slice(i * size // grid, -(-(i + 1) * size // grid)) for i in range(grid)]
        moved = np.moveaxis(features_FDHW, axis, 0)
        features_FDHW = np.stack([moved[cell].mean(axis=0) for cell in cells], axis=axis)
    return features_FDHW
