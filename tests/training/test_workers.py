"""Which worker computes which rows of which batch."""

from collections import Counter

import pytest
import torch

from harray.training.workers import WorkerGroup, epoch_batches


@pytest.mark.parametrize("num_rows", [1, 5, 8, 33, 100])
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_every_row_comes_once_in_batches_of_nearly_equal_size(num_rows, batch_size):
    batches = epoch_batches(num_rows, batch_size, seed=0, epoch=3)
    assert sorted(torch.cat(batches).tolist()) == list(range(num_rows))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_epochs_and_seeds_shuffle_anew_and_repeat_exactly():
    first, again = (torch.cat(epoch_batches(50, 8, seed=0, epoch=1)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.cat(epoch_batches(50, 8, seed=0, epoch=2)))
    assert not torch.equal(first, torch.cat(epoch_batches(50, 8, seed=1, epoch=1)))


@pytest.mark.parametrize("size", [2, 4, 8])
def test_workers_have_equal_work_in_every_batch(size):
    for batch in epoch_batches(128, 32, seed=0, epoch=1):
        counts = Counter((batch % size).tolist())
        assert sorted(counts.values()) == [32 // size] * size


@pytest.mark.parametrize(("size", "num_rows"), [(1, 5), (2, 5), (3, 10), (4, 2)])
def test_shares_are_disjoint_and_complete(size, num_rows):
    shares = [WorkerGroup(rank, size).share(num_rows).tolist() for rank in range(size)]
    assert sorted(row for share in shares for row in share) == list(range(num_rows))
