"""Dropout whose masks belong to the row, so that N workers drop what one process drops."""

from torch import Tensor, nn

from harray.features.rowrandom import RowRandom


class RowDropout(nn.Module):
    """Zero whole channels (the last dimension) of each row in training, and scale the rest up.

    Args:
        use: names the place in the network; two places with one name would drop alike.
        probability: in [0, 1).
    """

    def __init__(self, use: str, probability: float):
        super().__init__()
        self.use = use
        self.probability = probability

    def forward(self, x: Tensor, random: RowRandom | None) -> Tensor:
        """`x` is `[B, ..., D]`; the mask `[B, D]` is shared by what stands between. Nothing without `random`."""
        if random is None or not self.training or self.probability == 0:
            return x
        kept = ~random.chance(self.use, self.probability, x.shape[-1])
        mask = kept.to(x.dtype) / (1 - self.probability)
        return x * mask.reshape(len(x), *[1] * (x.dim() - 2), x.shape[-1])
