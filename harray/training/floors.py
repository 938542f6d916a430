"""Baselines (floors) that a network has to beat, learned from the same clips: majority class and linear probes.

    majority          how often each class occurs
    linear_scene      a probe of each scene channel's greatest value over the clip
    linear_pose       a probe of the normalised joints at `POSE_FRAMES` times
    linear_product    the product of the two probes' probabilities

Letters: N clips, M clips to say something of, P people, T frames, K joints, C coordinates, D features, A classes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from harray.features.config import FeaturesConfig
from harray.features.interpolation import fill_hidden
from harray.features.tensors import ClipTensors, NormalisedClips, normalised
from harray.metrics import Scores, classification_scores
from harray.model.cfn import pooled_tokens
from harray.training.probes import LinearProbe, strength_for

MAJORITY, SCENE, POSE, PRODUCT = "majority", "linear_scene", "linear_pose", "linear_product"
POSE_FRAMES, POSE_PEOPLE = 16, 2
ROWS_AT_ONCE = 32  # of scene tokens, which are large
SMALLEST_PROBABILITY = 1e-30  # before probabilities are multiplied


def floors(train: ClipTensors, clips: ClipTensors, features: FeaturesConfig) -> dict[str, np.ndarray]:
    """Class probabilities `[M, A]` of `clips` by each floor that learned from `train`; {} where it has one label only.

    How strongly a probe is regularised is chosen on folds within `train`, whole groups at a time.
    """
    train = train.select((train.labels_N >= 0).nonzero().squeeze(1)).looked_at(features.keypoints)
    clips = clips.looked_at(features.keypoints)
    labels_N = train.labels_N.numpy()
    counts_A = np.bincount(labels_N, minlength=len(train.classes))
    if np.count_nonzero(counts_A) < 2:
        return {}
    found = {MAJORITY: np.tile(counts_A / len(train), (len(clips), 1))}
    if train.tokens_NSD is not None and clips.tokens_NSD is not None:
        found[SCENE] = _said(train, scene_features(train.tokens_NSD), scene_features(clips.tokens_NSD))
    known, asked = normalised(train, features), normalised(clips, features)
    found[POSE] = _said(train, pose_features(known), pose_features(asked))
    if SCENE in found:
        product_MA = np.maximum(found[SCENE] * found[POSE], SMALLEST_PROBABILITY)
        found[PRODUCT] = product_MA / product_MA.sum(axis=1, keepdims=True)
    return found


def floor_scores(train: ClipTensors, clips: ClipTensors, features: FeaturesConfig) -> dict[str, Scores]:
    """Scores of each floor on `clips`, all of which have labels."""
    labels_M = clips.labels_N.numpy()
    return {
        name: classification_scores(probabilities_MA, labels_M)
        for name, probabilities_MA in floors(train, clips, features).items()
    }


def better_floor(floors: Mapping[str, Scores], top1: float) -> str | None:
    """The best floor, where it does better than a model with this top-1."""
    best = max(floors, key=lambda name: floors[name].top1, default=None)
    return best if best is not None and floors[best].top1 > top1 else None


def pose_features(clips: NormalisedClips) -> np.ndarray:
    """`[N, D]`: joints of the people best seen at `POSE_FRAMES` times, of both streams where there are two.

    Hidden joints are interpolated in time; one that is never seen stands at the middle of its person's others.
    """
    parts = (
        [clips] if not clips.is_mapped else map(clips.select, torch.arange(len(clips)).split(ROWS_AT_ONCE))
    )
    resampled = [torch.cat([_resampled(stream) for stream in part.streams], dim=1) for part in parts]
    return torch.cat(resampled).numpy()


def scene_features(tokens_NSD: Tensor) -> np.ndarray:
    """`[N, D]`: pooled scene tokens."""
    return torch.cat([pooled_tokens(tokens) for tokens in tokens_NSD.split(ROWS_AT_ONCE)]).numpy()


def _resampled(clips: NormalisedClips) -> Tensor:
    seen_NP = clips.visible_NPTK.float().mean(dim=(2, 3))
    best_NP = seen_NP.argsort(dim=1, descending=True, stable=True)[:, :POSE_PEOPLE]
    rows_N1 = torch.arange(len(clips))[:, None]
    keypoints = clips.keypoints_NPTKC[rows_N1, best_NP].flatten(0, 1)
    visible = clips.visible_NPTK[rows_N1, best_NP].flatten(0, 1)
    known = visible.any(dim=1)[:, None, :, None]
    filled = fill_hidden(keypoints, visible, "linear")
    middle = (filled * known).sum(dim=2, keepdim=True) / known.sum(dim=2, keepdim=True).clamp(min=1)
    tracks = torch.where(known, filled, middle).flatten(2).transpose(1, 2)
    resampled = nn.functional.interpolate(tracks, size=POSE_FRAMES, mode="linear", align_corners=True)
    return resampled.reshape(len(clips), -1)


def _said(train: ClipTensors, features_ND: np.ndarray, asked_MD: np.ndarray) -> np.ndarray:
    """What a probe of these features says, once it has learned from the training clips."""
    labels_N, num_classes = train.labels_N.numpy(), len(train.classes)
    ties = ties_of(train)
    strength = strength_for(features_ND, labels_N, ties, num_classes)
    probe = LinearProbe.fit(features_ND, labels_N, num_classes, strength=strength)
    return probe.probabilities(asked_MD)


def ties_of(clips: ClipTensors) -> list[str]:
    """A name for each clip, its group where it has one: clips of one name are held out together."""
    return [
        f"clip {clip_id}" if group is None else f"group {group}"
        for group, clip_id in zip(clips.groups, clips.clip_ids, strict=True)
    ]
