"""How sure a network may be: one temperature, and which confidence is right how often, by clips not learned from.

    logits of held-out clips --temperature with the least loss (Guo et al., 2017)--> probabilities
                             --sorted by confidence--> the threshold above which so many answers are right

The clips are those of val where there are any. Where all clips train, a fifth of them, whole groups, is held out of a
second, short training, which starts from what the first measured of all clips (PCM's prior, scales: no labels).

Letters: N clips, A action classes, B bins.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

TEMPERATURES = (0.1, 20.0)  # least and greatest
MOST_KEPT = 1000  # pairs of confidence and outcome; of more, evenly spaced ones
LEAST_CLIPS = 20  # held out; fewer say nothing
EPOCH_SHARE = (
    0.12  # of a training's epochs that the short second training takes, with four fifths of the clips
)
NUM_BINS = 15
NUM_DRAWS = 200  # of outcomes, for the error that exact probabilities show
DEFAULT_THRESHOLD = 0.5  # below it, an answer is more likely wrong than right


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Of one network; by default, of one about which nothing is known."""

    temperature: float = 1.0  # to divide logits by
    confidence_N: tuple[float, ...] = ()  # of held-out clips' answers by that temperature, descending
    is_right_N: tuple[bool, ...] = ()
    how: str = "not calibrated"

    def threshold(self, min_precision: float | None = None) -> float:
        """The least confidence of an answer; below it the answer is "unsure".

        Args:
            min_precision: least share of right answers among those given. None for the usual threshold, below which
                an answer is more likely wrong than right.

        Returns:
            0 where nothing is known, or where all held-out answers together are right so often: every answer is given
            then, and is right as often as the model is. Above 1 where not even the surest answers are right so often.
        """
        if not self.confidence_N:
            return 0.0
        if min_precision is None:
            return DEFAULT_THRESHOLD
        right = np.cumsum(self.is_right_N) / np.arange(1, len(self.is_right_N) + 1)
        enough = np.flatnonzero(right >= min_precision)
        if not len(enough):
            return 1.01
        return 0.0 if enough[-1] == len(right) - 1 else self.confidence_N[enough[-1]]


def calibration_of(logits_NA: np.ndarray, labels_N: np.ndarray, how: str) -> Calibration:
    """Fitted on clips that the network did not learn from; of too few clips one that changes nothing.

    Args:
        how: which clips these are, in words.
    """
    if len(labels_N) < LEAST_CLIPS:
        return Calibration(how=f"not calibrated: {len(labels_N)} held-out clips are too few")
    temperature = temperature_of(logits_NA, labels_N)
    probabilities_NA = softmax(logits_NA / temperature, axis=1)
    confidence_N = probabilities_NA.max(axis=1)
    is_right_N = probabilities_NA.argmax(axis=1) == labels_N
    order = np.argsort(-confidence_N, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, MOST_KEPT).round().astype(int))]
    return Calibration(
        temperature=temperature,
        confidence_N=tuple(round(float(x), 5) for x in confidence_N[kept]),
        is_right_N=tuple(bool(x) for x in is_right_N[kept]),
        how=f"{len(labels_N)} {how}",
    )


def temperature_of(logits_NA: np.ndarray, labels_N: np.ndarray) -> float:
    """What to divide logits by, so that their probabilities cost the clips the least loss.

    The truth counts for (N + 1) / (N + 2) and not for 1 (Platt, 1999): where all few clips are right, that is not
    certainty.
    """
    num_clips, num_classes = logits_NA.shape
    rest = 1.0 / (num_clips + 2) / max(1, num_classes - 1)
    truth_NA = np.full((num_clips, num_classes), rest)
    truth_NA[np.arange(num_clips), labels_N] = 1.0 - 1.0 / (num_clips + 2)

    def loss(log_temperature: float) -> float:
        return -float(
            (truth_NA * log_softmax(logits_NA / np.exp(log_temperature), axis=1)).sum(axis=1).mean()
        )

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def reliability(probabilities_NA: np.ndarray, labels_N: np.ndarray) -> dict[str, list[float]]:
    """`confidence`, `accuracy` and `share` of the clips of each bin of confidence that holds any."""
    confidence_N = probabilities_NA.max(axis=1)
    is_right_N = probabilities_NA.argmax(axis=1) == labels_N
    bin_N = np.minimum((confidence_N * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = [bin_N == number for number in np.unique(bin_N)]
    return {
        "confidence": [float(confidence_N[in_bin].mean()) for in_bin in bins],
        "accuracy": [float(is_right_N[in_bin].mean()) for in_bin in bins],
        "share": [float(in_bin.mean()) for in_bin in bins],
    }


def expected_calibration_error(probabilities_NA: np.ndarray, labels_N: np.ndarray) -> float:
    """Mean distance of confidence from accuracy over 15 bins of equal width, weighted by their clips, in [0, 1]."""
    bins = reliability(probabilities_NA, labels_N)
    columns = zip(bins["confidence"], bins["accuracy"], bins["share"], strict=True)
    return sum(share * abs(accuracy - confidence) for confidence, accuracy, share in columns)


def calibration_error_if_exact(probabilities_NA: np.ndarray) -> float:
    """The expected calibration error that probabilities like these show on so few clips although they are exact.

    Few clips in a bin are never right exactly as often as they say, so the error of 72 clips is above zero by chance
    alone. Mean over outcomes drawn by the probabilities themselves (consistency resampling, Broecker and Smith, 2007).
    """
    confidence_N = probabilities_NA.max(axis=1)
    is_right_RN = np.random.default_rng(0).random((NUM_DRAWS, len(confidence_N))) < confidence_N
    bin_N = np.minimum((confidence_N * NUM_BINS).astype(int), NUM_BINS - 1)
    in_bin_NB = bin_N[:, None] == np.arange(NUM_BINS)
    off_RB = (is_right_RN - confidence_N) @ in_bin_NB  # clips that were right beyond what was said
    return float(np.abs(off_RB).sum(axis=1).mean() / max(1, len(confidence_N)))


def accuracy_at_coverage(probabilities_NA: np.ndarray, labels_N: np.ndarray) -> dict[str, list[float]]:
    """`coverage` (the share of clips that are answered, the surest first), their `accuracy`, and the `threshold`."""
    confidence_N = probabilities_NA.max(axis=1)
    order = np.argsort(-confidence_N, kind="stable")
    is_right_N = (probabilities_NA.argmax(axis=1) == labels_N)[order]
    places = np.unique(np.linspace(0, len(order) - 1, 20).round().astype(int))
    accuracy_N = np.cumsum(is_right_N) / np.arange(1, len(order) + 1)
    return {
        "coverage": ((places + 1) / len(order)).tolist(),
        "accuracy": accuracy_N[places].tolist(),
        "threshold": confidence_N[order][places].tolist(),
    }
