"""What micro-movements show: how far joints move over several lags, and how far apart they are.

Letters: M rows (people of clips), B batch, P people, T frames, K joints, C coordinates, E pairs of joints.
"""

import torch
from torch import Tensor


def differences(keypoints_MTKC: Tensor, lag: int) -> Tensor:
    """`x[t] - x[t - lag]`, same shape; the first `lag` frames are 0."""
    moved = torch.zeros_like(keypoints_MTKC)
    if lag < keypoints_MTKC.shape[1]:
        moved[:, lag:] = keypoints_MTKC[:, lag:] - keypoints_MTKC[:, :-lag]
    return moved


def pairwise_distances(keypoints_MTKC: Tensor) -> Tensor:
    """Distances of every two joints of one person, `[M, T, E]` with E = K (K - 1) / 2."""
    first, second = torch.triu_indices(keypoints_MTKC.shape[2], keypoints_MTKC.shape[2], offset=1)
    apart = keypoints_MTKC[:, :, first] - keypoints_MTKC[:, :, second]
    return (apart.square().sum(-1) + 1e-6).sqrt()  # the small term keeps the gradient finite at 0


def people_distances(keypoints_BPTKC: Tensor, present_BP: Tensor) -> Tensor:
    """Distances of each person's joints to those of the nearest other person, `[B, P, T, K * K]`; 0 if alone."""
    num_people = keypoints_BPTKC.shape[1]
    apart = keypoints_BPTKC[:, :, None, :, :, None] - keypoints_BPTKC[:, None, :, :, None]
    distance_BPPTKK = (apart.square().sum(-1) + 1e-6).sqrt()
    other = ~torch.eye(num_people, dtype=torch.bool, device=present_BP.device)
    valid_BPP = (present_BP[:, :, None] & present_BP[:, None] & other)[..., None, None, None]
    nearest = distance_BPPTKK.masked_fill(~valid_BPP, torch.inf).amin(dim=2)
    return nearest.masked_fill(nearest.isinf(), 0.0).flatten(-2)
