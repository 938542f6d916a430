"""Two models on the same clips: who is right more often, how sure that is, and what such a set could show. Pure.

    right or wrong, clip by clip -> won and lost per group -> exact test, interval, smallest difference to be shown

Clips of one group (actor, source video) are right or wrong together, so the group is the unit: the test flips the sign
of whole groups, the bootstrap draws whole groups. Where every clip is a group of its own, the test is McNemar's.

Letters: N clips, G groups, B bootstrap samples, A action classes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

LEVEL = 0.95
POWER = 0.8
NUM_SAMPLES = 4000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Challenger less champion, in top-1 over the same clips."""

    num_clips: int
    num_groups: int
    won: int  # clips that only the challenger has right
    lost: int  # clips that only the champion has right
    champion: float  # top-1
    challenger: float
    low: float  # of the interval of the difference
    high: float
    p_mcnemar: float  # two-sided and exact; takes clips as independent
    p_value: float  # two-sided and exact, whole groups at a time: the one that decides
    p_worse: float  # one-sided: how often chance alone would lose as much
    smallest: (
        float | None
    )  # difference that such a set shows in four of five cases; None: no difference at all

    @property
    def difference(self) -> float:
        return self.challenger - self.champion

    def __str__(self) -> str:
        groups = "" if self.num_groups == self.num_clips else f" in {self.num_groups} groups"
        return (
            f"top-1 {self.challenger:.3f} against {self.champion:.3f}, {self.difference:+.3f} "
            f"({LEVEL:.0%} interval {self.low:+.3f} to {self.high:+.3f}; {self.won} clips won, {self.lost} lost of "
            f"{self.num_clips}{groups}; p = {self.p_value:.2g})"
        )


def compare(
    champion_N: np.ndarray, challenger_N: np.ndarray, groups: Sequence[str], seed: int = 0
) -> Difference:
    """Compare two models.

    Args:
        champion_N, challenger_N: bool, whether each is right; at least one clip.
        groups: a name for each clip, alike for clips that are not independent.
        seed: of the bootstrap.
    """
    gain_N = challenger_N.astype(int) - champion_N.astype(int)
    gain_G, size_G = sums_by_group(gain_N, groups)
    won, lost = int((gain_N > 0).sum()), int((gain_N < 0).sum())
    p_value, p_worse = sign_flip_test(gain_G)
    low, high = bootstrap_interval(gain_G, size_G, seed)
    return Difference(
        num_clips=len(gain_N),
        num_groups=len(size_G),
        won=won,
        lost=lost,
        champion=float(champion_N.mean()),
        challenger=float(challenger_N.mean()),
        low=low,
        high=high,
        p_mcnemar=mcnemar(won, lost),
        p_value=p_value,
        p_worse=p_worse,
        smallest=smallest_difference(gain_G, size_G),
    )


def mcnemar(won: int, lost: int) -> float:
    """Exact two-sided p of McNemar's test (1947): under no difference a discordant clip is won as often as lost.

    >>> mcnemar(10, 2)
    0.0385...
    """
    return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0


def sums_by_group(gain_N: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Clips won less clips lost `[G]`, and clips `[G]`."""
    _, number_N = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return np.bincount(number_N, weights=gain_N).round().astype(int), np.bincount(number_N)


def sign_flip_test(gain_G: np.ndarray) -> tuple[float, float]:
    """Exact p of the groups' sign-flip permutation test (Fisher, 1935): two-sided, and one-sided for a loss.

    Under no difference each group's gain is as likely as its opposite, independently of the others.
    """
    chance, found = np.ones(1), int(gain_G.sum())
    for size, count in sorted(Counter(np.abs(gain_G[gain_G != 0]).tolist()).items()):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = _heads(count)
        chance = np.convolve(chance, of_size)
    total_S = np.arange(len(chance)) - len(chance) // 2
    two_sided = chance[np.abs(total_S) >= abs(found)].sum()
    return min(1.0, float(two_sided)), min(1.0, float(chance[total_S <= found].sum()))


@lru_cache(maxsize=256)
def _heads(count: int) -> np.ndarray:
    """Chances of each number of heads in so many throws."""
    return stats.binom.pmf(np.arange(count + 1), count, 0.5)


def bootstrap_interval(gain_G: np.ndarray, size_G: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean gain per clip, by drawing groups with replacement.

    Percentiles are taken further out the fewer the groups (the expanded percentile interval of Hesterberg, 2014), and
    one clip more is taken as won and one as lost (as Agresti and Min, 2005, do): where two models agree on all of 30
    clips, the next may still differ.
    """
    gain_G, size_G = np.append(gain_G, [1, -1]), np.append(size_G, [1, 1])
    num = len(gain_G)
    outer = stats.norm.cdf(np.sqrt(num / (num - 1)) * stats.t.ppf((1 - LEVEL) / 2, max(1, num - 3)))
    random, means_B = np.random.default_rng(seed), []
    at_once = max(1, min(NUM_SAMPLES, 4_000_000 // num))
    for start in range(0, NUM_SAMPLES, at_once):
        drawn_BG = random.multinomial(num, np.full(num, 1 / num), min(at_once, NUM_SAMPLES - start))
        means_B.append((drawn_BG @ gain_G) / (drawn_BG @ size_G))
    low, high = np.quantile(np.concatenate(means_B), [outer, 1 - outer])
    return float(max(-1.0, low)), float(min(1.0, high))


def smallest_difference(gain_G: np.ndarray, size_G: np.ndarray) -> float | None:
    """The true difference that such clips show, beyond chance, in four of five cases; None where they show none.

    From the groups' variance as it is found here, and what the difference itself would add to it.
    """
    num, num_clips = len(gain_G), int(size_G.sum())
    if 2 * 0.5**num > 1 - LEVEL:
        return None  # if all groups were won, chance might have done it
    mean = gain_G.sum() / num_clips
    variance = (np.square(gain_G - mean * size_G).sum() * num / (num - 1) + 2) / num_clips**2
    together = max(1.0, float(np.square(size_G).sum() / num_clips)) if np.any(size_G > 1) else 1.0
    alike = min(together, max(1.0, variance * num_clips**2 / max(1, np.abs(gain_G).sum())))
    reach = stats.t.ppf((1 + LEVEL) / 2, num - 1) + stats.t.ppf(POWER, num - 1)
    added = reach**2 * alike / num_clips
    smallest = (added + np.sqrt(added**2 + 4 * reach**2 * variance)) / 2 + 1 / num_clips  # clips are whole
    return float(smallest) if smallest < 1 else None


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number (Holm, 1979), in the order of the names.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted, largest = {}, 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
