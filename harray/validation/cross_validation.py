"""Cross-validation: every variant, seed and fold is one training whose fold is scored once, after it ended.

    folds x seeds x variants -> FoldTraining -> train_fold: train on the rest, score the fold -> FoldOutcome
    outcomes of all trainings -> CrossValidation: mean and deviation over folds and over seeds

The held-out fold chooses nothing: every training runs all its epochs, without val clips, and keeps the averaged
weights of the last. An ablation is the same with a split of the store as its only fold.

Letters: M held-out clips, A action classes.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harray.config import digest
from harray.errors import InputError
from harray.evaluation.evaluate import predictions_by_part
from harray.evaluation.occlusion import occluded
from harray.features.tensors import ClipTensors, load_clips
from harray.files import Place
from harray.inference.predictor import Predictor
from harray.metrics import classification_scores
from harray.store import FeatureStore
from harray.training.calibration import calibration_error_if_exact, expected_calibration_error
from harray.training.config import LearningConfig
from harray.training.floors import floors
from harray.training.run import device_named, fewer, fit_clips, learned_from

FULL = "full"  # the variant that the others are compared with
FUSION = "fusion"  # the part that is scored by pose and scene together
PRECISION = 0.95  # asked of the answers above the threshold whose precision is measured


@dataclass(frozen=True, kw_only=True)
class FoldTraining:
    """One training and what it is scored on."""

    variant: str
    fold: int
    store: Place
    learning: LearningConfig  # with the training's seed
    splits: tuple[str, ...] | None  # of the store; None for all clips
    held_out: tuple[int, ...]  # places among the labelled clips of `splits`
    occlusions: tuple[tuple[str, float], ...] = ()  # kinds and shares, to score the fold under as well

    @property
    def seed(self) -> int:
        return self.learning.training.seed

    @property
    def key(self) -> str:
        """Stands for everything that decides the outcome, but for the code."""
        return digest([learned_from(self.learning, self.store), self.splits, self.held_out, self.occlusions])


@dataclass(frozen=True, kw_only=True)
class FoldOutcome:
    """Class probabilities `[M, A]` of the held-out clips by part (as an evaluation's), in the fold's order."""

    probabilities: Mapping[str, np.ndarray]
    train_sec: float
    threshold: float = 0.0  # probability above which the model expects `PRECISION` of its answers to be right

    def save(self, file: Path) -> None:
        with file.open("wb") as stream:
            np.savez(
                stream,
                allow_pickle=False,
                train_sec=self.train_sec,
                threshold=self.threshold,
                **self.probabilities,
            )

    @classmethod
    def load(cls, file: Path) -> "FoldOutcome":
        with np.load(file, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        numbers = {name: float(values.pop(name)) for name in ("train_sec", "threshold")}
        return cls(probabilities=values, **numbers)


def hidden_part(kind: str, share: float) -> str:
    """The name of the part that is scored with so much hidden.

    >>> hidden_part("limbs", 0.5)
    'limbs hidden 50%'
    """
    return f"{kind} hidden {100 * share:.4g}%"


def train_fold(fold: FoldTraining) -> FoldOutcome:
    """Train on all clips but the held-out ones, then score those once.

    Raises:
        InputError: a store that cannot be trained on.
    """
    training = dataclasses.replace(fold.learning.training, val_share=0.0)
    learning = dataclasses.replace(fold.learning, training=training)
    store = FeatureStore.open(fold.store)
    clips = labelled_clips(store.path, store.digest(), fold.splits)
    rest = sorted(set(range(len(clips))) - set(fold.held_out))
    device = device_named(training.device)
    started = time.perf_counter()
    fitted = fit_clips(learning, store, fewer(clips.select(rest), training), None, device)
    train_sec = time.perf_counter() - started
    predictor = Predictor(fitted.checkpoint, device=str(device))
    held_out = clips.select(fold.held_out)
    parts = predictions_by_part(predictor, held_out)
    probabilities = {name: part.probabilities_NA for name, part in parts.items()}
    for kind, share in fold.occlusions:
        said = predictor.predict_clips(occluded(held_out, kind, share))
        probabilities[hidden_part(kind, share)] = said.probabilities_NA
    threshold = fitted.checkpoint.calibration.threshold(PRECISION)
    return FoldOutcome(train_sec=train_sec, probabilities=probabilities, threshold=threshold)


def floors_by_fold(
    store: FeatureStore,
    splits: tuple[str, ...] | None,
    folds: Sequence[Sequence[int]],
    learning: LearningConfig,
) -> list[FoldOutcome]:
    """Predictions of each floor for the held-out clips of every fold, learned from the other clips."""
    clips = labelled_clips(store.path, store.digest(), splits)
    outcomes = []
    for held_out in folds:
        started = time.perf_counter()
        rest = sorted(set(range(len(clips))) - set(held_out))
        train = fewer(clips.select(rest), learning.training)
        said = floors(train, clips.select(held_out), learning.features)
        outcomes.append(FoldOutcome(probabilities=said, train_sec=time.perf_counter() - started))
    return outcomes


def labelled_rows(store: FeatureStore, splits: Sequence[str] | None) -> Any:
    """label, group, clip_id and splits of the labelled clips, in the order of `FoldTraining.held_out`; no features.

    Raises:
        InputError: no such split, or fewer than two labels in it.
    """
    rows = store.read(None if splits is None else list(splits), columns=[])
    rows = rows.filter(rows["label"].is_valid()).select(["label", "group", "clip_id", "splits"])
    if (count := len(rows["label"].unique())) < 2:
        raise InputError(f"store {store.path}: found {count} labels, expected at least two to tell apart")
    return rows


@lru_cache(maxsize=1)  # a Ray worker runs many trainings on the same clips
def labelled_clips(store: Place, store_digest: str, splits: tuple[str, ...] | None) -> ClipTensors:
    """The clips that `labelled_rows` lists, with their features."""
    clips = load_clips(FeatureStore.open(store), None if splits is None else list(splits))
    return clips.select((clips.labels_N >= 0).nonzero().squeeze(1))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A score of every seed and fold, `[seeds][folds]`; deviations are of samples, 0 where there is one value."""

    values_SF: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.values_SF.mean())

    @property
    def std_folds(self) -> float:
        """Over folds, each the mean of its seeds."""
        return _deviation(self.values_SF.mean(axis=0))

    @property
    def std_seeds(self) -> float:
        """Over seeds, each the mean of its folds."""
        return _deviation(self.values_SF.mean(axis=1))

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "std_folds": self.std_folds,
            "std_seeds": self.std_seeds,
            "values": self.values_SF.tolist(),
        }


@dataclass(frozen=True, kw_only=True)
class PartScores:
    """Scores of one part of one variant."""

    top1: Spread
    macro_f1: Spread
    pooled_top1: float  # of all held-out clips together; mean over seeds
    pooled_macro_f1: float

    def to_json(self) -> dict[str, Any]:
        return {
            "top1": self.top1.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "pooled_top1": self.pooled_top1,
            "pooled_macro_f1": self.pooled_macro_f1,
        }


@dataclass(frozen=True, kw_only=True)
class FoldCalibration:
    """How sure and how right the models of all folds are together, by pose and scene; means over seeds."""

    expected_calibration_error: float
    error_if_exact: float  # `calibration_error_if_exact`: what chance gives so many clips
    precision: (
        float  # share right of the answers above each model's own threshold for `PRECISION`; 0 without any
    )
    coverage: float  # share of the clips answered so

    @property
    def line(self) -> str:
        """In a sentence."""
        return (
            f"expected calibration error {self.expected_calibration_error:.3f} (exact probabilities on so many clips: "
            f"{self.error_if_exact:.3f}); at the models' thresholds for {PRECISION:g}, {self.coverage:.0%} answered, "
            f"{self.precision:.3f} of them right"
        )


@dataclass(frozen=True, kw_only=True)
class VariantScores:
    """Scores of one variant: by pose and scene together, by each alone, and with joints hidden."""

    parts: Mapping[str, PartScores]
    train_sec: Spread
    calibration: FoldCalibration | None = None  # None of what has no probabilities, such as floors

    def to_json(self, full: "VariantScores | None") -> dict[str, Any]:
        """`top1_less_than_full` tells by part what leaving something out costs, the same folds and seeds compared."""
        values: dict[str, Any] = {"train_sec": self.train_sec.to_json(), "parts": {}}
        if self.calibration is not None:
            values["calibration"] = dataclasses.asdict(self.calibration)
        for name, part in self.parts.items():
            values["parts"][name] = part.to_json()
            if full is not None and name in full.parts:
                loss = Spread(values_SF=full.parts[name].top1.values_SF - part.top1.values_SF)
                values["parts"][name]["top1_less_than_full"] = loss.to_json()
        return values


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """What a cross-validation found."""

    store_digest: str
    splits: tuple[str, ...] | None
    num_classes: int
    fold_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    tied_by: str  # what was held out together: `groups`, `near doubles`, `nothing` or a `split`
    variants: Mapping[str, VariantScores]
    floors: Mapping[str, PartScores] = field(default_factory=dict)  # of training/floors.py, on the same folds

    def to_json(self) -> dict[str, Any]:
        """What scripts rely on: variants by name, each with `train_sec`, `calibration` and `parts`.

        Parts are `fusion`, with a scene branch `pose_only`, `scene_only` and `scene_noise`, and `joints hidden 50%`
        and the like. Each has `top1` and `macro_f1` (`mean`, `std_folds`, `std_seeds` and the `values` by seed and
        fold), `pooled_top1`, `pooled_macro_f1` and, but for the full variant, `top1_less_than_full`. `floors` by name
        have the first four.
        """
        full = self.variants.get(FULL)
        return {
            "store_digest": self.store_digest,
            "splits": self.splits,
            "num_clips": sum(self.fold_sizes),
            "num_classes": self.num_classes,
            "num_folds": len(self.fold_sizes),
            "fold_sizes": self.fold_sizes,
            "seeds": self.seeds,
            "grouped": self.tied_by == "groups",
            "tied_by": self.tied_by,
            "variants": {
                name: scores.to_json(None if name == FULL else full) for name, scores in self.variants.items()
            },
            "floors": {name: part.to_json() for name, part in self.floors.items()},
        }


def scores_of_variant(
    outcomes_SF: Sequence[Sequence[FoldOutcome]], labels: Sequence[np.ndarray]
) -> VariantScores:
    """Scores over all seeds and folds of one variant.

    Args:
        outcomes_SF: by seed, then by fold.
        labels: `[M]` class numbers of each fold's held-out clips.
    """
    parts = {}
    for name in outcomes_SF[0][0].probabilities:
        by_fold = [
            [
                classification_scores(outcome.probabilities[name], truth)
                for outcome, truth in zip(of_seed, labels, strict=True)
            ]
            for of_seed in outcomes_SF
        ]
        pooled = [
            classification_scores(
                np.concatenate([outcome.probabilities[name] for outcome in of_seed]), np.concatenate(labels)
            )
            for of_seed in outcomes_SF
        ]
        parts[name] = PartScores(
            top1=Spread(values_SF=np.array([[fold.top1 for fold in of_seed] for of_seed in by_fold])),
            macro_f1=Spread(values_SF=np.array([[fold.macro_f1 for fold in of_seed] for of_seed in by_fold])),
            pooled_top1=float(np.mean([scores.top1 for scores in pooled])),
            pooled_macro_f1=float(np.mean([scores.macro_f1 for scores in pooled])),
        )
    seconds = np.array([[outcome.train_sec for outcome in of_seed] for of_seed in outcomes_SF])
    calibration = None
    if FUSION in outcomes_SF[0][0].probabilities:
        calibration = _calibration(outcomes_SF, np.concatenate(labels))
    return VariantScores(parts=parts, train_sec=Spread(values_SF=seconds), calibration=calibration)


def _calibration(outcomes_SF: Sequence[Sequence[FoldOutcome]], labels_N: np.ndarray) -> FoldCalibration:
    """Of the held-out clips of all folds together."""
    by_seed = []
    for of_seed in outcomes_SF:
        probabilities_NA = np.concatenate([outcome.probabilities[FUSION] for outcome in of_seed])
        answered_N = np.concatenate(
            [outcome.probabilities[FUSION].max(axis=1) >= outcome.threshold for outcome in of_seed]
        )
        is_right_N = probabilities_NA.argmax(axis=1) == labels_N
        by_seed.append(
            (
                expected_calibration_error(probabilities_NA, labels_N),
                calibration_error_if_exact(probabilities_NA),
                float(is_right_N[answered_N].mean()) if answered_N.any() else 0.0,
                float(answered_N.mean()),
            )
        )
    error, if_exact, precision, coverage = np.mean(by_seed, axis=0).tolist()
    return FoldCalibration(
        expected_calibration_error=error, error_if_exact=if_exact, precision=precision, coverage=coverage
    )


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
