"""Multinomial logistic regression: a linear model of features, which a network has to beat and may start from.

    features [N, D] -> centred, scaled -> all principal components [N, R], R <= min(N, D) -> L-BFGS -> weights [D, A]

Letters: N clips, D features, R components, A action classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

STRENGTHS = (1.0, 10.0, 100.0)  # weights of the data against the penalty, to choose from
USUAL_STRENGTH = 10.0  # where there is nothing to choose by
INNER_FOLDS = 4
MOST_CHOOSERS = 500  # clips to choose by: the best strength hardly depends on their number
SMALLEST_VARIANCE = 1e-6  # of a component, as a share of the largest's; the rest is rounding of float32

ONE_THREAD = threadpool_limits.wrap(limits=1, user_api="blas")  # more gain little, and crawl on busy cores


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """Logits `features_ND @ weight_DA + bias_A`, of features as they come."""

    weight_DA: np.ndarray  # float64
    bias_A: np.ndarray  # float64

    @classmethod
    @ONE_THREAD
    def fit(
        cls,
        features_ND: np.ndarray,
        labels_N: np.ndarray,
        num_classes: int,
        *,
        strength: float,
        neutral_MD: np.ndarray | None = None,
    ) -> "LinearProbe":
        """Minimise `|weight|^2 / 2 - strength * (sum over clips of log p(label))`; the bias is free.

        That is scikit-learn's `LogisticRegression(C=strength)`, for two classes `C=2 * strength`, on features that
        are centred and divided by one number, so that the mean squared length of a clip's is 1: one strength suits
        few features and many.

        Args:
            neutral_MD: features that should tell nothing: every class counts as equally true of them.
        """
        truth_NA = np.eye(num_classes)[labels_N]
        if neutral_MD is not None:
            features_ND = np.concatenate([features_ND, neutral_MD])
            truth_NA = np.concatenate([truth_NA, np.full((len(neutral_MD), num_classes), 1 / num_classes)])
        middle_D, scale, values_NR, basis_DR = _components(features_ND)
        weight_RA, bias_A = _fitted(values_NR, truth_NA, strength)
        weight_DA = basis_DR @ weight_RA / scale
        return cls(weight_DA=weight_DA, bias_A=bias_A - middle_D @ weight_DA)

    def logits(self, features_ND: np.ndarray) -> np.ndarray:
        """`[N, A]`."""
        return features_ND @ self.weight_DA + self.bias_A

    def probabilities(self, features_ND: np.ndarray) -> np.ndarray:
        """`[N, A]`; rows sum to 1."""
        return np.exp(log_softmax(self.logits(features_ND), axis=1))


@ONE_THREAD
def strength_for(
    features_ND: np.ndarray, labels_N: np.ndarray, ties: Sequence[str], num_classes: int
) -> float:
    """The strength with the lowest loss on held-out folds of these clips; what is tied is held out together.

    Args:
        ties: a name for each clip, such as its group; alike for clips of which none should say anything of another.
    """
    num_folds = min(INNER_FOLDS, len(set(ties)))
    if num_folds < 2:
        return USUAL_STRENGTH
    fold_N = inner_folds(labels_N.tolist(), ties, num_folds * -(-len(ties) // MOST_CHOOSERS))
    chosen_N = fold_N < num_folds
    fold_N, labels_N = fold_N[chosen_N], labels_N[chosen_N]
    values_NR = _components(features_ND[chosen_N])[2]
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for fold in range(num_folds):
        rest_N, held_out_N = fold_N != fold, fold_N == fold
        for strength in STRENGTHS:
            weight_RA, bias_A = _fitted(values_NR[rest_N], np.eye(num_classes)[labels_N[rest_N]], strength)
            log_MA = log_softmax(values_NR[held_out_N] @ weight_RA + bias_A, axis=1)
            losses[strength] -= np.take_along_axis(log_MA, labels_N[held_out_N, None], axis=1).sum()
    return min(STRENGTHS, key=losses.__getitem__)


def inner_folds(labels: Sequence[int], ties: Sequence[str], num_folds: int) -> np.ndarray:
    """Number of each clip's fold; ties are dealt in turn, those of one class after those of another."""
    first: dict[str, int] = {}
    for label, tie in sorted(zip(labels, ties, strict=True)):
        first.setdefault(tie, label)
    in_order = sorted(first, key=lambda tie: (first[tie], tie))
    fold = {tie: place % num_folds for place, tie in enumerate(in_order)}
    return np.array([fold[tie] for tie in ties])


def _components(features_ND: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Middle `[D]`, scale, principal components `[N, R]` of `(features - middle) / scale`, and their basis `[D, R]`.

    By the smaller of the two Gram matrices, so that few clips of many features cost little.
    """
    middle_D = features_ND.mean(axis=0, dtype=np.float64)
    x_ND = (features_ND - middle_D).astype(np.float32)
    scale = float(np.sqrt(np.square(x_ND).sum(axis=1).mean(dtype=np.float64))) or 1.0
    x_ND /= scale
    if len(x_ND) < x_ND.shape[1]:
        variance_R, left_NR = np.linalg.eigh((x_ND @ x_ND.T).astype(np.float64))
        known_R = variance_R > SMALLEST_VARIANCE * variance_R.max()
        length_R = np.sqrt(variance_R[known_R])
        return middle_D, scale, left_NR[:, known_R] * length_R, x_ND.T @ (left_NR[:, known_R] / length_R)
    variance_R, basis_DR = np.linalg.eigh((x_ND.T @ x_ND).astype(np.float64))
    basis_DR = basis_DR[:, variance_R > SMALLEST_VARIANCE * variance_R.max()]
    return middle_D, scale, x_ND @ basis_DR, basis_DR


def _fitted(values_NR: np.ndarray, truth_NA: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[R, A]` and bias `[A]`.

    Each component's weights are divided by their curvature at 0, by which few steps lead to the minimum.
    """
    x_NR, num_classes = np.column_stack([values_NR, np.ones(len(values_NR))]), truth_NA.shape[1]
    penalty_R1 = np.append(np.ones(values_NR.shape[1]), 0.0)[:, None]
    curvature_R1 = penalty_R1 + strength / num_classes * np.square(x_NR).sum(axis=0)[:, None]
    unit_R1 = 1 / np.sqrt(curvature_R1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight_RA = flat.reshape(-1, num_classes) * unit_R1
        log_NA = log_softmax(x_NR @ weight_RA, axis=1)
        value = np.square(penalty_R1 * weight_RA).sum() / 2 - strength * (log_NA * truth_NA).sum()
        slope_RA = penalty_R1 * weight_RA + strength * (x_NR.T @ (np.exp(log_NA) - truth_NA))
        return value, (slope_RA * unit_R1).ravel()

    start = np.zeros(x_NR.shape[1] * num_classes)
    options = {"maxiter": 500, "ftol": 1e-8, "gtol": 1e-4}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weight_RA = found.x.reshape(-1, num_classes) * unit_R1
    return weight_RA[:-1], weight_RA[-1]
