"""Which rows a worker trains on: several workers together compute what one process would.

Every worker owns a fixed share of the rows. A batch is drawn from all rows by a seeded permutation, and each
worker computes the rows of it that it owns; losses are divided by the whole batch's size, so the sum over
workers is what one process computes.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor

NUM_STRATA = 8  # rows r, r + 8, r + 16... spread evenly over batches, so up to 8 workers have equal work


@dataclass(frozen=True)
class WorkerGroup:
    """This process's place among the workers."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def current() -> "WorkerGroup":
        """The workers of torch.distributed where it is initialised, else this process alone."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return WorkerGroup(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return WorkerGroup()

    def share(self, num_rows: int) -> Tensor:
        """Rows that this worker owns, ascending; the workers' shares are disjoint and complete."""
        return torch.arange(num_rows)[self.rank :: self.size]

    def summed(self, x: Tensor) -> Tensor:
        """The sum of `x` over workers, on every one of them."""
        if self.size == 1:
            return x
        total = x.clone()
        torch.distributed.all_reduce(total)
        return total

    def gathered(self, share_NX: Tensor, num_rows: int) -> Tensor:
        """`[num_rows, ...]` from the workers' shares, on every one of them."""
        whole = share_NX.new_zeros(num_rows, *share_NX.shape[1:])
        whole[self.share(num_rows).to(whole.device)] = share_NX
        return self.summed(whole)

    def collected(self, rows_NX: Tensor) -> Tensor:
        """The rows of all workers, one worker's after another's, on every one of them."""
        if self.size == 1:
            return rows_NX
        everyone: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(everyone, rows_NX)
        return torch.cat(everyone)


def epoch_batches(num_rows: int, batch_size: int, *, seed: int, epoch: int) -> list[Tensor]:
    """The epoch's batches of row numbers: every row once, sizes differing by one at most."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    strata = [torch.arange(first, num_rows, NUM_STRATA) for first in range(min(NUM_STRATA, num_rows))]
    shuffled = [rows[torch.randperm(len(rows), generator=generator)] for rows in strata]
    turns = torch.cat([torch.arange(len(rows)) + torch.rand(1, generator=generator) for rows in shuffled])
    order = torch.cat(shuffled)[turns.argsort(stable=True)]
    return list(order.tensor_split(max(1, -(-num_rows // batch_size))))
