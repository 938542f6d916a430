"""Several people's vectors -> the clip's motion vector; people attend to each other on the way.

Letters: B batch, P people, D features.
"""

import torch
from torch import Tensor, nn

from harray.model.config import MMEConfig


class People(nn.Module):
    def __init__(self, config: MMEConfig, num_people: int):
        super().__init__()
        width = config.width
        self.place_PD = nn.Parameter(
            torch.randn(num_people, width) * 0.02
        )  # the first track is the best seen
        self.norm: nn.LayerNorm | None = None
        self.attention: nn.MultiheadAttention | None = None
        if config.people_attention and num_people > 1:
            self.norm = nn.LayerNorm(width)
            self.attention = nn.MultiheadAttention(width, config.num_heads, batch_first=True)
        self.join = nn.Linear(2 * width, width)
        self.leave = nn.LayerNorm(width)

    def forward(self, people_BPD: Tensor, present_BP: Tensor) -> Tensor:
        """Motion vectors `[B, D]`; absent people are masked. Every row has at least one present."""
        x_BPD = people_BPD + self.place_PD[: people_BPD.shape[1]]
        if self.attention is not None and self.norm is not None:
            y_BPD = self.norm(x_BPD)
            absent_BP = ~present_BP  # torch's polarity: True = ignored
            x_BPD = (
                x_BPD + self.attention(y_BPD, y_BPD, y_BPD, key_padding_mask=absent_BP, need_weights=False)[0]
            )
        here = present_BP[..., None]
        strongest_BD = x_BPD.masked_fill(~here, -torch.inf).amax(dim=1)
        total_BD = (x_BPD * here).sum(dim=1)
        return self.leave(self.join(torch.cat([strongest_BD, total_BD], dim=-1)))
