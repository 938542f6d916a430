"""How people are found in frames."""

from dataclasses import dataclass

from harray.config import Count, Fraction
from harray.networks.precision import Precision

EMBEDDED = "embedded"
# Of what the embedded network takes for people in test patterns and noise, the surest has 0.72; of 288 frames with
# rendered people, the surest person has 0.79 or more in 99 of 100 (2026-11-27).
EMBEDDED_MIN_BOX_CONFIDENCE = 0.75


@dataclass(frozen=True, kw_only=True)
class PosesConfig:
    """The pose network, and which people of a clip are kept."""

    weights: str = "yolov8n-pose.pt"
    """Weights of the pose network: a path, an official name, or `embedded` (rendered videos only)."""
    image_size: Count | None = None
    """Longer side of the network's input, px. None: as the weights were trained (official ones: 640)."""
    min_box_confidence: Fraction = 0.25
    """Confidence in [0, 1] below which a detected person is dropped; at least 0.75 with `embedded` weights."""
    max_people: Count = 2
    """Tracks kept per clip, best first."""
    backend: str = "auto"
    """What runs the network: `torch`, `onnx`, `openvino`, or `auto`, the fastest on this machine."""
    precision: Precision = "auto"
    """Arithmetic of the network: `fp32`, `bf16` (CPUs that have it), `fp16` (GPUs), or `auto`: as the store was made,
    and for a new one bf16 or fp16 where it is fast and near enough to fp32."""
    batch_size: Count = 8
    """Frames per forward pass; affects speed and memory only."""
    gpus_per_actor: float = 0.25
    """GPUs per extraction actor where the cluster has any; 0.25 puts four actors on a GPU."""
