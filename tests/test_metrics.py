import numpy as np
import pytest

from harray.metrics import classification_scores, confusion_matrix, per_class_scores

# Four clips of three classes, worked by hand: predictions 0, 0, 1, 0 against labels 0, 1, 1, 2.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3]])
LABELS = np.array([0, 1, 1, 2])


def test_scores_match_the_hand_worked_ones():
    scores = classification_scores(PROBABILITIES, LABELS)
    assert scores.num_clips == 4
    assert scores.top1 == 0.5
    assert scores.top5 == 1.0
    assert scores.macro_precision == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert scores.macro_recall == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


def test_a_class_without_clips_does_not_lower_the_macro_average():
    wider = np.pad(PROBABILITIES, ((0, 0), (0, 4)))
    assert classification_scores(wider, LABELS).macro_f1 == pytest.approx(7 / 18)


def test_top5_counts_the_five_best():
    probabilities = np.array([[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]])
    assert classification_scores(probabilities, np.array([5])).top5 == 0.0
    assert classification_scores(probabilities, np.array([4])).top5 == 1.0


def test_confusion_counts_true_by_row():
    assert confusion_matrix(LABELS, PROBABILITIES.argmax(1), 3).tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_every_class_has_its_own_scores():
    per_class = per_class_scores(LABELS, PROBABILITIES.argmax(1), 3)
    assert per_class["recall"].tolist() == [1.0, 0.5, 0.0]
    assert per_class["support"].tolist() == [1, 2, 1]
