"""Losses that teach a small pose network limbs within minutes; used in training only.

Letters: B frames of a batch, N people of a batch, K joints, H height, W width.
"""

from typing import Any

import torch

JOINT_WEIGHTS = (0.4,) * 5 + (0.7,) * 2 + (1.5,) * 2 + (2.5,) * 2 + (0.7,) * 2 + (1.0,) * 2 + (1.4,) * 2
SMOOTH_CELLS = 0.1  # below this distance the pull weakens, so that joints in place leave it to the others


class JointMaps(torch.nn.Module):
    """Supervision by place, in training only: linear maps from inner features to a spot per joint.

    Regressing far joints from the cells at a person's middle teaches a fresh network the mean pose first and the
    arms very late; asked where each joint is, it learns to see arms, and the regression finds them ready.
    """

    LAYERS = (5, 11)  # of the architecture: before and after the joining with the coarser map, both at STRIDE
    STRIDE, SPREAD = 16, 0.8  # px; of a spot, in cells

    def __init__(self, model: Any):
        super().__init__()
        self.features: dict[int, torch.Tensor] = {}
        self.maps = torch.nn.ModuleList(torch.nn.Conv2d(96, 17, 1) for _ in self.LAYERS)
        for layer in self.LAYERS:
            model.model[layer].register_forward_hook(
                lambda module, inputs, output, layer=layer: self.features.update({layer: output})
            )

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Squared error of the maps, summed over cells, per visible joint."""
        target = self.spots(batch)
        count = (batch["keypoints"][..., 2] > 0).sum().clamp(min=1)
        return sum(
            ((maps(self.features[layer]) - target) ** 2).sum() / count
            for maps, layer in zip(self.maps, self.LAYERS, strict=True)
        )

    def spots(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Maps `[B, K, H / 16, W / 16]` with a Gaussian spot of height 1 at every visible joint."""
        count, _, height, width = batch["img"].shape
        height, width = height // self.STRIDE, width // self.STRIDE
        joints = batch["keypoints"]
        across = (torch.arange(width) + 0.5 - joints[..., :1] * width) / self.SPREAD  # [N, K, W]
        down = (torch.arange(height) + 0.5 - joints[..., 1:2] * height) / self.SPREAD
        spots = torch.exp(-0.5 * (down[..., None] ** 2 + across[..., None, :] ** 2))
        spots = spots * (joints[..., 2] > 0)[..., None, None]
        target = torch.zeros(count, 17, height, width)
        image = batch["batch_idx"].long()[:, None, None, None].expand_as(spots)
        return target.scatter_reduce(0, image, spots, "amax")


class DistanceLoss(torch.nn.Module):
    """Mean distance of the visible joints in units of the box's side, in place of ultralytics' OKS loss.

    1 - OKS is flat where a joint is far off, so wrists that start far from where they are learn little in a short
    training; a distance pulls as hard from afar. Arms and legs, which move, count more than the head.
    """

    def forward(self, pred_kpts, gt_kpts, kpt_mask, area) -> torch.Tensor:
        """Predicted and true joints `[N, K, 3]`, visibility `[N, K]`, area of the boxes `[N, 1]`; all in cells."""
        squared = ((pred_kpts[..., :2] - gt_kpts[..., :2]) ** 2).sum(-1)
        distance = (squared + SMOOTH_CELLS**2).sqrt() / area.sqrt()
        weight = kpt_mask * kpt_mask.new_tensor(JOINT_WEIGHTS, dtype=distance.dtype)
        return (distance * weight).sum() / weight.sum().clamp(min=1)
