"""Accuracy when joints are hidden on purpose, with PCM and with linear interpolation in its place."""

import torch

from harray.evaluation.report import OcclusionCurve
from harray.features.hiding import hide_joints
from harray.features.rowrandom import RowRandom
from harray.features.tensors import ClipTensors
from harray.inference.predictor import Predictor

HIDDEN_SHARES = (0.0, 0.2, 0.4, 0.6)


def occlusion_curve(
    predictors: dict[str, Predictor],
    clips: ClipTensors,
    *,
    hidden_shares: tuple[float, ...] = HIDDEN_SHARES,
    use_scene: bool = True,
    seed: int = 0,
) -> OcclusionCurve:
    """Top-1 of every predictor under the same hiding.

    Each joint of each frame is hidden with the given probability, independently; the draw depends on `seed`,
    the share and the clip's row alone, so all predictors see the same joints.
    """
    top1: dict[str, list[float]] = {name: [] for name in predictors}
    random = RowRandom(seed, 0, torch.arange(len(clips.labels_N)))
    everything = torch.ones(clips.confidence_NPTK.shape, dtype=torch.bool)
    for share in hidden_shares:
        hidden = ~hide_joints(everything, share, random)
        for name, predictor in predictors.items():
            said = predictor.predict_clips(clips, use_scene=use_scene, hidden_NPTK=hidden)
            right_N = said.probabilities_NA.argmax(axis=1) == clips.labels_N.numpy()
            top1[name].append(float(right_N.mean()))
    return OcclusionCurve(
        hidden_shares=hidden_shares, top1={name: tuple(values) for name, values in top1.items()}
    )
