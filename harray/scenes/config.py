"""How the scene of a clip becomes tokens."""

from dataclasses import dataclass

from harray.config import Count

IMAGENET, RANDOM, NONE = "imagenet", "random", "none"


@dataclass(frozen=True, kw_only=True)
class ScenesConfig:
    """Which frames the scene network sees, and how finely it tells places apart."""

    weights: str = IMAGENET  # a path (torchvision state dict), "imagenet", "random" (seeded) or "none"
    num_frames: Count = 2  # of the clip's frames, evenly spaced
    image_size: Count = 224  # px; the whole frame is squeezed into this square, so tokens lie over it evenly
    grid: Count = 7  # tokens per side of a frame
    seed: int = 0  # of "random" weights
    backend: str = "auto"  # what runs the network: auto (the fastest here), torch, onnx or openvino
    batch_size: Count = 8  # frames per forward pass; changes speed and memory, not the result
