"""MME, the micro-movement encoder: one person's completed joints -> one vector a member and an attention over time.

    joints, bones, their movements over lags 1, 2, 4, spread, distances, surprise, visible flags
        -> standardised by the training set -> members, each of its own weights:
           1x1 conv -> residual conv blocks (or a temporal transformer)
               -> attention pooling + max pooling over time ---------------------------+-> person vector
    standardised streams -> their mean, median, deviation over time, where asked for --+

Members learn the same task side by side and their answers are averaged: an ensemble (Lakshminarayanan et al., 2017)
that shares completion and streams. A detector's slip shakes the mean of a movement but not its median.

Letters: M rows (people of clips), E members, T frames, K joints, C coordinates, D features.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from harray.features.kinematics import (
    bone_vectors,
    differences,
    lengths,
    pairwise_distances,
    places,
    spread,
)
from harray.features.rowrandom import RowRandom
from harray.model.config import MMEConfig
from harray.model.dropout import RowDropout

SMALL_MOVEMENT = 0.003  # body sizes; what is smaller is noise


class MME(nn.Module):
    """Args: extra_size, channels `[M, T, extra]` that the caller adds to a person's own streams."""

    mean_D: Tensor
    std_D: Tensor

    def __init__(
        self,
        config: MMEConfig,
        *,
        num_joints: int,
        num_coordinates: int,
        bones: tuple[tuple[int, int], ...],
        extra_size: int,
    ):
        super().__init__()
        self.config = config
        self.bones = bones if config.bones else ()
        points = num_joints + len(self.bones)
        size = points * num_coordinates + 2 * num_joints + extra_size
        if config.differences:
            size += num_joints * num_coordinates * len(config.lags)
            size += points * (len(config.lags) + len(config.windows))
        size += num_joints * (num_joints - 1) // 2 * config.distances
        self.register_buffer("mean_D", torch.zeros(size))
        self.register_buffer("std_D", torch.ones(size))
        self.members = nn.ModuleList([Encoder(config, size, number) for number in range(config.num_members)])

    def streams(
        self, completed_MTKC: Tensor, visible_MTK: Tensor, surprise_MTK: Tensor, extra_MTD: Tensor
    ) -> Tensor:
        """The encoder's input streams before standardisation, `[M, T, D]`."""
        points_MTKC = torch.cat([completed_MTKC, bone_vectors(completed_MTKC, self.bones)], dim=2)
        parts = [points_MTKC.flatten(2), visible_MTK.to(completed_MTKC.dtype), surprise_MTK, extra_MTD]
        if self.config.differences:
            moved = [differences(points_MTKC, lag) for lag in self.config.lags]
            sizes = [lengths(x) for x in moved]
            sizes += [spread(points_MTKC, self._seen_points(visible_MTK), w) for w in self.config.windows]
            # Small movements differ by a factor, large ones by a length: hence the logarithm.
            parts += [x[:, :, : completed_MTKC.shape[2]].flatten(2) for x in moved]
            parts += [(x + SMALL_MOVEMENT).log() for x in sizes]
        if self.config.distances:
            parts.append(pairwise_distances(completed_MTKC))
        return torch.cat(parts, dim=-1)

    def _seen_points(self, visible_MTK: Tensor) -> Tensor:
        """Visible joints, and bones of which both ends are visible."""
        parents, children = places(self.bones, visible_MTK.device)
        return torch.cat([visible_MTK, visible_MTK[..., parents] & visible_MTK[..., children]], dim=-1)

    def forward(self, streams_MTD: Tensor, random: RowRandom | None = None) -> tuple[Tensor, Tensor]:
        """Each member's person vectors `[M, E, D]`, and their mean attention over time `[M, T]`, which sums to 1."""
        seen_MTD = (streams_MTD - self.mean_D) / self.std_D
        summary_MD = _summary(seen_MTD.detach(), self.config.medians) if self.config.summary else None
        found = [member(seen_MTD, summary_MD, random) for member in self.members]
        vectors, attention = zip(*found, strict=True)
        return torch.stack(vectors, dim=1), torch.stack(attention).mean(dim=0)


class Encoder(nn.Module):
    """A member: standardised streams of `size` channels -> person vectors `[M, D]` and attention over time `[M, T]`."""

    def __init__(self, config: MMEConfig, size: int, number: int):
        super().__init__()
        name = f"mme{number or ''}"  # members drop apart
        self.is_transformer = config.head == "transformer"
        self.enter = nn.Linear(size, config.width)
        self.drop = RowDropout(f"{name}.streams", config.dropout)
        block = AttentionBlock if self.is_transformer else ConvBlock
        self.blocks = nn.ModuleList([block(config, name, place) for place in range(config.num_blocks)])
        self.leave = nn.LayerNorm(config.width)
        self.attention = nn.Linear(config.width, 1)
        self.summarise: nn.Linear | None = None
        if config.summary:
            self.summarise = nn.Linear((2 + config.medians) * size, config.width)
        self.drop_summary = RowDropout(f"{name}.summary", config.dropout)
        self.join = nn.Linear((2 + config.summary) * config.width, config.width)

    def over_time(self, seen_MTD: Tensor, random: RowRandom | None) -> Tensor:
        """What the blocks find in each frame, `[M, T, D]`."""
        x_MTD = self.enter(self.drop(seen_MTD, random))
        if self.is_transformer:
            x_MTD = x_MTD + _waves(x_MTD.shape[1], x_MTD.shape[2], x_MTD.device)
        for block in self.blocks:
            x_MTD = block(x_MTD, random)
        return self.leave(x_MTD)

    def forward(
        self, seen_MTD: Tensor, summary_MD: Tensor | None, random: RowRandom | None
    ) -> tuple[Tensor, Tensor]:
        x_MTD = self.over_time(seen_MTD, random)
        attention_MT = self.attention(x_MTD).squeeze(-1).softmax(dim=1)
        parts = [torch.einsum("mt,mtd->md", attention_MT, x_MTD), x_MTD.amax(dim=1)]
        if self.summarise is not None and summary_MD is not None:
            parts.append(self.summarise(self.drop_summary(summary_MD, random)))
        return self.join(torch.cat(parts, dim=-1)), attention_MT


class ConvBlock(nn.Module):
    """Two convolutions over time beside a shortcut (He et al., 2016, norm first); dilation grows by block."""

    def __init__(self, config: MMEConfig, name: str, number: int):
        super().__init__()
        dilation = 2 ** min(number, 2)
        reach = dilation * (config.kernel_size - 1) // 2
        self.norms = nn.ModuleList([nn.LayerNorm(config.width) for _ in range(2)])
        self.convs = nn.ModuleList(
            [
                nn.Conv1d(config.width, config.width, config.kernel_size, padding=reach, dilation=dilation)
                for _ in range(2)
            ]
        )
        self.drop = RowDropout(f"{name}.block{number}", config.dropout)

    def forward(self, x_MTD: Tensor, random: RowRandom | None) -> Tensor:
        y_MTD = x_MTD
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y_MTD = _convolved(conv, nn.functional.gelu(norm(y_MTD)))
        return x_MTD + self.drop(y_MTD, random)


def _convolved(conv: nn.Module, x_MTD: Tensor) -> Tensor:
    """A convolution over time, channels last throughout: on CPUs a quarter faster than transposing them."""
    assert isinstance(conv, nn.Conv1d)
    weight = conv.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    x_MD1T = x_MTD.transpose(1, 2).unsqueeze(2)
    padding, dilation = (0, int(conv.padding[0])), (1, conv.dilation[0])
    y_MD1T = nn.functional.conv2d(x_MD1T, weight, conv.bias, padding=padding, dilation=dilation)
    return y_MD1T.squeeze(2).transpose(1, 2)


class AttentionBlock(nn.Module):
    """A transformer layer over time, norm first (Xiong et al., 2020)."""

    def __init__(self, config: MMEConfig, name: str, number: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(config.width) for _ in range(2)])
        self.attention = nn.MultiheadAttention(config.width, config.num_heads, batch_first=True)
        self.mix = nn.Sequential(
            nn.Linear(config.width, 2 * config.width), nn.GELU(), nn.Linear(2 * config.width, config.width)
        )
        self.drop = RowDropout(f"{name}.block{number}", config.dropout)

    def forward(self, x_MTD: Tensor, random: RowRandom | None) -> Tensor:
        y_MTD = self.norms[0](x_MTD)
        x_MTD = x_MTD + self.drop(self.attention(y_MTD, y_MTD, y_MTD, need_weights=False)[0], random)
        return x_MTD + self.mix(self.norms[1](x_MTD))


def _summary(x_MTD: Tensor, with_medians: bool) -> Tensor:
    """Mean, median and standard deviation over time, `[M, 3 D]`; `[M, 2 D]` without medians."""
    x_MTD = x_MTD.float()
    mean_MD = x_MTD.mean(dim=1)
    middle = [_median(x_MTD)] if with_medians else []
    std_MD = (x_MTD - mean_MD[:, None]).square_().mean(dim=1).sqrt()
    return torch.cat([mean_MD, *middle, std_MD], dim=-1)


def _median(x_MTD: Tensor) -> Tensor:
    """The lower median over time. On CPUs by numpy, which selects with vector instructions: several times as fast."""
    if x_MTD.device.type != "cpu" or torch.jit.is_tracing():
        return x_MTD.median(dim=1).values
    middle = (x_MTD.shape[1] - 1) // 2
    return torch.from_numpy(np.partition(x_MTD.numpy(), middle, axis=1)[:, middle])


def _waves(num_frames: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of a frame's place in the clip, `[T, D]` (Vaswani et al., 2017), for any length."""
    place_T1 = torch.linspace(0, 1, num_frames, device=device)[:, None]
    rates = torch.arange(1, width // 2 + 1, device=device) * (math.pi / 2)
    return torch.cat([(place_T1 * rates).sin(), (place_T1 * rates).cos()], dim=1)
