"""The result of a comparison in a line: which is better, by how much, and whether chance explains it."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from harray.validation.cross_validation import FULL, CrossValidation, VariantScores

LEVEL = 0.95
FEWEST = 3  # samples for a verdict; two that happen to agree would look certain


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


def verdicts_of_cross_validation(found: CrossValidation) -> dict[str, str]:
    """A line for every variant but `full`, or of `full` alone its score.

    Judged fold by fold, each the mean of its seeds; of a single fold, such as a split, seed by seed. Where joints were
    hidden too, what that comes to is judged apart, as the mean of all that was hidden.
    """
    top1 = {name: _samples(scores.parts["fusion"].top1.values_SF) for name, scores in found.variants.items()}
    of = "folds" if len(found.fold_sizes) > 1 else "seeds"
    if len(top1) == 1:
        name, values = next(iter(top1.items()))
        mean = Interval.of(values)
        return {name: f"top-1 {mean.mean:.4f} ({mean} over {len(values)} {of})"}
    hidden = {name: _hidden(scores) for name, scores in found.variants.items()}
    said = {}
    for name in top1.keys() - {FULL}:
        said[name] = verdict(name, top1[FULL] - top1[name], of)
        if len(hidden[name]):
            occluded = verdict(name, (hidden[FULL] - hidden[name]).mean(axis=0), of)
            said[name] = f"with nothing hidden {said[name]}; with joints hidden {occluded}"
    return {name: said[name] for name in top1 if name in said}


def _samples(values_SF: np.ndarray) -> np.ndarray:
    """Of each fold the mean over seeds, or of a single fold every seed."""
    return values_SF.mean(axis=0) if values_SF.shape[1] > 1 else values_SF[:, 0]


def _hidden(scores: VariantScores) -> np.ndarray:
    """`[parts, samples]`: top-1 of all that was scored with joints hidden."""
    parts = [part for name, part in scores.parts.items() if " hidden " in name]
    return np.array([_samples(part.top1.values_SF) for part in parts])
