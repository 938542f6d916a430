import dataclasses

import numpy as np
import pytest

from harray.validation.cross_validation import FULL, CrossValidation, FoldOutcome, scores_of_variant

RIGHT, WRONG = [0.9, 0.1], [0.2, 0.8]  # of a clip of class 0


def outcome(*rows):
    return FoldOutcome(probabilities={"fusion": np.array(rows, np.float32)}, train_sec=2.0)


def test_means_and_deviations_over_folds_and_seeds_are_those_of_hand():
    truths = [np.array([0, 0]), np.array([0, 0, 0, 0])]
    first = [outcome(RIGHT, RIGHT), outcome(RIGHT, WRONG, WRONG, WRONG)]  # top-1 1.0 and 0.25
    second = [outcome(RIGHT, WRONG), outcome(RIGHT, RIGHT, RIGHT, WRONG)]  # 0.5 and 0.75
    part = scores_of_variant([first, second], truths).parts["fusion"]
    assert part.top1.mean == pytest.approx(0.625)
    assert part.top1.std_folds == pytest.approx(np.std([0.75, 0.5], ddof=1))
    assert part.top1.std_seeds == pytest.approx(0.0)
    assert part.pooled_top1 == pytest.approx((3 / 6 + 4 / 6) / 2)


def test_calibration_is_that_of_all_folds_together_each_by_its_own_threshold():
    truths = [np.array([0, 0]), np.array([0, 0])]
    folds = [
        dataclasses.replace(outcome(RIGHT, WRONG), threshold=0.85),  # answers the first clip, and is right
        dataclasses.replace(outcome(RIGHT, WRONG), threshold=0.0),  # answers both
    ]
    found = scores_of_variant([folds], truths).calibration
    assert (found.coverage, found.precision) == (0.75, pytest.approx(2 / 3))
    # two say 0.9 and are right, two say 0.8 and are wrong
    assert found.expected_calibration_error == pytest.approx((0.1 + 0.8) / 2)


def test_what_a_variant_loses_is_compared_fold_by_fold():
    truths = [np.array([0, 0])]
    variants = {
        FULL: scores_of_variant([[outcome(RIGHT, RIGHT)]], truths),
        "without pcm": scores_of_variant([[outcome(RIGHT, WRONG)]], truths),
    }
    found = CrossValidation(
        store_digest="0",
        splits=("train",),
        num_classes=1,
        fold_sizes=(2,),
        seeds=(0,),
        tied_by="nothing",
        variants=variants,
    ).to_json()
    assert found["num_clips"] == 2
    assert "top1_less_than_full" not in found["variants"][FULL]["parts"]["fusion"]
    loss = found["variants"]["without pcm"]["parts"]["fusion"]["top1_less_than_full"]
    assert (loss["mean"], loss["std_seeds"], loss["values"]) == (0.5, 0.0, [[0.5]])


def test_an_outcome_comes_back_from_its_file(tmp_path):
    before = dataclasses.replace(outcome(RIGHT, WRONG), threshold=0.6)
    before.save(tmp_path / "x.npz")
    after = FoldOutcome.load(tmp_path / "x.npz")
    assert (after.train_sec, after.threshold) == (before.train_sec, before.threshold)
    np.testing.assert_array_equal(after.probabilities["fusion"], before.probabilities["fusion"])
