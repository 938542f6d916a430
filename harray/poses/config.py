"""How people are found in frames."""

from dataclasses import dataclass

from harray.config import Count, Fraction

EMBEDDED = "embedded"
# Of what the embedded network takes for people in test patterns and noise, the surest has 0.72; of 288 frames with
# rendered people, the surest person has 0.79 or more in 99 of 100 (2026-11-27).
EMBEDDED_MIN_BOX_CONFIDENCE = 0.75


@dataclass(frozen=True, kw_only=True)
class PosesConfig:
    """The pose network, and which people of a clip are kept."""

    weights: str = "yolov8n-pose.pt"  # a path, an official name, or "embedded" (for procedural videos only)
    image_size: Count | None = None  # px of the longer side; None: as in training (official: 640)
    min_box_confidence: Fraction = (
        0.25  # in [0, 1]; people found with less are dropped (embedded: at least 0.75)
    )
    max_people: Count = 2  # tracks kept per clip, the best first
    backend: str = "auto"  # what runs the network: auto (the fastest here), torch, onnx or openvino
    batch_size: Count = 8  # frames per forward pass; changes speed and memory, not the result
    gpus_per_actor: float = 0.25  # share of a GPU that each extraction worker takes, where there are GPUs
