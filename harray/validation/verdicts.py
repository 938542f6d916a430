"""What a comparison comes to, in a line: which is better, by how much, and whether chance explains it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harray.validation.ablations import Comparison
from harray.validation.cross_validation import FULL, CrossValidation

LEVEL = 0.95
FEWEST = 3  # samples that a verdict takes: two that happen to agree would be beyond doubt


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean, and where it lies with 95% confidence by Student's t; as wide as can be for a single sample."""

    mean: float
    low: float
    high: float
    num_samples: int

    @classmethod
    def of(cls, samples: np.ndarray) -> "Interval":
        """Args: samples: `[S]` independent ones."""
        mean, num = float(samples.mean()), len(samples)
        if num < 2:
            return cls(mean=mean, low=-np.inf, high=np.inf, num_samples=num)
        half = stats.t.ppf((1 + LEVEL) / 2, num - 1) * samples.std(ddof=1) / np.sqrt(num)
        return cls(mean=mean, low=float(mean - half), high=float(mean + half), num_samples=num)

    def __str__(self) -> str:
        return f"{LEVEL:.0%} interval {self.low:.3f} to {self.high:.3f}"


def verdict(name: str, full_minus_this: np.ndarray, of: str) -> str:
    """Which of `full` and `name` is better, judged by paired differences of top-1 `[S]`.

    Args:
        of: what the samples are, such as "seeds".

    >>> verdict("without pcm", np.array([0.03, 0.04, 0.05]), "seeds")
    'full is better than without pcm by 0.040 (95% interval 0.015 to 0.065 over 3 seeds)'
    """
    found = Interval.of(full_minus_this)
    if found.num_samples < FEWEST:
        return f"full and {name} differ by {found.mean:+.3f}; {found.num_samples} {of} say too little about chance"
    over = f"{found} over {found.num_samples} {of}"
    if found.low > 0:
        return f"full is better than {name} by {found.mean:.3f} ({over})"
    if found.high < 0:
        better = Interval(mean=-found.mean, low=-found.high, high=-found.low, num_samples=found.num_samples)
        return f"{name} is better than full by {better.mean:.3f} ({better} over {found.num_samples} {of})"
    return f"full and {name} cannot be told apart: {found.mean:+.3f} ({over})"


def verdicts_of_ablation(comparison: Comparison) -> dict[str, str]:
    """A line for every variant but `full`: seed by seed, with nothing hidden, and over all that was hidden."""
    curves: Mapping[str, Mapping[str, np.ndarray]] = comparison.top1
    names = [name for name in next(iter(curves.values())) if name != FULL]
    hidden = np.array(comparison.hidden_shares) > 0
    said = {}
    for name in names:
        lost_KSH = np.array([of_kind[FULL] - of_kind[name] for of_kind in curves.values()])
        plainly = verdict(name, lost_KSH[0][:, ~hidden].mean(axis=1), "seeds")
        occluded = verdict(name, lost_KSH[:, :, hidden].mean(axis=(0, 2)), "seeds")
        said[name] = f"with nothing hidden {plainly}; with joints hidden {occluded}"
    return said


def verdicts_of_cross_validation(found: CrossValidation) -> dict[str, str]:
    """A line for every variant but `full`, fold by fold, each the mean of its seeds; of `full` alone, its score."""
    top1_F = {
        name: scores.parts["fusion"].top1.values_SF.mean(axis=0) for name, scores in found.variants.items()
    }
    if len(top1_F) == 1:
        (name, values), folds = next(iter(top1_F.items())), len(found.fold_sizes)
        mean = Interval.of(values)
        return {name: f"top-1 {mean.mean:.4f} ({mean} over {folds} folds)"}
    full = top1_F[FULL]
    return {name: verdict(name, full - values, "folds") for name, values in top1_F.items() if name != FULL}
