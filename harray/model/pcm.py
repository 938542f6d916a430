"""PCM, the predictive coding module: completes hidden joints and notices surprising ones.

    joints seen at 1..t-1 -> LSTM forward  -> state t-1 --+
    joints seen at t+1..T -> LSTM backward -> state t+1 --+--> prediction of t --> error on joints seen at t
    the same joint's neighbours in time, t left out ------+         |                    |  = surprise
                                                                    +----> refined <-----+
                                                                              |
                          completed = what was observed, and refined where it was hidden

A prediction that never sees what it predicts is the top-down half of predictive coding, the error is what it
sends up, and the refinement is the estimate corrected by the error (Rao and Ballard, 1999; bidirectional LSTM:
Graves and Schmidhuber, 2005). The prediction starts from linear interpolation in time; learned weights of four
neighbours bend it, and how near those are decides how far the LSTMs' corrections are trusted.

Letters: M rows (people of clips), T frames, K joints, C coordinates, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from harray.features.interpolation import interpolated, joints_at, neighbours
from harray.model.config import PCMConfig

NUM_NEIGHBOURS = 4  # of a joint in time: two before and two after


class Completion(NamedTuple):
    completed_MTKC: Tensor  # observed joints as they are, hidden ones refined
    predicted_MTKC: Tensor  # from other frames alone
    refined_MTKC: Tensor  # prediction corrected by the frame's visible joints
    surprise_MTK: Tensor  # distance from prediction to observation; 0 where hidden


class PCM(nn.Module):
    def __init__(self, config: PCMConfig, *, num_joints: int, num_coordinates: int):
        super().__init__()
        size, states = num_joints * num_coordinates, 2 * config.hidden_size
        self.embed = nn.Linear(size + num_joints, config.hidden_size)
        self.forwards = nn.LSTM(config.hidden_size, config.hidden_size, config.num_layers, batch_first=True)
        self.backwards = nn.LSTM(config.hidden_size, config.hidden_size, config.num_layers, batch_first=True)
        self.weigh = _two_layers(NUM_NEIGHBOURS, 16, NUM_NEIGHBOURS + 2)
        last = self.weigh[-1]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias[-2:], -2.0)  # corrections start small
        self.predict = _two_layers(states + size + 2 * num_joints, config.refine_size, size)
        self.refine = _two_layers(states + 2 * size + num_joints, config.refine_size, size)

    def forward(self, keypoints_MTKC: Tensor, visible_MTK: Tensor) -> Completion:
        """Complete normalised keypoints; what stands in hidden joints is never read."""
        seen_MTK1 = visible_MTK[..., None]
        seen = torch.where(seen_MTK1, keypoints_MTKC, 0.0)
        states_MTD = self._states_beside(seen, visible_MTK)
        start, closeness, beside = self._from_neighbours(seen, visible_MTK)
        by_joint = self.weigh(closeness)  # [M, T, K, neighbours + 2], alike for all joints
        trust_MTK1 = by_joint[..., -2:].sigmoid().unsqueeze(-1).unbind(-2)
        context = torch.cat([states_MTD, start.flatten(2), closeness[..., :2].flatten(2)], dim=-1)
        predicted = start + torch.einsum("mtkn,mtknc->mtkc", by_joint[..., :-2], beside)
        predicted = predicted + trust_MTK1[0] * self.predict(context).view_as(start)
        error = torch.where(seen_MTK1, seen - predicted, 0.0)
        evidence = [states_MTD, predicted.flatten(2), error.flatten(2), visible_MTK.to(seen.dtype)]
        refined = predicted + trust_MTK1[1] * self.refine(torch.cat(evidence, dim=-1)).view_as(start)
        completed = torch.where(seen_MTK1, keypoints_MTKC, refined)
        return Completion(completed, predicted, refined, (error.square().sum(-1) + 1e-8).sqrt() * visible_MTK)

    @staticmethod
    def _from_neighbours(seen_MTKC: Tensor, visible_MTK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each joint from its two nearest observations on either side, its own frame left out.

        Returns:
            linear interpolation `[M, T, K, C]`; closeness of the neighbours `[M, T, K, N]`, N = before, after,
            second before, second after; the neighbours less the interpolation `[M, T, K, N, C]`, 0 where absent.
        """
        near = neighbours(visible_MTK, leave_out_own_frame=True)
        far = [torch.where(frame >= 0, frame.gather(1, frame.clamp(min=0)), -1) for frame in near]
        frames = [*near, *far]
        start = interpolated(seen_MTKC, near)
        beside = [(joints_at(seen_MTKC, frame) - start) * (frame >= 0)[..., None] for frame in frames]
        return (
            start,
            torch.stack([_closeness(frame) for frame in frames], dim=-1),
            torch.stack(beside, dim=-2),
        )

    def _states_beside(self, seen_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """The forward state at t - 1 and the backward state at t + 1, `[M, T, 2 D]`; 0 beyond the ends."""
        frames_MTD = self.embed(torch.cat([seen_MTKC.flatten(2), visible_MTK.to(seen_MTKC.dtype)], dim=-1))
        past_MTD, _ = self.forwards(frames_MTD)
        future_MTD, _ = self.backwards(frames_MTD.flip(1))
        edge = torch.zeros_like(past_MTD[:, :1])
        past_MTD = torch.cat([edge, past_MTD[:, :-1]], dim=1)
        future_MTD = torch.cat([future_MTD.flip(1)[:, 1:], edge], dim=1)
        return torch.cat([past_MTD, future_MTD], dim=-1)


def _closeness(frame_MTK: Tensor) -> Tensor:
    """1 for a neighbour in the next frame, falling with the distance in time; 0 where there is none."""
    time_1T1 = torch.arange(frame_MTK.shape[1], device=frame_MTK.device)[None, :, None]
    return (1.0 / (time_1T1 - frame_MTK).abs().clamp(min=1)).masked_fill(frame_MTK < 0, 0.0)


def _two_layers(size_in: int, hidden_size: int, size_out: int) -> nn.Sequential:
    """A small network that starts as zero, so that what it corrects starts as it is."""
    last = nn.Linear(hidden_size, size_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size_in, hidden_size), nn.GELU(), last)
