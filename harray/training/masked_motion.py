"""Learning from clips without labels: PCM completes hidden joints, and MME predicts the motion of masked spans of time.

    clip, joints hidden -> PCM -> streams, spans of time masked -> MME's blocks -> streams of the masked frames
                                                                     (decoded by the entrance's own weights, transposed)

As in masked autoencoders (He et al., 2022), what is predicted is what was masked; the truth are the streams of the
clip with nothing hidden.

Letters: B batch, M rows (people of clips that are present), P people, T frames, D features of a stream.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from harray.features.augment import Augmented
from harray.features.rowrandom import RowRandom
from harray.model.mme import Encoder
from harray.model.network import FusionNetwork, PoseBranch, random_of
from harray.training.config import TrainingConfig
from harray.training.step import completion_losses

SPAN_FRAMES = 4  # masked together; a single frame could be read off its neighbours


class MaskedMotionStep(nn.Module):
    """Losses per clip `[B]` by name, as `TrainingStep` gives them, of clips alone."""

    def __init__(self, network: FusionNetwork, config: TrainingConfig):
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, batch: Augmented, labels_B: Tensor, random: RowRandom) -> dict[str, Tensor]:
        _, poses = self.network.look([(x.keypoints_BPTKC, x.visible_BPTK) for x in batch.streams], random)
        losses, total = completion_losses(self.network, poses, batch, self.config)
        masked_BT = self._masked(batch.visible_BPTK.shape[2], random)
        motion = [
            _motion_loss(branch, seen, pose.present_BP, masked_BT, random)
            for branch, seen, pose in zip(self.network.branches, batch.streams, poses, strict=True)
        ]
        losses["motion"] = torch.stack(motion).mean(dim=0)
        return {"total": total + losses["motion"]} | losses

    def _masked(self, num_frames: int, random: RowRandom) -> Tensor:
        """Which frames `[B, T]` are masked, by spans of a few."""
        spans_BS = random.chance("masked", self.config.masked_share, -(-num_frames // SPAN_FRAMES))
        return spans_BS.repeat_interleave(SPAN_FRAMES, dim=1)[:, :num_frames]


def _motion_loss(
    branch: PoseBranch, seen: Augmented, present_BP: Tensor, masked_BT: Tensor, random: RowRandom
) -> Tensor:
    """The members' mean error in the standardised streams of masked frames, `[B]`; 0 where nothing is masked."""
    mme = branch.mme
    row, person = present_BP.nonzero(as_tuple=True)
    with torch.no_grad():
        given, truth = (
            (branch.streams(keypoints, visible, present_BP) - mme.mean_D) / mme.std_D
            for keypoints, visible in (
                (seen.keypoints_BPTKC, seen.visible_BPTK),
                (seen.target_BPTKC, seen.known_BPTK),
            )
        )
    masked_MT1 = masked_BT[row, :, None].to(given.dtype)
    counted_MT = masked_MT1[..., 0] * seen.known_BPTK[row, person].any(dim=-1)
    errors = []
    for member in mme.members:
        assert isinstance(member, Encoder)
        found_MTD = member.over_time(given * (1 - masked_MT1), random_of(random, row, person))
        told_MTD = functional.linear(found_MTD, member.enter.weight.T)
        errors.append(functional.smooth_l1_loss(told_MTD, truth, reduction="none").mean(dim=-1))
    error_MT = torch.stack(errors).mean(dim=0) * counted_MT
    sums_B2 = error_MT.new_zeros(len(masked_BT), 2)
    sums_B2 = sums_B2.index_add(0, row, torch.stack([error_MT.sum(dim=1), counted_MT.sum(dim=1)], dim=1))
    return sums_B2[:, 0] / sums_B2[:, 1].clamp(min=1)
