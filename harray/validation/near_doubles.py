"""Clips that are probably of one source although no group says so: held out together, or scores were too high.

Several clips are often cut from one video: the same person in the same place, seen from the same side. Clips of one
label whose scenes (or, without scenes, whose mean pose and bone lengths) are as near as those of different labels
hardly ever are count as such. Different labels mostly come from different sources, so they tell what is near by chance.

Letters: N clips, T frames, K joints, C coordinates, D features.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, pdist
from torch import Tensor

from harray.features.config import FeaturesConfig
from harray.features.interpolation import fill_hidden
from harray.features.tensors import ClipTensors, normalised

CHANCE_POSES = 0.03  # share of the pairs of different labels that are as near, where poses tell
CHANCE_SCENES = 0.001  # where scenes tell, which is more exactly
MOST_COMPARED = 2000  # clips among which pairs of different labels are looked at


def near_doubles(clips: ClipTensors) -> list[str]:
    """A name for each clip, alike for those that are probably of one source."""
    chance = CHANCE_POSES if clips.tokens_NSD is None else CHANCE_SCENES
    parts = _of_poses(clips) if clips.tokens_NSD is None else [_of_scenes(clips.tokens_NSD)]
    labels_N = clips.labels_N.numpy()
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), MOST_COMPARED)).astype(int)
    differ = np.triu(labels_N[chosen][:, None] != labels_N[chosen], k=1)
    if not differ.any():
        return [f"clip {clip_id}" for clip_id in clips.clip_ids]
    scales = [np.median(cdist(part[chosen], part[chosen])[differ]) or 1.0 for part in parts]
    features_ND = np.concatenate([part / scale for part, scale in zip(parts, scales, strict=True)], axis=1)
    near = np.quantile(cdist(features_ND[chosen], features_ND[chosen])[differ], chance)
    return _tied(features_ND, labels_N, clips.clip_ids, near)


def _tied(features_ND: np.ndarray, labels_N: np.ndarray, clip_ids: Sequence[str], near: float) -> list[str]:
    """Clusters in which no two clips of a label are farther apart than `near`; copies of one clip are always tied."""
    ties = [""] * len(clip_ids)
    for label in np.unique(labels_N):
        places = np.flatnonzero(labels_N == label)
        cluster = np.ones(len(places), int)
        if len(places) > 1:
            cluster = fcluster(linkage(pdist(features_ND[places]), "complete"), near, "distance")
        for place, number in zip(places, cluster, strict=True):
            ties[place] = f"label {label} cluster {number}"
    first: dict[str, str] = {}
    return [first.setdefault(clip_id, tie) for clip_id, tie in zip(clip_ids, ties, strict=True)]


def _of_scenes(tokens_NSD: Tensor) -> np.ndarray:
    mean_ND = tokens_NSD.float().mean(dim=1)
    return (mean_ND / mean_ND.norm(dim=1, keepdim=True).clamp(min=1e-9)).numpy()


def _of_poses(clips: ClipTensors) -> list[np.ndarray]:
    """The best seen person's mean pose, and the lengths of its bones."""
    poses = normalised(clips, FeaturesConfig())
    best_N = poses.visible_NPTK.sum(dim=(2, 3)).argmax(dim=1)
    rows_N = torch.arange(len(clips))
    keypoints_NTKC, visible_NTK = poses.keypoints_NPTKC[rows_N, best_N], poses.visible_NPTK[rows_N, best_N]
    seen = visible_NTK[..., None].float()
    mean_NKC = (keypoints_NTKC * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
    filled = fill_hidden(keypoints_NTKC, visible_NTK, "linear")
    ends = torch.tensor(clips.skeleton.bones, dtype=torch.long).view(-1, 2)
    bones_NTB = (filled[:, :, ends[:, 0]] - filled[:, :, ends[:, 1]]).norm(dim=-1)
    return [mean_NKC.flatten(1).numpy(), bones_NTB.median(dim=1).values.numpy()]
