"""Random numbers that belong to a row, whatever batch, worker or device it lands on.

A hash of (seed, step, row, use, element) takes the place of a generator's state, so training with N workers
draws what one process draws, and a resumed run draws what the undisturbed one would have drawn.

Letters: B rows.
"""

import math
import zlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9  # spreads neighbouring counters over the 32 bits


class RowRandom:
    """Uniform and normal draws, one independent stream per row.

    Args:
        seed: of the run.
        step: such as the epoch; another step draws anew.
        rows_B: int64 numbers of the rows in the whole data set, not in the batch.
    """

    def __init__(self, seed: int, step: int, rows_B: Tensor):
        keys_B = _hash(rows_B.to(torch.int64) * _GOLDEN + _hash_int(seed))
        self.keys_B = _hash(keys_B ^ _hash_int(step + 0x5BD1))

    def __len__(self) -> int:
        return len(self.keys_B)

    @property
    def device(self) -> torch.device:
        return self.keys_B.device

    def spread(self, row_M: Tensor, part_M: Tensor) -> "RowRandom":
        """Streams for parts of rows, such as people: one for each (place of the row here, part)."""
        spread = RowRandom.__new__(RowRandom)
        spread.keys_B = _hash(self.keys_B[row_M] + (part_M + 1) * _GOLDEN)
        return spread

    def uniform(self, use: str, *shape: int) -> Tensor:
        """Float32 `[B, *shape]` in [0, 1); the same `use` and shape always give the same numbers."""
        counters = torch.arange(math.prod(shape), device=self.device, dtype=torch.int64) * _GOLDEN
        keys_B1 = _hash(self.keys_B ^ zlib.crc32(use.encode()))[:, None]
        bits_BE = _hash((keys_B1 + counters) & _MASK)
        return ((bits_BE >> 8).to(torch.float32) / (1 << 24)).reshape(-1, *shape)

    def symmetric(self, use: str, *shape: int) -> Tensor:
        """Float32 `[B, *shape]` in [-1, 1)."""
        return self.uniform(use, *shape) * 2 - 1

    def normal(self, use: str, *shape: int) -> Tensor:
        """Standard normal float32 `[B, *shape]` (Box and Muller, 1958)."""
        radius = (-2 * torch.log1p(-self.uniform(use + ".radius", *shape))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(use + ".angle", *shape))

    def chance(self, use: str, probability: float, *shape: int) -> Tensor:
        """Bool `[B, *shape]`, True with the given probability."""
        return self.uniform(use, *shape) < probability


def _hash(x: Tensor) -> Tensor:
    """lowbias32 (Ellis 2018, nullprogram.com/blog/2018/07/31): every input bit flips half of the output bits."""
    x = x & _MASK
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def _hash_int(x: int) -> int:
    return int(_hash(torch.tensor(x & _MASK, dtype=torch.int64)))
