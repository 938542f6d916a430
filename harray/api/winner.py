"""A sweep's winner, trained once more on all but test."""

from dataclasses import dataclass
from pathlib import Path

from harray.api.evaluate import evaluate
from harray.api.train import RunLabels, train_recorded
from harray.config import with_overrides
from harray.evaluation.report import EvaluationReport
from harray.experiment import ExperimentConfig
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.tracking.runs import PARENT_TAG, NotRecorded, outcome_of
from harray.tuning.outcome import SweepOutcome
from harray.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winner, trained on train and val, registered, and scored on test."""

    name: str
    model: str
    model_version: int
    run_id: str
    num_epochs: int
    report: EvaluationReport | None  # None where the store has no such split


def train_winner(
    outcome: SweepOutcome,
    store: Path,
    workspace: Workspace,
    reporter: Reporter = SILENT,
    *,
    name: str,
    split: str = "test",
    recipe: str = "",
) -> Winner:
    """Train the winner on train and val with the number of epochs that was found, register it, and only then look
    at the test split, once.

    Raises:
        InputError: a bad name.
        NotRecorded: the tracking store does not take the model or its scores; its `outcome` is the `Winner` where there
            is one.
    """
    experiment = winner_on_all(outcome, store)
    try:
        with reporter.stage("training the winner on train + val"):
            trained = train_recorded(
                store,
                experiment,
                workspace,
                reporter,
                register=name,
                labels=RunLabels(
                    recipe=recipe,
                    title=f"winner, trial {outcome.best[0].number}, on train + val",
                    tags=tags_of_winner(outcome),
                ),
            )
    except NotRecorded as error:
        raise NotRecorded(str(error)) from error  # no winner yet
    assert trained.registered is not None
    report, missed = None, None
    if split in FeatureStore.open(store).splits():
        report, missed = outcome_of(
            lambda: evaluate(trained.model_version, store, split=split, workspace=workspace)
        )
    winner = Winner(
        name=name,
        model=trained.model_version,
        model_version=trained.registered.version,
        run_id=trained.run_id,
        num_epochs=experiment.training.num_epochs,
        report=report,
    )
    if missed:
        raise missed.after(winner, "the model is registered")
    return winner


def tags_of_winner(outcome: SweepOutcome) -> dict[str, str]:
    """Tags by which a winner's run belongs to its sweep's, nested in it as the trials are."""
    sweep = outcome.run_id
    return {PARENT_TAG: sweep, "harray.sweep_run": sweep, "harray.trial": str(outcome.best[0].number)}


def winner_on_all(outcome: SweepOutcome, store: Path) -> ExperimentConfig:
    """The winner's configuration for its last training: on train and val, for as many epochs as it took."""
    winner = outcome.experiment
    splits, training = FeatureStore.open(store).splits(), winner.training
    has_val = training.val_split in splits
    return with_overrides(
        winner,
        {
            "training.train_split": f"{training.train_split}+{training.val_split}"
            if has_val
            else training.train_split,
            "training.val_split": "",
            "training.val_share": 0.0,
            "training.num_epochs": outcome.best[0].best_epoch,
            "training.patience": 0,
        },
    )
