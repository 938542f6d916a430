"""Clips whose label the rest of the data contradicts: what linear probes say of clips that they did not learn from.

    clips -> folds, whole groups and doubles at a time -> probes of pose and scene -> probability of every label
          -> a label less likely than another one, by the class's own standard (confident learning; Northcutt, 2021)

Letters: N clips, D features, A action classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harray.features.config import FeaturesConfig
from harray.features.interpolation import fill_hidden
from harray.features.tensors import ClipTensors, NormalisedClips, normalised
from harray.model.cfn import pooled_tokens
from harray.training.floors import SMALLEST_PROBABILITY, pose_features
from harray.training.probes import USUAL_STRENGTH, LinearProbe, dealt

UNLIKELY = 0.3  # a label is doubted where it is less likely than this, by clips of other groups
LEAST_LIKELY = 0.1  # and another one may be proposed
FEWEST_OF_CLASS = 4
LAGS = (1, 4)  # frames over which speed is taken


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A clip whose label is doubted."""

    place: int
    label: str
    instead: str
    probability: float  # of the label it has, by the other clips
    probability_instead: float
    is_sure: bool  # whether the other label is as likely as that class's own clips are


def contradicted(clips: ClipTensors, ties: Sequence[str]) -> list[Doubt]:
    """The doubted clips, the most doubtful first; none where the other clips say nothing of labels.

    Args:
        ties: a name for each clip, alike for clips that are held out together.
    """
    known = (clips.labels_N >= 0).nonzero()[:, 0].tolist()
    labels_N = clips.labels_N[known].numpy()
    if len(np.unique(labels_N)) < 2 or len(known) < 2 * FEWEST_OF_CLASS:
        return []
    probabilities_NA = held_out_probabilities(clips.select(known), [ties[place] for place in known])
    own_N = np.take_along_axis(probabilities_NA, labels_N[:, None], axis=1)[:, 0]
    rest_NA = probabilities_NA.copy()
    np.put_along_axis(rest_NA, labels_N[:, None], -1.0, axis=1)
    best_N = rest_NA.argmax(axis=1)
    instead_N = rest_NA.max(axis=1)
    standard_A = np.array(
        [
            own_N[labels_N == number].mean() if (labels_N == number).sum() >= FEWEST_OF_CLASS else np.inf
            for number in range(probabilities_NA.shape[1])
        ]
    )
    is_sure_N = (own_N < LEAST_LIKELY) & (instead_N >= standard_A[best_N])
    floor = SMALLEST_PROBABILITY
    ratio_N = np.log(np.maximum(own_N, floor)) - np.log(np.maximum(instead_N, floor))
    return [
        Doubt(
            place=known[number],
            label=clips.classes[labels_N[number]],
            instead=clips.classes[best_N[number]],
            probability=float(own_N[number]),
            probability_instead=float(instead_N[number]),
            is_sure=bool(is_sure_N[number]),
        )
        for number in np.argsort(ratio_N, kind="stable")
        if own_N[number] < min(UNLIKELY, instead_N[number])
    ]


def held_out_probabilities(clips: ClipTensors, ties: Sequence[str]) -> np.ndarray:
    """`[N, A]`: what probes of pose and, where there is one, scene say together of each clip, held out."""
    labels_N, num_classes = clips.labels_N.numpy(), len(clips.classes)
    poses = normalised(clips, FeaturesConfig())
    features = [pose_features(poses), movement_features(poses)]
    if clips.tokens_NSD is not None:
        features.append(pooled_tokens(clips.tokens_NSD).numpy())
    fold_N, num_folds = dealt(labels_N.tolist(), ties)
    found_NA = np.ones((len(clips), num_classes))
    for fold in range(num_folds):
        rest_N, held_out_N = fold_N != fold, fold_N == fold
        for features_ND in features:
            probe = LinearProbe.fit(
                features_ND[rest_N], labels_N[rest_N], num_classes, strength=USUAL_STRENGTH
            )
            found_NA[held_out_N] *= probe.probabilities(features_ND[held_out_N])
    found_NA = np.maximum(found_NA, SMALLEST_PROBABILITY) ** (1 / len(features))
    return found_NA / found_NA.sum(axis=1, keepdims=True)


def movement_features(clips: NormalisedClips) -> np.ndarray:
    """`[N, D]`: where each joint of the person best seen is, how far it goes, and how fast, whenever that is: linear in
    what `pose_features` tell only to whoever knows the phase of a movement."""
    best_N = clips.visible_NPTK.sum(dim=(2, 3)).argmax(dim=1)
    rows_N = torch.arange(len(clips))
    keypoints, visible = clips.keypoints_NPTKC[rows_N, best_N], clips.visible_NPTK[rows_N, best_N]
    filled_NTKC = fill_hidden(keypoints, visible, "linear")
    statistics = [filled_NTKC.mean(dim=1), filled_NTKC.std(dim=1)]
    for lag in LAGS:
        if lag < filled_NTKC.shape[1]:
            statistics.append((filled_NTKC[:, lag:] - filled_NTKC[:, :-lag]).abs().mean(dim=1))
    values_ND = torch.cat([part.flatten(1) for part in statistics], dim=1)
    return ((values_ND - values_ND.mean(dim=0)) / values_ND.std(dim=0).clamp(min=1e-3)).numpy()
