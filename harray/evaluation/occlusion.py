"""Clips with joints hidden or misdetected on purpose, and the accuracy on them.

    joints       each joint of each frame by itself, with probability `share`
    whole_joints that share of each person's joints, rounded down, throughout the clip
    limbs        every limb with probability 1/2, for one run of frames of that share of the clip
    spans        everybody, for one run of frames of that share of the clip
    confidence   each joint with probability `share` misdetected: confidence drawn anew, place wrong to match

Letters: N clips, P people, T frames, K joints, C coordinates, D donors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harray.evaluation.findings import OcclusionCurve
from harray.features.hiding import hide_joints, hide_whole_joints, run_of_frames
from harray.features.normalise import centre_and_size
from harray.features.rowrandom import RowRandom
from harray.features.tensors import ClipTensors
from harray.inference.predictor import Predictor
from harray.skeleton import SkeletonLayout

HIDDEN_SHARES = (0.0, 0.2, 0.5, 0.66, 0.78)
MISPLACED = 0.2  # body sizes; standard deviation of a misdetected joint's place at confidence 0
DONOR_SHARES = (0.05, 0.8)  # range of the share of hidden joints of people whose occlusion is borrowed


def occlusion_curves(
    predictors: Mapping[str, Predictor],
    clips: ClipTensors,
    *,
    kinds: Sequence[str] = ("joints", "whole_joints", "limbs", "spans", "confidence"),
    hidden_shares: tuple[float, ...] = HIDDEN_SHARES,
    seed: int = 0,
    on_share: Callable[[], None] = lambda: None,
) -> dict[str, OcclusionCurve]:
    """Top-1 of every predictor under the same occlusion, by kind.

    What is hidden depends on `seed`, kind, share and the clip's row alone; a kind's smaller share is part of its
    larger one. Limbs are left out where no layout knows any.

    Args:
        on_share: called when a share of a kind has been scored.
    """
    untouched = {name: _top1(predictor, clips) for name, predictor in predictors.items()}
    curves = {}
    for kind in kinds:
        if kind == "limbs" and not knows_limbs(*clips.layouts):
            continue
        top1: dict[str, list[float]] = {name: [] for name in predictors}
        for share in hidden_shares:
            hidden = occluded(clips, kind, share, seed)
            for name, predictor in predictors.items():
                top1[name].append(_top1(predictor, hidden) if share > 0 else untouched[name])
            on_share()
        curves[kind] = OcclusionCurve(
            hidden_shares=hidden_shares, top1={name: tuple(values) for name, values in top1.items()}
        )
    return curves


def knows_limbs(*layouts: SkeletonLayout) -> bool:
    """Whether any of a clip's layouts can have limbs hidden."""
    return any(layout.limbs for layout in layouts)


def _top1(predictor: Predictor, clips: ClipTensors) -> float:
    said_N = predictor.predict_clips(clips).probabilities_NA.argmax(axis=1)
    return float((said_N == clips.labels_N.numpy()).mean())


def occluded(clips: ClipTensors, kind: str, share: float, seed: int = 0) -> ClipTensors:
    """The clips with a share in [0, 1] occluded; hidden joints have confidence 0. Kinds: as above."""
    changed = KINDS[kind](clips, share, RowRandom(seed, 0, torch.arange(len(clips))))
    return (
        changed
        if clips.second is None
        else replace(changed, second=occluded(clips.second, kind, share, seed))
    )


def _joints(clips: ClipTensors, share: float, random: RowRandom) -> ClipTensors:
    return _without(clips, ~hide_joints(_everything(clips), share, random))


def _whole_joints(clips: ClipTensors, share: float, random: RowRandom) -> ClipTensors:
    return _without(clips, ~hide_whole_joints(_everything(clips), share, random))


def _limbs(clips: ClipTensors, share: float, random: RowRandom) -> ClipTensors:
    hidden = ~_everything(clips)
    length_N1 = torch.full((len(clips), 1), share)
    for number, limb in enumerate(clips.skeleton.limbs):
        chosen_NP = random.chance(f"limb{number}", 0.5, hidden.shape[1])
        run_N1T = run_of_frames(f"limb{number}", hidden.shape[2], length_N1, random)
        hidden[..., list(limb)] |= (chosen_NP[:, :, None] & run_N1T)[..., None]
    return _without(clips, hidden)


def _spans(clips: ClipTensors, share: float, random: RowRandom) -> ClipTensors:
    length_N1 = torch.full((len(clips), 1), share)
    run_N1T = run_of_frames("span", clips.confidence_NPTK.shape[2], length_N1, random)
    return _without(clips, run_N1T[..., None])


def _confidence(clips: ClipTensors, share: float, random: RowRandom) -> ClipTensors:
    """Simulated detector errors: the lower the drawn confidence, the farther off the joint. Missing ones stay so."""
    shape = clips.confidence_NPTK.shape[1:]
    wrong = random.chance("wrong", share, *shape) & (clips.confidence_NPTK > 0)
    drawn = random.uniform("confidence", *shape)
    away = random.normal("place", *clips.keypoints_NPTKC.shape[1:]) * (MISPLACED * (1 - drawn))[..., None]
    moved = clips.keypoints_NPTKC + away * size_of(clips)[:, None, None, None, None]
    return replace(
        clips,
        confidence_NPTK=torch.where(wrong, drawn, clips.confidence_NPTK),
        keypoints_NPTKC=torch.where(wrong[..., None], moved, clips.keypoints_NPTKC),
    )


def as_in_other_clips(clips: ClipTensors, min_confidence: float, seed: int = 0) -> ClipTensors | None:
    """Each person occluded as a person of another clip was, frame by frame: real occlusion patterns with known truth.

    None where no clip has anybody partly hidden.
    """
    hidden = clips.confidence_NPTK < min_confidence
    share_NP = hidden.float().mean(dim=(2, 3))
    clip_D, person_D = ((share_NP > DONOR_SHARES[0]) & (share_NP < DONOR_SHARES[1])).nonzero(as_tuple=True)
    if len(clip_D.unique()) < 2:
        return None
    random = RowRandom(seed, 0, torch.arange(len(clips)))
    donor_NP = (random.uniform("donor", hidden.shape[1]) * len(clip_D)).long()
    own_NP = clip_D[donor_NP] == torch.arange(len(clips))[:, None]
    donor_NP = torch.where(own_NP, (donor_NP + hidden.shape[1]) % len(clip_D), donor_NP)
    return _without(clips, hidden[clip_D[donor_NP], person_D[donor_NP]])


def size_of(clips: ClipTensors) -> Tensor:
    """Body size of each clip `[N]`, in its unit, of all joints that have any confidence."""
    known = (clips.confidence_NPTK > 0) & clips.keypoints_NPTKC.isfinite().all(dim=-1)
    return centre_and_size(clips.keypoints_NPTKC, known, clips.skeleton)[1]


def _everything(clips: ClipTensors) -> Tensor:
    return torch.ones(clips.confidence_NPTK.shape, dtype=torch.bool)


def _without(clips: ClipTensors, hidden_NPTK: Tensor) -> ClipTensors:
    return replace(clips, confidence_NPTK=clips.confidence_NPTK.masked_fill(hidden_NPTK, 0.0))


KINDS: dict[str, Callable[[ClipTensors, float, RowRandom], ClipTensors]] = {
    "joints": _joints,
    "whole_joints": _whole_joints,
    "limbs": _limbs,
    "spans": _spans,
    "confidence": _confidence,
}
