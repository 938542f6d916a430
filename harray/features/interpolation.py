"""Fill hidden joints from the same joint at other times.

Coordinates come first here, since what holds for a joint holds for all of its coordinates: masks and gaps are then
spread over whole blocks of memory, in half the time.

Letters: M rows (people of clips), T frames, K joints, C coordinates.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Neighbours(NamedTuple):
    """The nearest observed frames of each joint; -1 where there is none."""

    before_MTK: Tensor  # int64 frame index
    after_MTK: Tensor


def neighbours(visible_MTK: Tensor, *, leave_out_own_frame: bool) -> Neighbours:
    """Nearest observed frame at or before, and at or after, each frame; strictly so with `leave_out_own_frame`."""
    num_frames = visible_MTK.shape[1]
    index_1T1 = torch.arange(num_frames, device=visible_MTK.device)[None, :, None]
    before = torch.where(visible_MTK, index_1T1, -1).cummax(dim=1).values
    after = torch.where(visible_MTK, num_frames - 1 - index_1T1, -1).flip(1).cummax(dim=1).values.flip(1)
    after = torch.where(after >= 0, num_frames - 1 - after, -1)
    if leave_out_own_frame:
        edge = torch.full_like(before[:, :1], -1)
        before = torch.cat([edge, before[:, :-1]], dim=1)
        after = torch.cat([after[:, 1:], edge], dim=1)
    return Neighbours(before, after)


def interpolated(keypoints_CMTK: Tensor, near: Neighbours) -> Tensor:
    """Linear interpolation in time between each joint's neighbours; the nearer end is held outside; 0 if none."""
    time_1T1 = torch.arange(keypoints_CMTK.shape[2], device=keypoints_CMTK.device)[None, :, None]
    before, after = near
    gap_MTK = (after - before).clamp(min=1)
    weight_MTK = ((time_1T1 - before) / gap_MTK).masked_fill(after < 0, 0.0).masked_fill(before < 0, 1.0)
    start, end = joints_at(keypoints_CMTK, before), joints_at(keypoints_CMTK, after)
    filled = torch.lerp(start, end, weight_MTK.to(start.dtype))
    return filled.masked_fill((before < 0) & (after < 0), 0.0)


def neighbours_twice(visible_MTK: Tensor) -> list[Tensor]:
    """Two observed frames of each joint on either side, the own frame left out: before, after, and beyond these."""
    near = neighbours(visible_MTK, leave_out_own_frame=True)
    beyond = [torch.where(frame >= 0, frame.gather(1, frame.clamp(min=0)), -1) for frame in near]
    return [*near, *beyond]


def cubic(keypoints_CMTK: Tensor, frames: list[Tensor]) -> Tensor:
    """Shape-preserving cubic in time (Fritsch and Carlson, 1980) through `neighbours_twice`; held outside; 0 if none.

    Where a side has one neighbour only, the curve leaves it straight towards the other side's.
    """
    before, after, second_before, second_after = frames
    start, end, earlier, later = (joints_at(keypoints_CMTK, frame) for frame in frames)
    time_1T1 = torch.arange(keypoints_CMTK.shape[2], device=keypoints_CMTK.device)[None, :, None]
    gap, gap_earlier, gap_later, passed = (
        x.to(start.dtype)
        for x in (
            (after - before).clamp(min=1),
            (before - second_before).clamp(min=1),
            (second_after - after).clamp(min=1),
            time_1T1 - before,
        )
    )
    slope = (end - start) / gap
    leaving = _tangent((start - earlier) / gap_earlier, gap_earlier, slope, gap)
    arriving = _tangent(slope, gap, (later - end) / gap_later, gap_later)
    leaving = torch.where(second_before >= 0, leaving, slope) * gap
    arriving = torch.where(second_after >= 0, arriving, slope) * gap
    s = passed / gap
    filled = start + s * (leaving + s * (3 * (end - start) - 2 * leaving - arriving))
    filled = filled + s**3 * (leaving + arriving - 2 * (end - start))
    filled = torch.where(before < 0, end, torch.where(after < 0, start, filled))
    return filled.masked_fill((before < 0) & (after < 0), 0.0)


def _tangent(slope_0: Tensor, gap_0: Tensor, slope_1: Tensor, gap_1: Tensor) -> Tensor:
    """Harmonic mean of two adjoining slopes; 0 at a turning point, so that the curve never overshoots."""
    weight_0, weight_1 = 2 * gap_1 + gap_0, gap_1 + 2 * gap_0
    turns = slope_0 * slope_1 <= 0
    shares = weight_0 / slope_0.masked_fill(turns, 1.0) + weight_1 / slope_1.masked_fill(turns, 1.0)
    return ((weight_0 + weight_1) / shares.masked_fill(turns, 1.0)).masked_fill(turns, 0.0)


def fill_hidden(keypoints_MTKC: Tensor, visible_MTK: Tensor, how: str) -> Tensor:
    """Observed joints as they are; hidden ones `zero`, `hold` (last seen, else next seen) or `linear` in time.

    Hidden coordinates may be anything finite. On CPUs a product with the mask takes a quarter of the time of `where`.
    """
    if how == "zero":
        return keypoints_MTKC * visible_MTK[..., None]
    near = neighbours(visible_MTK, leave_out_own_frame=False)
    if how == "hold":
        only_before = torch.where(near.before_MTK >= 0, -1, near.after_MTK)
        near = Neighbours(near.before_MTK, only_before)
    keypoints_CMTK = keypoints_MTKC.movedim(-1, 0).contiguous()
    filled_CMTK = torch.where(visible_MTK, keypoints_CMTK, interpolated(keypoints_CMTK, near))
    return filled_CMTK.movedim(0, -1).contiguous()


def joints_at(keypoints_CMTK: Tensor, frame_MTK: Tensor) -> Tensor:
    """Each joint at a frame of its own, `[C, M, T, K]`; a frame below 0 reads the first."""
    return keypoints_CMTK.gather(2, frame_MTK.clamp(min=0).expand_as(keypoints_CMTK))
