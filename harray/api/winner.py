"""A sweep's winner, trained once more on all but test."""

from dataclasses import dataclass
from pathlib import Path

from harray.api.evaluate import evaluate_recorded
from harray.api.train import train_recorded
from harray.config import with_overrides
from harray.evaluation.report import EvaluationReport
from harray.experiment import ExperimentConfig
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.tracking.runs import PARENT_TAG, NotRecorded, outcome_of
from harray.tuning.config import SweepConfig
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
    config: SweepConfig,
    workspace: Workspace,
    reporter: Reporter = SILENT,
    *,
    name: str,
    split: str = "test",
) -> Winner:
    """Train the winner on train and val with the number of epochs that was found, register it, and only then look
    at the test split, once.

    Args:
        config: what the sweep was asked.
        name: of the model in the registry.
        split: the test split.

    Raises:
        InputError: a bad name.
        NotRecorded: the tracking store does not take the model or its scores; its `outcome` is the `Winner` where there
            is one.
    """
    store = Path(config.store)
    experiment = winner_on_all(outcome, store)
    try:
        with reporter.progress("training the winner on train + val", "epochs") as update:
            trained = train_recorded(
                store,
                experiment,
                workspace.out,
                name=name,
                tracking=workspace.tracking_uri,
                recipe=config.recipe,
                title=f"winner, trial {outcome.best[0].number}, on train + val",
                tags=tags_of_winner(outcome),
                on_epoch=lambda report: update(report.epoch, report.num_epochs),
            )
    except NotRecorded as error:
        raise NotRecorded(str(error)) from error  # no winner yet
    assert trained.registered is not None
    report, missed = None, None
    if split in FeatureStore.open(store).splits():
        (report, _), missed = outcome_of(
            lambda: evaluate_recorded(
                trained.model_version, store, split, workspace.out, outcome.tracking_uri
            )
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
    val = f"+{training.val_split}" if training.val_split in splits else ""
    return with_overrides(
        winner,
        {
            "training.train_split": f"{training.train_split}{val}",
            "training.val_split": "",
            "training.val_share": 0.0,
            "training.num_epochs": outcome.best[0].best_epoch,
            "training.patience": 0,
        },
    )
