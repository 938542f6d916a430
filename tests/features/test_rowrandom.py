"""Random streams that belong to rows."""

import numpy as np
import pytest
import torch

from harray.features.rowrandom import RowRandom, _hash


def rows(*numbers):
    return RowRandom(3, 1, torch.tensor(numbers))


def test_a_row_draws_the_same_in_any_company():
    assert torch.equal(rows(4, 9, 2).uniform("a", 5)[1], rows(9).uniform("a", 5)[0])


@pytest.mark.parametrize(
    "other",
    [
        RowRandom(4, 1, torch.tensor([9])).uniform("a", 500),
        RowRandom(3, 2, torch.tensor([9])).uniform("a", 500),
        RowRandom(3, 1, torch.tensor([8])).uniform("a", 500),
        RowRandom(3, 1, torch.tensor([9])).uniform("b", 500),
        rows(9).spread(torch.tensor([0]), torch.tensor([0])).uniform("a", 500),
    ],
    ids=["seed", "step", "row", "use", "part"],
)
def test_another_seed_step_row_use_or_part_draws_otherwise(other):
    draws = torch.cat([rows(9).uniform("a", 500), other])
    assert abs(torch.corrcoef(draws)[0, 1].item()) < 0.15


def test_uniform_draws_fill_the_interval_evenly():
    draws = RowRandom(0, 0, torch.arange(400)).uniform("u", 100)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = torch.histc(draws, 10, 0, 1)
    assert ((counts - 4000).abs() < 300).all()  # five standard deviations of a binomial


def test_normal_draws_have_mean_0_and_deviation_1():
    draws = RowRandom(0, 0, torch.arange(400)).normal("n", 100)
    assert abs(draws.mean().item()) < 0.02
    assert draws.std().item() == pytest.approx(1, abs=0.02)
    assert (draws.abs() > 1.96).float().mean().item() == pytest.approx(0.05, abs=0.01)


def test_a_gpu_draws_what_a_cpu_draws():
    numbers = np.arange(0, 2**32, 987_654_321 // 1000, dtype=np.uint32)
    as_int64 = torch.from_numpy(numbers.astype(np.int64))
    assert np.array_equal(_hash(numbers), _hash(as_int64).numpy())
