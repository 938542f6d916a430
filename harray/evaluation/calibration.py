"""Calibration of a model's probabilities on the clips of an evaluation.

Letters: N clips, A action classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harray.training.calibration import (
    Calibration,
    accuracy_at_coverage,
    calibration_error_if_exact,
    expected_calibration_error,
    reliability,
)


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """Of the answers by pose and scene together."""

    temperature: float
    how: str  # by which clips the temperature was found
    expected_calibration_error: float
    calibration_error_if_exact: float  # what chance alone gives so few clips, were the probabilities exact
    min_precision: float | None  # that was asked for
    threshold: float  # probability below which an answer is "unsure"
    precision: float | None  # share right of those answered; None where none is
    coverage: float  # share answered
    reliability: Mapping[str, Sequence[float]]  # confidence, accuracy and share of each bin
    curve: Mapping[str, Sequence[float]]  # coverage, accuracy and threshold, the surest first

    @property
    def line(self) -> str:
        """In a sentence."""
        right = "none" if self.precision is None else f"{self.precision:.3f} of them right"
        said = f'"unsure" below {self.threshold:.2f}: {self.coverage:.0%} answered, {right}'
        if self.min_precision is not None and self.threshold == 0:
            said = f"no threshold is needed for {self.min_precision:g}: all answered, {right}"
        return (
            f"expected calibration error {self.expected_calibration_error:.3f} (exact probabilities on so many clips: "
            f"{self.calibration_error_if_exact:.3f}; temperature {self.temperature:.2f}, {self.how}); {said}"
        )


def calibration_report(
    calibration: Calibration,
    min_precision: float | None,
    probabilities_NA: np.ndarray,
    labels_N: np.ndarray,
) -> CalibrationReport:
    """Measure calibrated probabilities against labels; evidence plays no part."""
    threshold = calibration.threshold(min_precision)
    answered_N = probabilities_NA.max(axis=1) >= threshold
    is_right_N = probabilities_NA.argmax(axis=1) == labels_N
    return CalibrationReport(
        temperature=calibration.temperature,
        how=calibration.how,
        expected_calibration_error=expected_calibration_error(probabilities_NA, labels_N),
        calibration_error_if_exact=calibration_error_if_exact(probabilities_NA),
        min_precision=min_precision,
        threshold=threshold,
        precision=float(is_right_N[answered_N].mean()) if answered_N.any() else None,
        coverage=float(answered_N.mean()),
        reliability=reliability(probabilities_NA, labels_N),
        curve=accuracy_at_coverage(probabilities_NA, labels_N),
    )
