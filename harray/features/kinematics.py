"""What micro-movements show: how far joints move over several lags, and how far apart they are.

Letters: M rows (people of clips), B batch, P people, T frames, K joints, C coordinates, E pairs of joints.
"""

import torch
from torch import Tensor
from torch.nn import functional


def bone_vectors(keypoints_MTKC: Tensor, bones: tuple[tuple[int, int], ...]) -> Tensor:
    """Child less parent of every bone (parent, child), `[M, T, bones, C]`."""
    parents, children = [parent for parent, _ in bones], [child for _, child in bones]
    return keypoints_MTKC[:, :, children] - keypoints_MTKC[:, :, parents]


def differences(keypoints_MTKC: Tensor, lag: int) -> Tensor:
    """`x[t] - x[t - lag]`, same shape; the first `lag` frames are 0."""
    moved = torch.zeros_like(keypoints_MTKC)
    if lag < keypoints_MTKC.shape[1]:
        moved[:, lag:] = keypoints_MTKC[:, lag:] - keypoints_MTKC[:, :-lag]
    return moved


def lengths(vectors_XC: Tensor) -> Tensor:
    """Euclidean length over the last dimension, `[...]`, with a finite gradient at 0."""
    return (vectors_XC.square().sum(-1) + 1e-6).sqrt()


def spread(vectors_MTKC: Tensor, window: int) -> Tensor:
    """How far each joint strays from its own mean within a window of frames, `[M, T, K]`; 0 = the whole clip.

    The standard deviation, all coordinates together. What oscillates stands out by it, whatever its phase.
    """
    rows, frames, joints, coordinates = vectors_MTKC.shape
    window = min(window, 2 * frames - 1)
    x_MDT = vectors_MTKC.flatten(2).transpose(1, 2)
    if window:
        square, mean = (
            functional.avg_pool1d(x, window, 1, window // 2, count_include_pad=False)[..., :frames]
            for x in (x_MDT.square(), x_MDT)
        )
    else:
        square, mean = (x.mean(dim=-1, keepdim=True).expand(-1, -1, frames) for x in (x_MDT.square(), x_MDT))
    variance_MDT = (square - mean.square()).clamp(min=0)
    variance = variance_MDT.transpose(1, 2).reshape(rows, frames, joints, coordinates)
    return (variance.sum(-1) + 1e-6).sqrt()


def pairwise_distances(keypoints_MTKC: Tensor) -> Tensor:
    """Distances of every two joints of one person, `[M, T, E]` with E = K (K - 1) / 2."""
    first, second = torch.triu_indices(keypoints_MTKC.shape[2], keypoints_MTKC.shape[2], offset=1)
    return lengths(keypoints_MTKC[:, :, first] - keypoints_MTKC[:, :, second])


def people_distances(keypoints_BPTKC: Tensor, present_BP: Tensor) -> Tensor:
    """Distances of each person's joints to those of the nearest other person, `[B, P, T, K * K]`; 0 if alone."""
    num_people = keypoints_BPTKC.shape[1]
    apart = keypoints_BPTKC[:, :, None, :, :, None] - keypoints_BPTKC[:, None, :, :, None]
    distance_BPPTKK = lengths(apart)
    other = ~torch.eye(num_people, dtype=torch.bool, device=present_BP.device)
    valid_BPP = (present_BP[:, :, None] & present_BP[:, None] & other)[..., None, None, None]
    nearest = distance_BPPTKK.masked_fill(~valid_BPP, torch.inf).amin(dim=2)
    return nearest.masked_fill(nearest.isinf(), 0.0).flatten(-2)
