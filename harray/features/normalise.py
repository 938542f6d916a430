"""Pixels -> body units: one centre and one size per clip, so that motion and relations between people stay.

Letters: N clips, P people, T frames, K joints, C coordinates.
"""

import torch
from torch import Tensor

from harray.features.interpolation import fill_hidden
from harray.skeleton import SkeletonLayout

FARTHEST = 100.0  # median distances of a person's joints from their middle: about 25 body sizes of who stays
TORSOS_PER_BODY = 2.5  # a body seen in full is about this many shoulder-to-hip lengths tall


def normalise(
    keypoints_NPTKC: Tensor, confidence_NPTK: Tensor, layout: SkeletonLayout, min_confidence: float
) -> tuple[Tensor, Tensor]:
    """Keypoints in units of the clip's body size about the clip's centre, and which of them were observed.

    The centre is the mean over people of each one's median joint; the size is that of the largest person. Both
    are medians over frames, so a few wrong detections move neither; and both are taken with hidden joints filled
    in time from visible ones, so that what is hidden now and then moves them little. A joint beyond `FARTHEST` is
    no joint but a wrong number, which would set the scale of all others: it counts as hidden.

    Args:
        keypoints_NPTKC: float, any unit common to the coordinates.
        confidence_NPTK: in [0, 1].

    Returns:
        keypoints `[N, P, T, K, C]` float32, 0 where hidden; visible `[N, P, T, K]` bool, True = observed.
    """
    visible = (confidence_NPTK >= min_confidence) & (confidence_NPTK > 0) & keypoints_NPTKC.isfinite().all(-1)
    visible &= ~_wild(keypoints_NPTKC.float(), visible)
    centre, size = centre_and_size(keypoints_NPTKC, visible, layout)
    about = (keypoints_NPTKC.float() - centre[:, None, None, None]) / size[:, None, None, None, None]
    return torch.where(visible[..., None], about, 0.0), visible


def _wild(keypoints_NPTKC: Tensor, visible_NPTK: Tensor) -> Tensor:
    """Bool `[N, P, T, K]`: visible joints that lie beyond `FARTHEST` from the middle of their own person's."""
    known = keypoints_NPTKC.masked_fill(~visible_NPTK[..., None], float("nan"))
    middle_NPC = known.flatten(2, 3).nanmedian(dim=2).values
    away_NPTK = (known - middle_NPC[:, :, None, None]).abs().amax(dim=-1)
    usual_NP11 = away_NPTK.flatten(2).nanmedian(dim=2).values[..., None, None]
    return (usual_NP11 > 0) & (away_NPTK > FARTHEST * usual_NP11)  # a comparison with NaN is False


def centre_and_size(
    keypoints_NPTKC: Tensor, visible_NPTK: Tensor, layout: SkeletonLayout
) -> tuple[Tensor, Tensor]:
    """The clips' centres `[N, C]` and body sizes `[N]`, by their visible joints alone."""
    keypoints, visible = keypoints_NPTKC.float().flatten(0, 1), visible_NPTK.flatten(0, 1)
    # Unfilled, a body of which half is hidden would measure smaller, and the next frame another one.
    filled = fill_hidden(torch.where(visible[..., None], keypoints, 0.0), visible, "linear")
    known = filled.masked_fill(~visible.any(dim=1)[:, None, :, None], float("nan")).view(
        keypoints_NPTKC.shape
    )
    return clip_centre(known), body_size(known, layout)


def clip_centre(observed_NPTKC: Tensor) -> Tensor:
    """`[N, C]`: mean over people of their median joint; hidden joints are NaN; 0 for a clip without any."""
    per_person_NPC = observed_NPTKC.flatten(2, 3).nanmedian(dim=2).values
    return per_person_NPC.nanmean(dim=1).nan_to_num(0.0)


def body_size(observed_NPTKC: Tensor, layout: SkeletonLayout) -> Tensor:
    """`[N]`: the largest person's size, positive; 1 for a clip in which nobody can be measured.

    A person's size is the median over frames of the larger of the joints' extent and, where the layout has
    shoulders and hips, the torso's length times `TORSOS_PER_BODY` (which holds when the legs are out of sight).
    """
    high = observed_NPTKC.nan_to_num(-torch.inf).amax(dim=3)
    low = observed_NPTKC.nan_to_num(torch.inf).amin(dim=3)
    extent_NPT = (high - low).amax(dim=-1)
    extent_NPT = extent_NPT.masked_fill(~extent_NPT.isfinite() | (extent_NPT <= 0), float("nan"))
    sizes_NP = torch.stack([extent_NPT.nanmedian(dim=2).values, _torso_NP(observed_NPTKC, layout)])
    size_N = sizes_NP.nan_to_num(0.0).amax(dim=0).amax(dim=1)
    return torch.where(size_N > 0, size_N, torch.ones_like(size_N))


def _torso_NP(observed_NPTKC: Tensor, layout: SkeletonLayout) -> Tensor:
    ends = [
        [i for i, joint in enumerate(layout.joints) if joint.endswith(part)] for part in ("shoulder", "hip")
    ]
    if not all(ends):
        return torch.full(observed_NPTKC.shape[:2], float("nan"), device=observed_NPTKC.device)
    shoulders, hips = (observed_NPTKC[..., joints, :].nanmean(dim=3) for joints in ends)
    length_NPT = (shoulders - hips).norm(dim=-1)
    return length_NPT.nanmedian(dim=2).values * TORSOS_PER_BODY
