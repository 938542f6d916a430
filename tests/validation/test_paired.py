"""Comparison of two models: hand-worked values, independent formulas, and what the gate's test does in simulation."""

from math import comb

import numpy as np
import pytest

from harray.validation.paired import (
    bootstrap_interval,
    compare,
    holm,
    mcnemar,
    sign_flip_test,
    smallest_difference,
)

SIMULATIONS = 2000


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (6, 0, 2 / 64),
        (5, 1, 2 * (1 + 6) / 64),
        (10, 2, 2 * (comb(12, 0) + comb(12, 1) + comb(12, 2)) / 2**12),
    ],
)
def test_mcnemar_is_exact_and_the_sign_flip_test_of_single_clips_is_the_same(won, lost, p):
    assert mcnemar(won, lost) == pytest.approx(p)
    gain_G = np.array([1] * won + [-1] * lost + [0] * 7)
    assert sign_flip_test(gain_G)[0] == pytest.approx(p)


def test_the_sign_flip_test_counts_every_way_to_flip_whole_groups():
    gain_G = np.array([3, -1, 2, 2, 0])
    signs = np.array([[1 if number >> bit & 1 else -1 for bit in range(5)] for number in range(32)])
    totals = signs @ gain_G
    two_sided, worse = sign_flip_test(gain_G)
    assert two_sided == pytest.approx((np.abs(totals) >= 6).mean())
    assert worse == pytest.approx((totals <= 6).mean())


def test_clips_of_one_group_are_no_evidence_of_their_own():
    champion, challenger = np.zeros(30, bool), np.zeros(30, bool)
    challenger[:10] = True
    alone = compare(champion, challenger, [str(clip) for clip in range(30)])
    together = compare(champion, challenger, [str(clip // 10) for clip in range(30)])
    assert (alone.won, alone.lost, alone.difference) == (10, 0, pytest.approx(1 / 3))
    assert alone.p_value == pytest.approx(2 / 2**10) == together.p_mcnemar
    assert together.p_value == 1.0  # one of three groups gained
    assert together.smallest is None
    assert together.low < 0 < alone.low


def test_agreement_on_few_clips_does_not_rule_out_a_difference_on_the_next():
    for num, widest in ((30, 0.12), (3000, 0.0012)):
        low, high = bootstrap_interval(np.zeros(num, int), np.ones(num, int))
        assert -widest < low < -1 / num and 1 / num < high < widest


def test_the_interval_of_many_independent_clips_is_the_normal_one():
    gain = np.array([1] * 60 + [-1] * 40 + [0] * 900)
    low, high = bootstrap_interval(gain, np.ones(1000, int))
    error = np.sqrt((np.square(gain).mean() - gain.mean() ** 2) / 1000)
    assert (low, high) == (
        pytest.approx(gain.mean() - 1.96 * error, abs=0.002),
        pytest.approx(gain.mean() + 1.96 * error, abs=0.002),
    )


def test_holms_correction():
    assert holm({}) == {}
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def drawn_gains(random, sizes_G, discordant, difference, alike):
    """Clips won less clips lost per group; with probability `alike` all clips of a group go the same way."""
    gains = []
    for size in sizes_G:
        drawn = random.random(1 if random.random() < alike else size)
        won, lost = drawn < (discordant + difference) / 2, drawn >= 1 - (discordant - difference) / 2
        gains.append((int(won.sum()) - int(lost.sum())) * (size // len(drawn)))
    return np.array(gains)


def share_shown(sizes_G, discordant, difference, alike):
    """How often the challenger is shown to be better."""
    random = np.random.default_rng(5)
    passed = 0
    for _ in range(SIMULATIONS):
        gain_G = drawn_gains(random, sizes_G, discordant, difference, alike)
        passed += gain_G.sum() > 0 and sign_flip_test(gain_G)[0] < 0.05
    return passed / SIMULATIONS


SETS = {
    "independent clips": ([1] * 200, 0.1, 0.0),
    "few independent clips": ([1] * 60, 0.2, 0.0),
    "groups that go together": ([3, 5, 8] * 10, 0.15, 0.6),
    "few groups that go together": ([10] * 12, 0.2, 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_without_a_difference_one_in_twenty_passes_at_most_and_with_the_stated_one_four_in_five(name):
    sizes, discordant, alike = SETS[name]
    assert share_shown(sizes, discordant, 0.0, alike) <= 0.05
    random = np.random.default_rng(1)
    stated = [
        smallest_difference(drawn_gains(random, sizes, discordant, 0.0, alike), np.array(sizes))
        for _ in range(200)
    ]
    difference = float(np.mean([size for size in stated if size is not None]))
    assert share_shown(sizes, discordant + difference, difference, alike) >= 0.8
