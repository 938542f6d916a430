"""Frames to scene tokens: the trunk of torchvision's ResNet-50 up to layer4, pooled to a grid.

    frame [H, W, 3] --resize--> [3, S, S] --ResNet-50 layer4--> [2048, S/32, S/32] --pool--> [grid * grid, 2048]

Letters: F frames, H height, W width, C colour, S scene tokens of a frame (row by row), D features.
"""

import functools
from typing import TYPE_CHECKING

import numpy as np

from harray.errors import InputError
from harray.scenes.config import NONE, RANDOM, ScenesConfig

if TYPE_CHECKING:
    import torch

CHANNELS = 2048
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]; IMAGENET1K_V1
IMAGENET_STD = (0.229, 0.224, 0.225)
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
    def trunk(self) -> "torch.nn.Module":
        import torch

        return load_trunk(self.config).to(self.device).to(memory_format=torch.channels_last)

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

        images = torch.from_numpy(self._resized(frames_FHWC)).to(self.device).permute(0, 3, 1, 2).float()
        mean, std = (images.new_tensor(v).view(1, 3, 1, 1) * 255.0 for v in (IMAGENET_MEAN, IMAGENET_STD))
        features = self.trunk((images - mean) / std)
        pooled = torch.nn.functional.adaptive_avg_pool2d(features, self.config.grid)
        return pooled.flatten(2).mT.clamp(max=FLOAT16_MAX).half().cpu().numpy()

    def _resized(self, frames_FHWC: np.ndarray) -> np.ndarray:
        import cv2

        side = self.config.image_size
        return np.stack(
            [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames_FHWC]
        )


def load_trunk(config: ScenesConfig) -> "torch.nn.Module":
    """ResNet-50 without its pooling and classifier, in eval mode.

    Raises:
        InputError: as `resolve_scene_weights`, or the file is no state dict of torchvision's ResNet-50.
    """
    import torch
    from torchvision.models import resnet50

    from harray.scenes.random_weights import randomise
    from harray.scenes.weights import KEY, resolve_scene_weights

    with torch.device("meta"):  # no time for values that are replaced at once
        network = resnet50(weights=None)
    trunk = torch.nn.Sequential(*list(network.children())[:-2])
    if config.weights == RANDOM:
        trunk = trunk.to_empty(device="cpu")
        randomise(trunk, config.seed)
        return trunk
    path = resolve_scene_weights(config.weights)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except Exception as error:  # whatever a file of unknown content makes the reader raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{KEY}={path}: not a state dict of torchvision's ResNet-50 ({reason[:200]})"
        ) from error
    return trunk.float().eval().requires_grad_(False)
