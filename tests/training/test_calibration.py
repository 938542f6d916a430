"""Temperatures and thresholds against answers worked out by hand; a checkpoint keeps them."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax

from harray.training.calibration import (
    Calibration,
    accuracy_at_coverage,
    calibration_error_if_exact,
    calibration_of,
    expected_calibration_error,
    reliability,
    temperature_of,
)
from harray.training.checkpoint import CALIBRATION_FILE, load_checkpoint, save_checkpoint
from tests.toys import untrained_checkpoint


def drawn(num_clips: int, factor: float, num_classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is right as often as it says, times a factor."""
    rng = np.random.default_rng(0)
    logits_NA = rng.normal(0, 2, (num_clips, num_classes))
    probabilities = np.exp(logits_NA) / np.exp(logits_NA).sum(1, keepdims=True)
    labels_N = np.array([rng.choice(num_classes, p=row) for row in probabilities])
    return factor * logits_NA, labels_N


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_logits_were_multiplied_by(factor):
    logits_NA, labels_N = drawn(4000, factor)
    assert temperature_of(logits_NA, labels_N) == pytest.approx(factor, rel=0.08)


def test_few_clips_that_are_all_right_are_not_certainty():
    logits_NA, labels_N = 4.0 * np.eye(3)[[0, 1, 2] * 10], np.array([0, 1, 2] * 10)
    found = calibration_of(logits_NA, labels_N, "clips")
    assert found.confidence_N[0] == pytest.approx(31 / 32, abs=0.001)  # (N + 1) / (N + 2), N = 30


def test_of_too_few_clips_nothing_is_said():
    logits_NA, labels_N = drawn(19, 3.0)
    found = calibration_of(logits_NA, labels_N, "clips")
    assert (found.temperature, found.threshold(), found.threshold(0.99)) == (1.0, 0.0, 0.0)


KNOWN = Calibration(confidence_N=(0.9, 0.8, 0.7, 0.6), is_right_N=(True, True, False, True))


@pytest.mark.parametrize(
    ("min_precision", "threshold"), [(None, 0.5), (0.5, 0.0), (0.75, 0.0), (0.8, 0.8), (1.0, 0.8)]
)
def test_the_threshold_is_the_least_above_which_enough_answers_are_right(min_precision, threshold):
    assert KNOWN.threshold(min_precision) == threshold


def test_where_the_surest_answer_is_wrong_no_threshold_is_high_enough():
    assert Calibration(confidence_N=(0.9, 0.8), is_right_N=(False, True)).threshold(0.95) > 1


def test_calibration_error_by_hand():
    probabilities_NA = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels_N = np.array([0, 1, 1, 1])
    # half of the clips say 0.9 and are right half of the time, half say 0.6 and are always right
    assert expected_calibration_error(probabilities_NA, labels_N) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert reliability(probabilities_NA, labels_N)["accuracy"] == [1.0, 0.5]
    assert accuracy_at_coverage(probabilities_NA, labels_N) == {
        "coverage": [0.25, 0.5, 0.75, 1.0],
        "accuracy": [1.0, 0.5, pytest.approx(2 / 3), 0.75],
        "threshold": [0.9, 0.9, 0.6, 0.6],
    }


@pytest.mark.parametrize("num_clips", [72, 5000])
def test_of_exact_probabilities_the_error_is_what_chance_gives_so_many_clips(num_clips):
    logits_NA, _ = drawn(num_clips, 1.0)
    probabilities_NA = softmax(logits_NA, axis=1)
    rng = np.random.default_rng(1)
    drawn_anew = [
        expected_calibration_error(
            probabilities_NA, np.array([rng.choice(5, p=row) for row in probabilities_NA])
        )
        for _ in range(20)
    ]
    assert calibration_error_if_exact(probabilities_NA) == pytest.approx(np.mean(drawn_anew), rel=0.15)


def test_certainty_leaves_nothing_to_chance():
    assert calibration_error_if_exact(np.eye(3)) == 0.0


def test_a_checkpoint_keeps_its_calibration_and_an_older_one_has_none(tmp_path):
    loaded = load_checkpoint(untrained_checkpoint(tmp_path / "old"))
    assert loaded.calibration == Calibration()
    logits_NA, labels_N = drawn(50, 2.0)
    found = calibration_of(logits_NA, labels_N, "clips of val")
    kept = dataclasses.replace(loaded, calibration=found, clip_sec=2.5, num_people=1)
    again = load_checkpoint(save_checkpoint(kept, tmp_path / "new"))
    assert (again.calibration, again.clip_sec, again.num_people) == (found, 2.5, 1)
    (tmp_path / "new" / CALIBRATION_FILE).unlink()
    assert load_checkpoint(tmp_path / "new").calibration.temperature == 1.0
