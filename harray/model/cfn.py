"""CFN, the contextual fusion network: motion attends to the scene, and a gate can shut it out.

    scene tokens -> standardised by the training set -> projected, normalised, placed --+
    motion vector (or, without pose, a learned vector) -> queries -> attention over tokens -> scene vector
    motion and scene vectors -> gate in [0, 1]
    scene tokens -> greatest value of each channel -> linear probe -> calibrated logits;  gate * logits decide
    without a probe:  gate * scene vector goes to the classifier

A few hundred clips are too few to learn by gradient what 2048 channels mean, and enough for a linear probe. It is
fitted before training and calibrated on clips that it did not learn from, so it says no more than it knows. Attention
is learned beside it, by what the look adds to the motion; the gate tells scenes from noise.

Letters: B batch, S scene tokens, Q queries, H heads, D features, A action classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from harray.features.rowrandom import RowRandom
from harray.model.config import CFNConfig
from harray.model.dropout import RowDropout


class SceneView(NamedTuple):
    scene_BD: Tensor  # gated
    attention_BS: Tensor  # mean over queries and heads; sums to 1
    gate_B: Tensor  # in [0, 1]; 1 where the config has no gate
    probe_BA: Tensor | None  # logits of the linear probe; None where there is none


class SceneProbe(nn.Module):
    """Calibrated logits of a linear probe on pooled tokens; 0 until it is fitted (`training/scene_probe.py`)."""

    weight_DA: Tensor
    bias_A: Tensor

    def __init__(self, scene_dim: int, num_classes: int):
        super().__init__()
        self.register_buffer("weight_DA", torch.zeros(scene_dim, num_classes))
        self.register_buffer("bias_A", torch.zeros(num_classes))

    def forward(self, tokens_BSD: Tensor) -> Tensor:
        """`[B, A]`."""
        return pooled_tokens(tokens_BSD) @ self.weight_DA + self.bias_A

    @torch.no_grad()
    def load(self, weight_DA: Tensor, bias_A: Tensor) -> None:
        """Take the weights and bias of a fitted probe."""
        self.weight_DA.copy_(weight_DA)
        self.bias_A.copy_(bias_A)


def pooled_tokens(tokens_BSD: Tensor) -> Tensor:
    """Float32 `[B, D]`: the square root of each channel's maximum, so that small objects still count."""
    greatest_BD = tokens_BSD.amax(dim=1).float()
    return greatest_BD.sign() * greatest_BD.abs().sqrt()


class CFN(nn.Module):
    """Args: motion_size, of the motion vector and of the scene vector; scene_dim, channels of a token; num_classes."""

    mean_D: Tensor
    std_D: Tensor

    def __init__(self, config: CFNConfig, *, motion_size: int, scene_dim: int, num_classes: int):
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("mean_D", torch.zeros(scene_dim))
        self.register_buffer("std_D", torch.ones(scene_dim))
        self.project = nn.Linear(scene_dim, width)
        self.enter = nn.LayerNorm(width)
        self.drop = RowDropout("cfn.tokens", config.dropout)
        self.no_motion_D = nn.Parameter(torch.randn(motion_size) * 0.02)
        self.query = nn.Linear(motion_size, config.num_queries * width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.leave = nn.Sequential(
            nn.Linear(config.num_queries * width, motion_size), nn.LayerNorm(motion_size)
        )
        self.gate = nn.Linear(2 * motion_size, 1) if config.gate else None
        self.probe = SceneProbe(scene_dim, num_classes) if config.probe else None

    def tokens(
        self,
        tokens_BSD: Tensor,
        random: RowRandom | None,
        *,
        dropout: float = 0.0,
        noise: float = 0.0,
        replaced_B: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Projected tokens `[B, S, width]` and which of them are kept `[B, S]`.

        Args:
            dropout: of tokens, in [0, 1).
            noise: standard deviations of a channel, one draw per clip and channel.
            replaced_B: clips whose scene is replaced by noise. All three need `random`.
        """
        if random is not None and replaced_B is not None and replaced_B.any():
            tokens_BSD = self._partly_replaced(tokens_BSD, random, replaced_B)
        projected = self._standardised_projection(tokens_BSD)
        kept_BS = torch.ones_like(tokens_BSD[..., 0], dtype=torch.bool)
        if random is not None and noise:
            noise_B1D = noise * random.normal("scene.noise", 1, tokens_BSD.shape[2])
            projected = projected + nn.functional.linear(noise_B1D, self.project.weight)
        if random is not None and dropout:
            kept_BS = ~random.chance("scene.tokens", dropout, tokens_BSD.shape[1])
            kept_BS[:, 0] |= ~kept_BS.any(dim=1)
        return self.drop(self.enter(projected), random), kept_BS

    def noise_like(self, tokens_BSD: Tensor, random: RowRandom) -> Tensor:
        """Uninformative tokens: each channel drawn from a normal distribution as wide as the training set's."""
        drawn_BSD = random.normal("scene.replacement", *tokens_BSD.shape[1:])
        return (self.mean_D + self.std_D * drawn_BSD).to(tokens_BSD.dtype)

    def _partly_replaced(self, tokens_BSD: Tensor, random: RowRandom, replaced_B: Tensor) -> Tensor:
        rows = replaced_B.nonzero().squeeze(1)
        noise = self.noise_like(tokens_BSD[rows], random.spread(rows, torch.zeros_like(rows)))
        return tokens_BSD.index_put((rows,), noise)

    def _standardised_projection(self, tokens_BSD: Tensor) -> Tensor:
        """`project((tokens - mean) / std)`, with mean and std folded into the weights: one pass over the tokens."""
        weight = self.project.weight / self.std_D
        bias = self.project.bias - weight @ self.mean_D
        return nn.functional.linear(tokens_BSD.float(), weight, bias)

    def probed(self, tokens_BSD: Tensor) -> Tensor | None:
        """The linear probe's logits `[B, A]`, where there is one."""
        return None if self.probe is None else self.probe(tokens_BSD)

    def forward(
        self,
        tokens_BSD: Tensor,
        kept_BS: Tensor,
        motion_BD: Tensor | None,
        probe_BA: Tensor | None = None,
    ) -> SceneView:
        """Attend to projected tokens by queries of the motion, or by learned queries where it is None.

        Args:
            probe_BA: logits of `probed` for the unaltered tokens, or in training of a probe that did not
                learn from the clip.
        """
        num_rows, heads = tokens_BSD.shape[0], self.config.num_heads
        no_motion_BD = self.no_motion_D.expand(num_rows, -1)
        motion_BD = no_motion_BD if motion_BD is None else motion_BD
        query_BQHD = self.query(motion_BD).view(num_rows, self.config.num_queries, heads, -1)
        key_BSHD = self.key(tokens_BSD).view(num_rows, -1, heads, query_BQHD.shape[-1])
        value_BSHD = self.value(tokens_BSD).view_as(key_BSHD)
        scores = torch.einsum("bqhd,bshd->bqhs", query_BQHD, key_BSHD) / query_BQHD.shape[-1] ** 0.5
        weights_BQHS = scores.masked_fill(~kept_BS[:, None, None], -torch.inf).softmax(dim=-1)
        read = torch.einsum("bqhs,bshd->bqhd", weights_BQHS, value_BSHD)
        scene_BD = self.leave(read.flatten(1))
        gate_B = torch.ones(num_rows, device=scene_BD.device)
        if self.gate is not None:
            gate_B = (self.gate(torch.cat([motion_BD, scene_BD], dim=-1)).squeeze(-1) + 1.0).sigmoid()
        let_in_B = gate_B if probe_BA is None else gate_B.detach()  # with a probe the gate has its own loss
        return SceneView(scene_BD * let_in_B[:, None], weights_BQHS.mean(dim=(1, 2)), gate_B, probe_BA)
