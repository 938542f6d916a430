"""How the scene of a clip becomes tokens."""

from dataclasses import dataclass

from harray.config import Count
from harray.networks.precision import Precision

IMAGENET, RANDOM, NONE = "imagenet", "random", "none"


@dataclass(frozen=True, kw_only=True)
class ScenesConfig:
    """Which frames the scene network sees, and how fine its grid of tokens is."""

    weights: str = IMAGENET
    """Weights of the scene network: a path (torchvision state dict), `imagenet`, `random` (seeded), or `none` for no
    scene branch."""
    num_frames: Count = 2
    """Frames per clip that the scene network sees, evenly spaced."""
    image_size: Count = 224
    """Side of the network's square input, px; the whole frame is squeezed into it."""
    grid: Count = 7
    """Tokens along each side of a frame; grid * grid tokens per frame."""
    seed: int = 0
    """Seed of `random` weights."""
    backend: str = "auto"
    """What runs the network: `torch`, `onnx`, `openvino`, or `auto`, the fastest on this machine."""
    precision: Precision = "auto"
    """Arithmetic of the network: `fp32`, `bf16` (CPUs that have it), `fp16` (GPUs), or `auto`: as the store was made,
    and for a new one bf16 or fp16 where it is fast and near enough to fp32."""
    batch_size: Count = 8
    """Frames per forward pass; affects speed and memory only."""
