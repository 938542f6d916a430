"""The pose network as a module that takes frames as they are.

Letters: B frames of a batch, H height, W width, C colour, A anchors.
"""

from typing import Any

import torch


class PoseNetwork(torch.nn.Module):
    """uint8 RGB [B, H, W, 3], H and W multiples of 32, to the output of ultralytics' pose head.

    That is [B, 4 + 1 + 51, A]: box centre, width, height (px), score, then x px, y px, confidence of 17 joints;
    or of networks without suppression (YOLO26) [B, people, 4 + 1 + 1 + 51]: box corners, score, class, joints.
    """

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model
        self.head.dynamic = True  # anchors follow from the input and are no constants of an exported graph

    @property
    def head(self) -> Any:
        layers: Any = self.model.model
        return layers[-1]

    def forward(self, images_BHWC: torch.Tensor) -> torch.Tensor:
        dtype = next(self.model.parameters()).dtype
        output = self.model(images_BHWC.permute(0, 3, 1, 2).to(dtype).div(255.0))
        return output[0] if isinstance(output, (tuple, list)) else output

    def halved(self) -> "PoseNetwork":
        """All but the head in float16, for GPUs; in the head it would round coordinates to half a pixel."""
        self.model.half()
        self.head.float()
        self.head.register_forward_pre_hook(
            lambda head, inputs: ([features.float() for features in inputs[0]], *inputs[1:])
        )
        return self
