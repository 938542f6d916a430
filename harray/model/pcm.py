"""PCM, the predictive coding module: completes hidden joints and measures the surprise of visible ones.

    joints seen at 1..t-1 -> LSTM forward  -> state t-1 --+
    joints seen at t+1..T -> LSTM backward -> state t+1 --+--> prediction of t --> error on joints seen at t
    the same joint's neighbours in time, t left out ------+                              = surprise
                                                                                              |
    all joints seen -> prior -> what they let expect ------------------------> refinement <---+
                                                                                   |
                               completed = what was observed, and refined where it was hidden

A prediction that never sees what it predicts is the top-down half of predictive coding, and the error is what it
sends up (Rao and Ballard, 1999; bidirectional LSTM: Graves and Schmidhuber, 2005). It starts from a cubic in time;
learned weights of four neighbours bend it, and how near those are decides how far the LSTMs are trusted. What is
hidden is expected by Gaussians over the whole clip (`prior.py`; without it, by the prediction), and that is
corrected by what the errors show.

Letters: M rows (people of clips), T frames, K joints, C coordinates, N neighbours, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from harray.features.interpolation import cubic, joints_at, neighbours_twice
from harray.model.config import PCMConfig
from harray.model.prior import MotionPrior

NUM_NEIGHBOURS = 4  # of a joint in time: two before and two after
PLACES, MOVES = 5.0, 20.0  # scale positions and movements from frame to frame, in body sizes, to about 1


class Completion(NamedTuple):
    completed_MTKC: Tensor  # observed joints as they are, hidden ones refined
    predicted_MTKC: Tensor  # from other frames alone
    expected_MTKC: Tensor  # by the prior, or the prediction; observed joints as they are
    refined_MTKC: Tensor  # the expectation, corrected by the errors on visible joints of all frames
    surprise_MTK: Tensor  # distance from prediction to observation; 0 where hidden


class JointNeighbours(NamedTuple):
    """What each joint's neighbours in time predict; its own frame is left out."""

    start_MTKC: Tensor  # the cubic through them
    closeness_MTKN: (
        Tensor  # 1 = next frame, 0 = there is none; N = before, after, second before, second after
    )
    away_MNCTK: Tensor  # the neighbours less the cubic; 0 where there is none


class RefinerInputs(NamedTuple):
    """What the refinement reads."""

    visible_MTK: Tensor
    expected_MTKC: Tensor
    predicted_MTKC: Tensor
    error_MTKC: Tensor  # of the prediction on visible joints
    closeness_MTKN: Tensor
    states_MTD: Tensor  # of the LSTMs


class PCM(nn.Module):
    def __init__(self, config: PCMConfig, *, num_frames: int, num_joints: int, num_coordinates: int):
        super().__init__()
        size, states = num_joints * num_coordinates, 2 * config.hidden_size
        shape = {"num_frames": num_frames, "num_joints": num_joints, "num_coordinates": num_coordinates}
        self.prior = MotionPrior(num_components=config.num_components, **shape) if config.prior else None
        self.embed = nn.Linear(size + num_joints, config.hidden_size)
        self.forwards = nn.LSTM(config.hidden_size, config.hidden_size, config.num_layers, batch_first=True)
        self.backwards = nn.LSTM(config.hidden_size, config.hidden_size, config.num_layers, batch_first=True)
        self.weigh = _two_layers(NUM_NEIGHBOURS, 16, NUM_NEIGHBOURS)
        self.trust = _trust()
        self.predict = _two_layers(states + size + 2 * num_joints, config.predict_size, size)
        self.refine = Refinement(config, num_joints=num_joints, num_coordinates=num_coordinates)

    def forward(
        self, keypoints_MTKC: Tensor, visible_MTK: Tensor, learns_M: Tensor | None = None
    ) -> Completion:
        """Complete normalised keypoints; the values of hidden joints are never read.

        Args:
            learns_M: rows from which PCM learns; the others get no gradient, which saves its time. None: all.
        """
        seen = torch.where(visible_MTK[..., None], keypoints_MTKC, 0.0)
        beside = _beside(seen, visible_MTK)
        expected = None if self.prior is None else self.prior(seen, visible_MTK)
        given = (seen, visible_MTK, *beside) if expected is None else (seen, visible_MTK, *beside, expected)
        if learns_M is None:
            return self._complete(*given)
        if seen.device.type != "cpu":  # picking rows would make the device wait
            return _apart(self._complete(*given), learns_M)
        if not learns_M.any():
            with torch.no_grad():
                completion = self._complete(*given)
            # Every parameter has a gradient at every step, as workers that share a batch need.
            nothing = 0.0 * torch.stack([weights.sum() for weights in self.parameters()]).sum()
            return completion._replace(predicted_MTKC=completion.predicted_MTKC + nothing)
        learned = self._complete(*(x[learns_M] for x in given))
        with torch.no_grad():
            others = self._complete(*(x[~learns_M] for x in given))
        order_M = learns_M.logical_not().long().argsort(stable=True).argsort()
        return Completion(*(torch.cat(both)[order_M] for both in zip(learned, others, strict=True)))

    def _complete(
        self,
        seen_MTKC: Tensor,
        visible_MTK: Tensor,
        start_MTKC: Tensor,
        closeness_MTKN: Tensor,
        away_MNCTK: Tensor,
        expected_MTKC: Tensor | None = None,
    ) -> Completion:
        """What is learned: from visible joints (0 where hidden), their neighbours, and what the prior expects."""
        seen_MTK1 = visible_MTK[..., None]
        states_MTD = self._states_beside(seen_MTKC, visible_MTK)
        predicted = self._predict(JointNeighbours(start_MTKC, closeness_MTKN, away_MNCTK), states_MTD)
        error = torch.where(seen_MTK1, seen_MTKC - predicted, 0.0)
        expected = torch.where(seen_MTK1, seen_MTKC, predicted) if expected_MTKC is None else expected_MTKC
        evidence = RefinerInputs(visible_MTK, expected, predicted, error, closeness_MTKN, states_MTD)
        refined = self._refined(evidence)
        completed = torch.where(seen_MTK1, seen_MTKC, refined)
        surprise = (error.square().sum(-1) + 1e-8).sqrt() * visible_MTK
        return Completion(completed, predicted, expected, refined, surprise)

    def _refined(self, evidence: RefinerInputs) -> Tensor:
        """The expectation, corrected; on a CPU only of people of whom something is hidden."""
        expected = evidence.expected_MTKC
        incomplete_M = ~evidence.visible_MTK.flatten(1).all(dim=1)
        if expected.device.type != "cpu" or torch.jit.is_tracing() or incomplete_M.all():
            return expected + self.refine(evidence)
        if not incomplete_M.any():
            return expected
        correction = self.refine(RefinerInputs(*(x[incomplete_M] for x in evidence)))
        return expected.index_put((incomplete_M,), expected[incomplete_M] + correction)

    def _predict(self, beside: JointNeighbours, states_MTD: Tensor) -> Tensor:
        """Of each frame from the others, `[M, T, K, C]`."""
        start, closeness, away = beside
        context = torch.cat([states_MTD, PLACES * start.flatten(2), closeness[..., :2].flatten(2)], dim=-1)
        weight_MN1TK = self.weigh(closeness).permute(0, 3, 1, 2)[:, :, None]
        predicted = start + (weight_MN1TK * away).sum(dim=1).movedim(1, -1)
        return predicted + self.trust(closeness).sigmoid() * self.predict(context).view_as(start)

    def _states_beside(self, seen_MTKC: Tensor, visible_MTK: Tensor) -> Tensor:
        """The forward state at t - 1 and the backward state at t + 1, `[M, T, 2 D]`; 0 beyond the ends."""
        frames = [PLACES * seen_MTKC.flatten(2), visible_MTK.to(seen_MTKC.dtype)]
        frames_MTD = self.embed(torch.cat(frames, dim=-1))
        past_MTD, _ = self.forwards(frames_MTD)
        future_MTD, _ = self.backwards(frames_MTD.flip(1))
        edge = torch.zeros_like(past_MTD[:, :1])
        past_MTD = torch.cat([edge, past_MTD[:, :-1]], dim=1)
        future_MTD = torch.cat([future_MTD.flip(1)[:, 1:], edge], dim=1)
        return torch.cat([past_MTD, future_MTD], dim=-1)


class Refinement(nn.Module):
    """Corrects the expectation of hidden joints; each joint of each frame has a vector.

    evidence -> vectors -> blocks (joints of a frame meet, then each joint's frames) -> correction
    """

    def __init__(self, config: PCMConfig, *, num_joints: int, num_coordinates: int):
        super().__init__()
        width = config.refine_size
        self.enter = nn.Linear(1 + NUM_NEIGHBOURS + 5 * num_coordinates, width)
        self.enter_states = nn.Linear(2 * config.hidden_size, width)
        self.joint_KD = nn.Parameter(torch.randn(num_joints, width) * 0.5)
        self.blocks = nn.ModuleList(
            [JointsAndFrames(config, num_joints, number) for number in range(config.num_blocks)]
        )
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, num_coordinates)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, evidence: RefinerInputs) -> Tensor:
        expected = evidence.expected_MTKC
        middle_MT1C = expected.mean(dim=2, keepdim=True)
        moved = torch.cat([torch.zeros_like(expected[:, :1]), expected[:, 1:] - expected[:, :-1]], dim=1)
        parts = [
            evidence.visible_MTK[..., None].to(expected.dtype),
            evidence.closeness_MTKN,
            MOVES * evidence.error_MTKC,
            MOVES * (expected - evidence.predicted_MTKC),
            MOVES / 2 * moved,
            PLACES * (expected - middle_MT1C),
            PLACES * middle_MT1C.expand_as(expected),
        ]
        x_MTKD = self.enter(torch.cat(parts, dim=-1)) + self.joint_KD
        x_MTKD = x_MTKD + self.enter_states(evidence.states_MTD)[:, :, None]
        for block in self.blocks:
            x_MTKD = block(x_MTKD)
        return self.leave(self.norm(x_MTKD)) / PLACES


class JointsAndFrames(nn.Module):
    """Mixes the joints of a frame through a bottleneck, then the frames of each joint by a shared convolution."""

    def __init__(self, config: PCMConfig, num_joints: int, number: int):
        super().__init__()
        width, dilation = config.refine_size, 2**number
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.squeeze = nn.Linear(num_joints * width, config.bottleneck_size)
        self.spread = nn.Linear(config.bottleneck_size, num_joints * width)
        nn.init.normal_(self.spread.weight, std=0.02)
        self.conv = nn.Conv2d(width, width, (5, 1), padding=(2 * dilation, 0), dilation=(dilation, 1))
        self.mix = nn.Linear(width, width)

    def forward(self, x_MTKD: Tensor) -> Tensor:
        pose_MTD = nn.functional.gelu(self.squeeze(self.norms[0](x_MTKD).flatten(2)))
        x_MTKD = x_MTKD + self.spread(pose_MTD).view_as(x_MTKD)
        y_MDTK = self.norms[1](x_MTKD).permute(0, 3, 1, 2)  # channels last in memory: nothing is copied
        y = nn.functional.gelu(self.conv(y_MDTK)).permute(0, 2, 3, 1)
        return x_MTKD + self.mix(y)


def _apart(completion: Completion, learns_M: Tensor) -> Completion:
    """The same, without gradient where a row does not learn."""
    parts = []
    for part in completion:
        learns = learns_M.view(-1, *[1] * (part.dim() - 1))
        parts.append(torch.where(learns, part, part.detach()))
    return Completion(*parts)


def _beside(seen_MTKC: Tensor, visible_MTK: Tensor) -> JointNeighbours:
    seen_CMTK = seen_MTKC.movedim(-1, 0).contiguous()
    frames = neighbours_twice(visible_MTK)
    start = cubic(seen_CMTK, frames)
    away = torch.stack([(joints_at(seen_CMTK, frame) - start) * (frame >= 0) for frame in frames])
    closeness = torch.stack([_closeness(frame) for frame in frames], dim=-1)
    return JointNeighbours(start.movedim(0, -1).contiguous(), closeness, away.movedim(2, 0))


def _closeness(frame_MTK: Tensor) -> Tensor:
    """1 for a neighbour in the next frame, falling with the distance in time; 0 where there is none."""
    time_1T1 = torch.arange(frame_MTK.shape[1], device=frame_MTK.device)[None, :, None]
    return (1.0 / (time_1T1 - frame_MTK).abs().clamp(min=1)).masked_fill(frame_MTK < 0, 0.0)


def _two_layers(size_in: int, hidden_size: int, size_out: int) -> nn.Sequential:
    """A small network whose output starts at zero, so that corrections start at none."""
    last = nn.Linear(hidden_size, size_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size_in, hidden_size), nn.GELU(), last)


def _trust() -> nn.Sequential:
    """Scale of the corrections, from how near the neighbours in time are. It starts small."""
    trust = _two_layers(NUM_NEIGHBOURS, 16, 1)
    last = trust[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, -2.0)
    return trust
