"""What a comparison comes to, beside Student's t worked by hand."""

import numpy as np
import pytest

from harray.validation.cross_validation import CrossValidation, PartScores, Spread, VariantScores
from harray.validation.verdicts import verdict, verdicts_of_cross_validation


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


def scores(top1_SF, **hidden_SF):
    parts = {}
    for name, values in {"fusion": top1_SF, **hidden_SF}.items():
        spread = Spread(values_SF=np.array(values))
        name = name.replace("_", " ")
        parts[name] = PartScores(top1=spread, macro_f1=spread, pooled_top1=0.0, pooled_macro_f1=0.0)
    return VariantScores(parts=parts, train_sec=parts["fusion"].top1)


def compared(variants, num_folds):
    return CrossValidation(
        store_digest="d",
        splits=None,
        num_classes=2,
        fold_sizes=(4,) * num_folds,
        seeds=(0,),
        tied_by="nothing",
        variants=variants,
    )


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
    found = compared({name: scores(values) for name, values in variants.items()}, num_folds=3)
    assert verdicts_of_cross_validation(found) == said


def test_a_single_fold_is_judged_seed_by_seed_with_nothing_hidden_and_with_joints_hidden():
    full, hidden = [[0.9], [0.8], [0.7]], [[0.8], [0.7], [0.6]]  # seeds, folds
    worse = [[0.61], [0.5], [0.39]]
    variants = {
        "full": scores(full, joints_hidden_50=hidden, spans_hidden_50=hidden),
        "without pcm": scores(full, joints_hidden_50=worse, spans_hidden_50=worse),
    }
    assert verdicts_of_cross_validation(compared(variants, num_folds=1)) == {
        "without pcm": "with nothing hidden full and without pcm cannot be told apart: +0.000 (95% interval 0.000 to "
        "0.000 over 3 seeds); with joints hidden full is better than without pcm by 0.200 (95% interval 0.175 to "
        "0.225 over 3 seeds)"
    }
