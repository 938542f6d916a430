"""Random numbers that belong to a row, whatever batch, worker or device it lands on.

A hash of (seed, step, row, use, element) takes the place of a generator's state, so training with N workers
draws what one process draws, and a resumed run draws what the undisturbed one would have drawn.

Letters: B rows.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9  # spreads neighbouring counters over the 32 bits
_Bits = np.ndarray | Tensor  # uint32 arrays on the CPU, where numpy is several times as fast; elsewhere int64


class RowRandom:
    """Uniform and normal draws, one independent stream per row.

    Args:
        seed: of the run.
        step: such as the epoch; another step draws anew.
        rows_B: int64 numbers of the rows in the whole data set, not in the batch.
    """

    def __init__(self, seed: int, step: int, rows_B: Tensor):
        self.device = rows_B.device
        keys_B = _hash(self._bits(rows_B) * _GOLDEN + _hash_int(seed))
        self.keys_B = _hash(keys_B ^ _hash_int(step + 0x5BD1))

    def __len__(self) -> int:
        return len(self.keys_B)

    def spread(self, row_M: Tensor, part_M: Tensor) -> "RowRandom":
        """Streams for parts of rows, such as people: one for each (place of the row here, part)."""
        spread = RowRandom.__new__(RowRandom)
        spread.device = self.device
        own_M = self.keys_B[row_M if isinstance(self.keys_B, Tensor) else row_M.numpy()]
        spread.keys_B = _hash(own_M + (self._bits(part_M) + 1) * _GOLDEN)
        return spread

    def uniform(self, use: str, *shape: int) -> Tensor:
        """Float32 `[B, *shape]` in [0, 1); the same `use` and shape always give the same numbers."""
        return (_floats(self._draw(use, math.prod(shape)) >> 8) / (1 << 24)).reshape(-1, *shape)

    def symmetric(self, use: str, *shape: int) -> Tensor:
        """Float32 `[B, *shape]` in [-1, 1)."""
        return self.uniform(use, *shape) * 2 - 1

    def normal(self, use: str, *shape: int) -> Tensor:
        """Standard normal float32 `[B, *shape]`, two of each 32 bits (Box and Muller, 1958); below 4.9 in size."""
        count = math.prod(shape)
        bits_BE = self._draw(use, (count + 1) // 2)
        radius = (-2 * ((_floats(bits_BE >> 16) + 0.5) / (1 << 16)).log()).sqrt()
        angle = _floats(bits_BE & 0xFFFF) * (2 * math.pi / (1 << 16))
        return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count].reshape(-1, *shape)

    def chance(self, use: str, probability: float, *shape: int) -> Tensor:
        """Bool `[B, *shape]`, True with the given probability."""
        return self.uniform(use, *shape) < probability

    def _draw(self, use: str, count: int) -> _Bits:
        """32 bits for each of `count` elements of every row, `[B, E]`."""
        counters = self._bits(torch.arange(count, device=self.device)) * _GOLDEN
        keys_B = _hash(self.keys_B ^ zlib.crc32(use.encode()))
        return _hash(keys_B[:, None] + counters)

    def _bits(self, x: Tensor) -> _Bits:
        return x.numpy().astype(np.uint32) if self.device.type == "cpu" else x.to(torch.int64)


def _hash(x: _Bits) -> _Bits:
    """lowbias32 (Ellis 2018, nullprogram.com/blog/2018/07/31): every input bit flips half of the output bits.

    Takes the place of its argument. Only int64 needs the mask; uint32 wraps by itself.
    """
    wraps = not isinstance(x, Tensor)
    x &= _MASK
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> shift
        x *= factor
        if not wraps:
            x &= _MASK
    x ^= x >> 16
    return x


def _floats(bits: _Bits) -> Tensor:
    return bits.to(torch.float32) if isinstance(bits, Tensor) else torch.from_numpy(bits.astype(np.float32))


def _hash_int(x: int) -> int:
    return int(_hash(torch.tensor(x & _MASK, dtype=torch.int64)))
