"""What micro-movements show: how far joints move over several lags, and how far apart they are.

Letters: M rows (people of clips), B batch, P people, T frames, K joints, C coordinates, E pairs of joints.
"""

import functools
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional


def bone_vectors(keypoints_MTKC: Tensor, bones: tuple[tuple[int, int], ...]) -> Tensor:
    """Child less parent of every bone (parent, child), `[M, T, bones, C]`."""
    parents, children = places(bones, keypoints_MTKC.device)
    return keypoints_MTKC[:, :, children] - keypoints_MTKC[:, :, parents]


@functools.cache
def places(pairs: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The first and the second of each pair of joints, to index by. Kept: from a list a GPU would wait for a copy."""
    with torch.inference_mode(False):  # they serve training too
        first, second = torch.tensor(pairs, dtype=torch.int64, device=device).view(-1, 2).unbind(dim=1)
    return first, second


def differences(keypoints_MTKC: Tensor, lag: int) -> Tensor:
    """`x[t] - x[t - lag]`, same shape; the first `lag` frames are 0."""
    moved = torch.zeros_like(keypoints_MTKC)
    if lag < keypoints_MTKC.shape[1]:
        moved[:, lag:] = keypoints_MTKC[:, lag:] - keypoints_MTKC[:, :-lag]
    return moved


def lengths(vectors_XC: Tensor) -> Tensor:
    """Euclidean length over the last dimension, `[...]`, with a finite gradient at 0."""
    return (vectors_XC.square().sum(-1) + 1e-6).sqrt()


def spread(vectors_MTKC: Tensor, counted_MTK: Tensor, window: int) -> Tensor:
    """How far each joint strays from its own mean within a window of frames, `[M, T, K]`; 0 = the whole clip.

    The standard deviation over the counted frames, all coordinates together; 0 where none counts. What
    oscillates stands out by it, whatever its phase, and joints that are hidden do not blur it.
    """
    rows, frames, joints, coordinates = vectors_MTKC.shape
    weight_MTK1 = counted_MTK[..., None].to(vectors_MTKC.dtype)
    sums = [weight_MTK1, weight_MTK1 * vectors_MTKC, weight_MTK1 * vectors_MTKC.square()]
    moments = _windowed(torch.cat(sums, dim=-1).flatten(2), window).view(rows, frames, joints, -1)
    count, first, second = moments.split([1, coordinates, coordinates], dim=-1)
    count = count.clamp(min=1e-6)
    variance = (second / count - (first / count).square()).clamp(min=0)
    return (variance.sum(-1) + 1e-6).sqrt()


def _windowed(x_MTD: Tensor, window: int) -> Tensor:
    """Means over a centred window of an odd number of frames, padded with 0; 0 = over all frames."""
    if window == 0:
        return x_MTD.mean(dim=1, keepdim=True).expand_as(x_MTD)
    return functional.avg_pool1d(x_MTD.transpose(1, 2), window, 1, window // 2).transpose(1, 2)


def pairwise_distances(keypoints_MTKC: Tensor) -> Tensor:
    """Distances of every two joints of one person, `[M, T, E]` with E = K (K - 1) / 2."""
    pairs = tuple(combinations(range(keypoints_MTKC.shape[2]), 2))
    first, second = places(pairs, keypoints_MTKC.device)
    return lengths(keypoints_MTKC[:, :, first] - keypoints_MTKC[:, :, second])


def people_distances(keypoints_BPTKC: Tensor, present_BP: Tensor) -> Tensor:
    """Distances of each person's joints to those of the nearest other person, `[B, P, T, K * K]`; 0 if alone."""
    num_people = keypoints_BPTKC.shape[1]
    apart = keypoints_BPTKC[:, :, None, :, :, None] - keypoints_BPTKC[:, None, :, :, None]
    distance_BPPTKK = lengths(apart)
    place_P = torch.arange(num_people, device=present_BP.device)
    other = place_P[:, None] != place_P
    valid_BPP = (present_BP[:, :, None] & present_BP[:, None] & other)[..., None, None, None]
    nearest = distance_BPPTKK.masked_fill(~valid_BPP, torch.inf).amin(dim=2)
    return nearest.masked_fill(nearest.isinf(), 0.0).flatten(-2)
