"""Errors of completed joints, beside those of interpolations that need no learning.

    hold      where the joint was last seen, else where it is next seen
    linear    between the sightings before and after; the nearer one is held outside
    spline    modified Akima's cubic through all sightings, held outside; of scipy's splines the one that comes
              nearest on Penn Action

A joint that is never seen in the clip stands, for these three, in the middle of the frame's visible joints.
Errors are distances in body sizes: the clip's largest person, the median over frames of the larger of the extent
of the joints and, where the layout has shoulders and hips, 2.5 torsos. About the height of somebody upright.

Letters: N clips, P people, T frames, K joints, C coordinates, M rows (people of clips).
"""

import numpy as np
import torch
from torch import Tensor

from harray.evaluation.findings import Reconstruction
from harray.evaluation.occlusion import as_in_other_clips, occluded, size_of
from harray.features.interpolation import fill_hidden
from harray.features.tensors import ClipTensors, without_false_tracks
from harray.inference.predictor import Predictor

OCCLUSIONS = {  # kind and share; "real" needs none
    "joints": ("joints", 0.5),
    "most_joints": ("joints", 0.78),
    "whole_joints": ("whole_joints", 0.5),
    "limbs": ("limbs", 0.5),
    "spans": ("spans", 0.3),
}
FILLS = ("hold", "linear", "spline")


def reconstruction(predictor: Predictor, clips: ClipTensors, *, seed: int = 0) -> dict[str, Reconstruction]:
    """Errors by occlusion, those of `OCCLUSIONS` and `real`; none that cannot be made."""
    features = predictor.checkpoint.features
    clips = without_false_tracks(clips.looked_at(features.keypoints), features)
    min_confidence = features.min_confidence
    variants: dict[str, ClipTensors | None] = {
        name: occluded(clips, kind, share, seed) for name, (kind, share) in OCCLUSIONS.items()
    }
    variants["real"] = as_in_other_clips(clips, min_confidence, seed)
    num_people = clips.confidence_NPTK.shape[1]
    looked_at_P = torch.arange(num_people) < (predictor.network.config.max_people or num_people)
    found = {}
    for name, hidden in variants.items():
        if hidden is None:
            continue
        hidden = without_false_tracks(hidden, features)  # as the predictor will see it
        counted = (clips.confidence_NPTK >= min_confidence) & (hidden.confidence_NPTK < min_confidence)
        visible = hidden.confidence_NPTK >= min_confidence
        counted &= visible.any(dim=(2, 3), keepdim=True)  # nobody can complete a person who is never seen
        counted &= looked_at_P[:, None, None]  # nor one whom the model does not read
        if counted.any():
            found[name] = _errors(predictor, clips, hidden, visible, counted)
    return found


def _errors(
    predictor: Predictor, truth: ClipTensors, hidden: ClipTensors, visible: Tensor, counted: Tensor
) -> Reconstruction:
    completed = predictor.predict_clips(hidden, use_scene=False).completed_NPTKC
    assert completed is not None
    filled = {"pcm": torch.from_numpy(completed)} | {
        how: filled_in_time(truth.keypoints_NPTKC, visible, how) for how in FILLS
    }
    seen = (counted & visible.any(dim=2, keepdim=True))[counted]
    size = size_of(truth)[:, None, None, None].expand(counted.shape)[counted]
    distances = {
        name: (points - truth.keypoints_NPTKC)[counted].norm(dim=-1) / size for name, points in filled.items()
    }
    return Reconstruction(
        num_joints=int(counted.sum()),
        error={name: float(distance.mean()) for name, distance in distances.items()},
        error_seen={name: float(distance[seen].mean()) for name, distance in distances.items() if seen.any()},
    )


def filled_in_time(keypoints_NPTKC: Tensor, visible_NPTK: Tensor, how: str) -> Tensor:
    """Keypoints whose hidden joints come from the same joint at other times; their own values are never read."""
    keypoints, visible = keypoints_NPTKC.flatten(0, 1), visible_NPTK.flatten(0, 1)
    middle_MT1C = _middles(keypoints, visible)
    about = torch.where(visible[..., None], keypoints - middle_MT1C[:, :1], 0.0)
    filled = (_spline(about, visible) if how == "spline" else fill_hidden(about, visible, how)) + middle_MT1C[
        :, :1
    ]
    never_M1K = ~visible.any(dim=1, keepdim=True)
    return torch.where(never_M1K[..., None], middle_MT1C, filled).view_as(keypoints_NPTKC)


def _middles(keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
    """Mean of the frame's visible joints `[M, T, 1, C]`, linear in time where there are none."""
    weight = visible_MTK[..., None].to(keypoints_MTKC.dtype)
    total = torch.where(visible_MTK[..., None], keypoints_MTKC, 0.0).sum(dim=2, keepdim=True)
    mean_MT1C = total / weight.sum(dim=2, keepdim=True).clamp(min=1)
    return fill_hidden(mean_MT1C, visible_MTK.any(dim=2, keepdim=True), "linear")


def _spline(keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
    from scipy.interpolate import Akima1DInterpolator

    filled = fill_hidden(keypoints_MTKC, visible_MTK, "linear").numpy().copy()
    time_T = np.arange(filled.shape[1])
    num_seen_MK = visible_MTK.sum(dim=1)
    for row, joint in ((num_seen_MK > 2) & (num_seen_MK < len(time_T))).nonzero().tolist():
        seen_T = visible_MTK[row, :, joint].numpy()
        curve = Akima1DInterpolator(time_T[seen_T], filled[row, seen_T, joint], method="makima")
        first, last = time_T[seen_T][[0, -1]]
        filled[row, first : last + 1, joint] = curve(time_T[first : last + 1])
    return torch.from_numpy(filled)
