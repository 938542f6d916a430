"""Classification scores from probabilities and labels. Pure."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores over N clips and A action classes, all in [0, 1].

    Macro averages run over the classes that occur in the labels or in the predictions (scikit-learn's
    convention), so a class with no clip at all does not lower them.
    """

    num_clips: int
    top1: float
    top5: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


def classification_scores(probabilities_NA: np.ndarray, labels_N: np.ndarray) -> Scores:
    """Score class probabilities `[N, A]` against integer labels `[N]`; N must be at least 1."""
    from sklearn.metrics import precision_recall_fscore_support

    predicted_N = probabilities_NA.argmax(axis=1)
    best_five_N5 = np.argsort(-probabilities_NA, axis=1, kind="stable")[:, :5]
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels_N, predicted_N, average="macro", zero_division=0
    )
    return Scores(
        num_clips=len(labels_N),
        top1=float((predicted_N == labels_N).mean()),
        top5=float((best_five_N5 == labels_N[:, None]).any(axis=1).mean()),
        macro_precision=float(precision),
        macro_recall=float(recall),
        macro_f1=float(f1),
    )


def confusion_matrix(labels_N: np.ndarray, predicted_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts `[true class, predicted class]`, int64."""
    from sklearn.metrics import confusion_matrix as counts

    return counts(labels_N, predicted_N, labels=np.arange(num_classes))


def per_class_scores(
    labels_N: np.ndarray, predicted_N: np.ndarray, num_classes: int
) -> dict[str, np.ndarray]:
    """Precision, recall, f1 and support of every class, each `[A]`; a class that never occurs scores 0."""
    from sklearn.metrics import precision_recall_fscore_support

    values = precision_recall_fscore_support(
        labels_N, predicted_N, labels=np.arange(num_classes), zero_division=0
    )
    return dict(zip(("precision", "recall", "f1", "support"), values, strict=True))
