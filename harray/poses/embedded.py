"""The embedded pose network: a small YOLOv8-pose trained from scratch on procedural videos only.

It knows drawn figures and nothing else; demo and tests use it so that they need no network. Weights are
safetensors beside a YAML card (architecture, image size, command, seed, scores), so nothing is unpickled.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.errors import InputError

if TYPE_CHECKING:
    import torch

ASSETS = Path(__file__).resolve().parent.parent / "assets"
EMBEDDED_WEIGHTS, CARD_SUFFIX = ASSETS / "pose_procedural.safetensors", ".yaml"


def load_card(weights: Path = EMBEDDED_WEIGHTS) -> dict[str, Any]:
    """What stands in the card beside the weights: `architecture`, `image_size`, `command`, `seed`, `scores`, ...

    Raises:
        InputError: weights or card are missing.
    """
    import yaml

    card = weights.with_suffix(CARD_SUFFIX)
    for path in (weights, card):
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; expected weights and card of `harray synth pose-weights`"
            )
    return yaml.safe_load(card.read_text())


def load_embedded_model(weights: Path = EMBEDDED_WEIGHTS) -> "torch.nn.Module":
    """The network in eval mode, float32, batch normalisation folded into the convolutions.

    Input `[B, 3, H, W]` RGB in [0, 1] with H and W multiples of 32, meant for 320x240 frames scaled to the card's
    `image_size` (longer side, px). Output as every ultralytics PoseModel: `output[0]` is
    `[B, 4 + 1 + 51, anchors]`: box x, y, w, h px, score, then 17 x (x px, y px, confidence).
    """
    from safetensors.torch import load_file

    model = build_pose_model(load_card(weights)["architecture"])
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    return model.eval().fuse(verbose=False)


def build_pose_model(architecture: dict[str, Any]) -> Any:
    """An ultralytics PoseModel of that architecture, with fresh weights."""
    from copy import deepcopy

    from ultralytics.nn.tasks import PoseModel

    return PoseModel(deepcopy(architecture), ch=3, verbose=False)
