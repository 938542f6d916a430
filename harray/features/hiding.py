"""Hide joints on purpose: what PCM learns from, and how evaluations under occlusion treat test clips.

Letters: B batch, P people, T frames, K joints.
"""

import torch
from torch import Tensor

from harray.features.config import AugmentationConfig
from harray.features.rowrandom import RowRandom
from harray.skeleton import SkeletonLayout


def hide_for_training(
    visible_BPTK: Tensor, config: AugmentationConfig, layout: SkeletonLayout, random: RowRandom
) -> Tensor:
    """`visible` without random joints, whole limbs, spans of frames and people, drawn per row; some rows keep all."""
    _, num_people, num_frames, _ = visible_BPTK.shape
    first_B = visible_BPTK.any(dim=(2, 3)).byte().argmax(dim=1)
    share_B = random.uniform("share") * config.hide_share * random.chance("hide", config.hide_probability)
    visible = hide_joints(visible_BPTK, share_B, random)
    share_B = random.uniform("joint.share") * config.hide_joint_share
    share_B = share_B * random.chance("joint.hide", config.hide_joint_probability)
    visible = hide_whole_joints(visible, share_B, random)
    visible = hide_limbs(visible, config, layout, random)
    span_B1T = random.chance("span", config.hide_span_probability, 1, 1) & _span(
        "span", num_frames, config.hide_span_share, random
    )
    visible = visible & ~span_B1T[..., None]
    others_BP = torch.arange(num_people, device=visible.device) != first_B[:, None]
    alone_BP = random.chance("person", config.hide_person_probability, 1) & others_BP
    spared_B = random.chance("spared", config.hide_nothing_probability)
    hidden = alone_BP[:, :, None, None] | ~visible
    return visible_BPTK & ~(hidden & ~spared_B[:, None, None, None])


def hide_joints(visible_BPTK: Tensor, share_B: Tensor | float, random: RowRandom) -> Tensor:
    """`visible` without a random share in [0, 1] of all joints of all frames, drawn independently.

    Nested in the share: what is hidden at 0.2 is hidden at 0.4, by the same random numbers.
    """
    if isinstance(share_B, Tensor):
        share_B = share_B[:, None, None, None]
    return visible_BPTK & (random.uniform("joints", *visible_BPTK.shape[1:]) >= share_B)


def hide_whole_joints(visible_BPTK: Tensor, share_B: Tensor | float, random: RowRandom) -> Tensor:
    """`visible` without a random share in [0, 1], rounded down, of each person's joints, throughout the clip.

    Nested in the share, as `hide_joints` is.
    """
    _, num_people, _, num_joints = visible_BPTK.shape
    if isinstance(share_B, Tensor):
        share_B = share_B[:, None, None]
    place_BPK = random.uniform("joint", num_people, num_joints).argsort(dim=-1).argsort(dim=-1)
    return visible_BPTK & (place_BPK + 1 > share_B * num_joints)[:, :, None]


def hide_limbs(
    visible_BPTK: Tensor, config: AugmentationConfig, layout: SkeletonLayout, random: RowRandom
) -> Tensor:
    """`visible` without the joints of randomly chosen limbs, each for a span of frames."""
    if not layout.limbs:
        return visible_BPTK
    _, num_people, num_frames, num_joints = visible_BPTK.shape
    count = len(layout.limbs)
    member_LK = torch.tensor([[joint in limb for joint in range(num_joints)] for limb in layout.limbs])
    chosen_BPL = random.chance("limbs", config.hide_limb_probability, num_people, count)
    span_BLT = _span("limbs", num_frames, min(1.0, 2 * config.hide_span_share), random, count)
    hidden_BPTL = chosen_BPL[:, :, None] & span_BLT.transpose(1, 2)[:, None]
    hidden_BPTK = hidden_BPTL.float() @ member_LK.to(visible_BPTK.device).float()
    return visible_BPTK & (hidden_BPTK == 0)


def run_of_frames(use: str, num_frames: int, length_BN: Tensor, random: RowRandom) -> Tensor:
    """Bool `[B, N, T]`: runs of frames at random places, as long as shares in [0, 1] of the clip."""
    length_BN1 = length_BN[..., None]
    start_BN1 = random.uniform(use + ".start", length_BN.shape[1], 1) * (1 - length_BN1)
    time_T = (torch.arange(num_frames, device=random.device) + 0.5) / num_frames
    return (time_T >= start_BN1) & (time_T < start_BN1 + length_BN1)


def _span(use: str, num_frames: int, greatest_share: float, random: RowRandom, count: int = 1) -> Tensor:
    """Bool `[B, count, T]`: runs of frames of random length and place."""
    length_BN = random.uniform(use + ".length", count) * greatest_share
    return run_of_frames(use, num_frames, length_BN, random)
