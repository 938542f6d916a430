"""What a comparison comes to, beside Student's t worked by hand."""

import numpy as np
import pytest

from harray.validation.ablations import Comparison
from harray.validation.cross_validation import CrossValidation, PartScores, Spread, VariantScores
from harray.validation.verdicts import verdict, verdicts_of_ablation, verdicts_of_cross_validation


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        # t(0.975, 2) = 4.303: half an interval is 4.303 * 0.01 / sqrt(3) = 0.025
        ([0.03, 0.04, 0.05], "full is better than X by 0.040 (95% interval 0.015 to 0.065 over 3 seeds)"),
        ([-0.03, -0.04, -0.05], "X is better than full by 0.040 (95% interval 0.015 to 0.065 over 3 seeds)"),
        (
            [0.0, 0.01, 0.02],
            "full and X cannot be told apart: +0.010 (95% interval -0.015 to 0.035 over 3 seeds)",
        ),
        (
            [0.0, 0.0, 0.0],
            "full and X cannot be told apart: +0.000 (95% interval 0.000 to 0.000 over 3 seeds)",
        ),
        # t(0.975, 3) = 3.182: 3.182 * 0.0129 / sqrt(4) = 0.0205
        (
            [0.01, 0.02, 0.03, 0.04],
            "full is better than X by 0.025 (95% interval 0.004 to 0.046 over 4 seeds)",
        ),
        ([0.1, 0.1], "full and X differ by +0.100; 2 seeds say too little about chance"),
        ([0.1], "full and X differ by +0.100; 1 seeds say too little about chance"),
    ],
)
def test_a_difference_is_worth_a_verdict_where_chance_does_not_explain_it(differences, said):
    assert verdict("X", np.array(differences), "seeds") == said


def test_an_ablation_is_judged_seed_by_seed_with_nothing_hidden_and_with_joints_hidden():
    full = np.array([[0.9, 0.8], [0.8, 0.7], [0.7, 0.6]])  # seeds, shares
    worse = full - np.array([[0.0, 0.19], [0.0, 0.2], [0.0, 0.21]])
    top1 = {kind: {"full": full, "without pcm": worse} for kind in ("joints", "spans")}
    said = verdicts_of_ablation(Comparison(split="test", hidden_shares=(0.0, 0.5), top1=top1))
    assert said == {
        "without pcm": "with nothing hidden full and without pcm cannot be told apart: +0.000 (95% interval 0.000 to "
        "0.000 over 3 seeds); with joints hidden full is better than without pcm by 0.200 (95% interval 0.175 to "
        "0.225 over 3 seeds)"
    }


def scores(top1_SF):
    spread = Spread(values_SF=np.array(top1_SF))
    part = PartScores(top1=spread, macro_f1=spread, pooled_top1=0.0, pooled_macro_f1=0.0)
    return VariantScores(parts={"fusion": part}, train_sec=spread)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ({"full": [[0.8, 0.9, 1.0]]}, {"full": "top-1 0.9000 (95% interval 0.652 to 1.148 over 3 folds)"}),
        (
            {"full": [[0.9, 0.8, 0.7], [0.9, 0.8, 0.7]], "small": [[0.6, 0.5, 0.4], [0.6, 0.5, 0.4]]},
            {"small": "full is better than small by 0.300 (95% interval 0.300 to 0.300 over 3 folds)"},
        ),
    ],
)
def test_a_cross_validation_is_judged_fold_by_fold(variants, said):
    found = CrossValidation(
        store_digest="d",
        splits=None,
        num_classes=2,
        fold_sizes=(4, 4, 4),
        seeds=(0,),
        tied_by="nothing",
        variants={name: scores(values) for name, values in variants.items()},
    )
    assert verdicts_of_cross_validation(found) == said
