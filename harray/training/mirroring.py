"""Whether mirrored copies of the training clips help or turn one action into another: a test on held-out clips.

"Swipe left" mirrored looks like "swipe right". So two linear probes of the poses are compared on inner folds, whole
groups at a time: one learns from the clips, one from their mirrored copies as well. Copies are used where the second
recognises at least as many of the held-out clips.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harray.features.augment import mirror
from harray.features.tensors import NormalisedClips
from harray.skeleton import SkeletonLayout
from harray.training.floors import pose_features
from harray.training.probes import MOST_CHOOSERS, USUAL_STRENGTH, LinearProbe, dealt

USUAL_PROBABILITY = 0.5


@dataclass(frozen=True, kw_only=True)
class MirrorTest:
    """How many held-out clips a probe recognises only with mirrored copies (`won`), and only without (`lost`)."""

    num_clips: int
    won: int
    lost: int

    @property
    def helps(self) -> bool:
        return self.won >= self.lost

    @property
    def probability(self) -> float:
        """Of mirroring a training clip."""
        return USUAL_PROBABILITY if self.helps else 0.0

    def __str__(self) -> str:
        found = f"of {self.num_clips} held-out training clips a linear probe lost {self.lost} and won {self.won} by it"
        return f"mirroring is {'on' if self.helps else 'off'}: {found}"


def try_mirroring(
    clips: NormalisedClips, ties: Sequence[str], layouts: Sequence[SkeletonLayout], num_classes: int
) -> MirrorTest:
    """Compare the probes on up to `MOST_CHOOSERS` clips or so.

    Args:
        ties: a name for each clip, alike for clips that are held out together.
        layouts: of the clips' keypoints and of their second ones.
    """
    known = (clips.labels_N >= 0).nonzero()[:, 0].tolist()
    labels, ties = clips.labels_N[known].tolist(), [ties[place] for place in known]
    fold_N, num_folds = dealt(labels, ties, MOST_CHOOSERS)
    chosen = np.flatnonzero(fold_N < num_folds)
    clips = clips.select([known[place] for place in chosen])
    fold_N, labels_N = fold_N[chosen], np.array(labels)[chosen]
    plain_ND, mirrored_ND = pose_features(clips), pose_features(mirrored(clips, layouts))
    won = lost = 0
    for fold in range(num_folds):
        rest, held_out = fold_N != fold, fold_N == fold
        both_ND = np.concatenate([plain_ND[rest], mirrored_ND[rest]])
        right = [
            LinearProbe.fit(features_ND, learned_N, num_classes, strength=USUAL_STRENGTH)
            .logits(plain_ND[held_out])
            .argmax(axis=1)
            == labels_N[held_out]
            for features_ND, learned_N in (
                (plain_ND[rest], labels_N[rest]),
                (both_ND, np.tile(labels_N[rest], 2)),
            )
        ]
        won, lost = won + int((right[1] & ~right[0]).sum()), lost + int((right[0] & ~right[1]).sum())
    return MirrorTest(num_clips=len(chosen), won=won, lost=lost)


def mirrored(clips: NormalisedClips, layouts: Sequence[SkeletonLayout]) -> NormalisedClips:
    """The clips' keypoints with left and right exchanged; their scenes as they are."""
    everyone = torch.ones(len(clips), dtype=torch.bool)
    first, *others = [
        dataclasses.replace(stream, keypoints_NPTKC=keypoints, visible_NPTK=visible)
        for stream, layout in zip(clips.streams, layouts, strict=True)
        for keypoints, visible in [
            mirror(stream.keypoints_NPTKC, stream.visible_NPTK, everyone, layout.flip_order)
        ]
    ]
    return dataclasses.replace(first, second=others[0] if others else None)
