r"""Augment a whole batch of normalised clips at once, each row by its own random stream.

    clip -> mirror -> turn, scale, shear -> crop and speed in time ----------------> target: what is true
                                                     \-> errors -> hide on purpose -> input: what the model sees

Letters: B batch, P people, T frames, K joints, C coordinates, S scene tokens, D channels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harray.features.config import AugmentationConfig
from harray.features.hiding import hide_for_training
from harray.features.rowrandom import RowRandom
from harray.skeleton import SkeletonLayout


class Augmented(NamedTuple):
    """A training batch: what the model sees, and the truth that it is to complete.

    Rows with misplaced joints train recognition only: learning to complete them makes PCM worse at the others.
    """

    keypoints_BPTKC: Tensor  # 0 where hidden
    visible_BPTK: Tensor  # True = observed and not hidden on purpose
    target_BPTKC: Tensor  # without noise
    known_BPTK: Tensor  # True where the target is known and counts in the completion loss
    tokens_BSD: Tensor | None
    second: "Augmented | None" = None  # the same clips in the other keypoints (2D beside 3D)
    probe_BA: Tensor | None = None  # logits of a scene probe that did not learn from the clip

    @property
    def streams(self) -> "list[Augmented]":
        """One per stream of keypoints."""
        return [self] if self.second is None else [self, self.second]

    def split(self, sizes: list[int]) -> "list[Augmented]":
        """Split into batches of these sizes."""
        parts = [[None] * len(sizes) if part is None else part.split(sizes) for part in self]
        return [Augmented(*batch) for batch in zip(*parts, strict=True)]


def augment(
    keypoints_BPTKC: Tensor,
    visible_BPTK: Tensor,
    tokens_BSD: Tensor | None,
    *,
    config: AugmentationConfig,
    layout: SkeletonLayout,
    scene_grid: tuple[int, int] | None,
    random: RowRandom,
) -> Augmented:
    """A new variant of every row; the arguments are not modified."""
    if not config.enabled:
        return Augmented(keypoints_BPTKC, visible_BPTK, keypoints_BPTKC, visible_BPTK, tokens_BSD)
    mirrored_B = random.chance("mirror", config.mirror_probability or 0.0)
    target, observed = mirror(keypoints_BPTKC, visible_BPTK, mirrored_B, layout.flip_order)
    target, observed = swap_people(
        target, observed, random.chance("swap", config.swap_people_probability), random
    )
    target = torch.einsum("bptkc,bcd->bptkd", target, linear_maps(config, target.shape[-1], random))
    target, observed = resample(target, observed, frame_positions(config, target.shape[2], random))
    visible = hide_for_training(observed, config, layout, random)
    wrong = misplaced_joints(observed, config, random)
    noisy = target
    if config.noise or config.misplace_probability:
        noise_B = config.noise * random.uniform("noise.level")
        error = torch.where(wrong, config.misplaced, noise_B[:, None, None, None])[..., None]
        noisy = target + error * random.normal("noise", *target.shape[1:])
    known = observed & ~wrong.flatten(1).any(dim=1)[:, None, None, None]
    if tokens_BSD is not None and scene_grid is not None:
        tokens_BSD = mirror_tokens(tokens_BSD, mirrored_B, scene_grid)
    return Augmented(noisy * visible[..., None], visible, target * known[..., None], known, tokens_BSD)


def mirror(
    keypoints_BPTKC: Tensor, visible_BPTK: Tensor, mirrored_B: Tensor, flip_order: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Negate x and exchange left and right joints in the rows marked True."""
    order = torch.tensor(flip_order, device=keypoints_BPTKC.device)
    signs_C = torch.ones(keypoints_BPTKC.shape[-1], device=keypoints_BPTKC.device)
    signs_C[0] = -1
    chosen = mirrored_B[:, None, None, None]
    flipped = keypoints_BPTKC.index_select(3, order) * signs_C
    return (
        torch.where(chosen[..., None], flipped, keypoints_BPTKC),
        torch.where(chosen, visible_BPTK.index_select(3, order), visible_BPTK),
    )


def mirror_tokens(tokens_BSD: Tensor, mirrored_B: Tensor, scene_grid: tuple[int, int]) -> Tensor:
    """Exchange the columns of the scene's grid `(frames, side)` in the rows marked True."""
    frames, side = scene_grid
    straight_S = torch.arange(frames * side * side, device=tokens_BSD.device)
    flipped_S = straight_S.reshape(frames, side, side).flip(2).flatten()
    order_BS = torch.where(mirrored_B[:, None], flipped_S, straight_S)
    return tokens_BSD[torch.arange(len(order_BS), device=order_BS.device)[:, None], order_BS]


def swap_people(
    keypoints_BPTKC: Tensor, visible_BPTK: Tensor, swapped_B: Tensor, random: RowRandom
) -> tuple[Tensor, Tensor]:
    """Shuffle the people of the rows marked True."""
    num_people = keypoints_BPTKC.shape[1]
    if num_people == 1:
        return keypoints_BPTKC, visible_BPTK
    shuffled_BP = random.uniform("people", num_people).argsort(dim=1)
    straight_BP = torch.arange(num_people, device=shuffled_BP.device).expand_as(shuffled_BP)
    order_BP = torch.where(swapped_B[:, None], shuffled_BP, straight_BP)
    rows = torch.arange(len(order_BP), device=order_BP.device)[:, None]
    return keypoints_BPTKC[rows, order_BP], visible_BPTK[rows, order_BP]


def misplaced_joints(visible_BPTK: Tensor, config: AugmentationConfig, random: RowRandom) -> Tensor:
    """Bool `[B, P, T, K]`: some rows lose a random share of joints, as if one were taken for another."""
    wrong_BPTK = torch.zeros_like(visible_BPTK)
    row_M = random.chance("misplace", config.misplace_probability).nonzero()[:, 0]
    if len(row_M):
        of_rows = random.spread(row_M, torch.zeros_like(row_M))
        share_M = of_rows.uniform("share") * config.misplace_share
        wrong_BPTK[row_M] = of_rows.uniform("joints", *visible_BPTK.shape[1:]) < share_M[:, None, None, None]
    return wrong_BPTK


def linear_maps(config: AugmentationConfig, num_coordinates: int, random: RowRandom) -> Tensor:
    """`[B, C, C]`: rotation, size and proportions of each row; in 3D rotations about all three axes."""
    angles_BA = random.symmetric("angles", 3) * math.pi / 180
    maps = _rotation(angles_BA[:, 0] * config.rotation_deg, (0, 1), num_coordinates)
    for axis, plane in ((1, (0, 2)), (2, (1, 2))):
        if num_coordinates == 3:
            maps = maps @ _rotation(angles_BA[:, axis] * config.turn_deg, plane, num_coordinates)
    size_B1 = 1 + config.scale * random.symmetric("scale", 1)
    proportions_BC = 1 + config.shear * random.symmetric("shear", num_coordinates)
    return maps * (size_B1 * proportions_BC)[:, None, :]


def frame_positions(config: AugmentationConfig, num_frames: int, random: RowRandom) -> Tensor:
    """`[B, T]` source positions in frames: a random part of the clip at a random, constant speed."""
    kept_B1 = 1 - config.time_crop * random.uniform("crop", 1)
    length_B1 = kept_B1 * (1 + config.speed * random.symmetric("speed", 1))
    slack_B1 = 1 - length_B1
    start_B1 = torch.where(slack_B1 > 0, slack_B1 * random.uniform("start", 1), slack_B1 / 2)
    steps_T = torch.linspace(0, 1, num_frames, device=random.device)
    return ((start_B1 + length_B1 * steps_T) * (num_frames - 1)).clamp(0, num_frames - 1)


def resample(keypoints_BPTKC: Tensor, visible_BPTK: Tensor, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Clips resampled at fractional frame positions; between a visible and a hidden joint the nearer frame counts."""
    num_rows, num_frames = keypoints_BPTKC.shape[0], keypoints_BPTKC.shape[2]
    lower_BT = positions_BT.floor().long()
    upper_BT = (lower_BT + 1).clamp(max=num_frames - 1)
    weight_BT = positions_BT - lower_BT
    first_B1 = torch.arange(0, num_rows * num_frames, num_frames, device=positions_BT.device)[:, None]

    def at(x_BPTK: Tensor, frame_BT: Tensor) -> Tensor:
        """`[B, T, P, K, ...]`; whole frames are copied at once."""
        frames = x_BPTK.transpose(1, 2).flatten(0, 1)
        return frames.index_select(0, (first_B1 + frame_BT).flatten()).unflatten(0, frame_BT.shape)

    low, high = at(keypoints_BPTKC, lower_BT), at(keypoints_BPTKC, upper_BT)
    low_seen, high_seen = at(visible_BPTK, lower_BT), at(visible_BPTK, upper_BT)
    near_high = (weight_BT > 0.5)[:, :, None, None]
    weight = torch.where(
        low_seen & high_seen, weight_BT[:, :, None, None].expand(low_seen.shape), near_high.to(low.dtype)
    )
    seen = torch.where(near_high, high_seen, low_seen)
    mixed = torch.lerp(low, high, weight[..., None]) * seen[..., None]
    return mixed.transpose(1, 2), seen.transpose(1, 2)


def _rotation(angle_B: Tensor, plane: tuple[int, int], num_coordinates: int) -> Tensor:
    maps = torch.eye(num_coordinates, device=angle_B.device).repeat(len(angle_B), 1, 1)
    first, second = plane
    maps[:, first, first] = maps[:, second, second] = angle_B.cos()
    maps[:, first, second], maps[:, second, first] = angle_B.sin(), -angle_B.sin()
    return maps
