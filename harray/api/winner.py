"""A sweep's winner, trained once more on all but test."""

from harray.api.evaluate import evaluate
from harray.api.models import Model
from harray.api.sweeps import Sweep
from harray.api.train import RunLabels, train_recorded
from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.files import Place, place
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.tracking.runs import PARENT_TAG, NotRecorded, outcome_of
from harray.tuning.outcome import SweepOutcome
from harray.workspace import Workspace


def train_winner(
    outcome: SweepOutcome,
    workspace: Workspace,
    reporter: Reporter = SILENT,
    *,
    name: str,
    split: str = "test",
) -> Sweep:
    """Train the winner on train and val with the number of epochs that was found, register it, and only then look
    at the test split, once.

    Args:
        name: of the model in the registry.
        split: the test split.

    Raises:
        InputError: a bad name.
        NotRecorded: the tracking store does not take the model or its scores; its `outcome` is the `Sweep`, with the
            model where there is one.
    """
    store, found = place(outcome.config.store), Sweep(outcome)
    labels = RunLabels(
        recipe=outcome.config.recipe,
        title=f"winner, trial {outcome.best[0].number}, on train + val",
        tags=tags_of_winner(outcome),
    )
    try:
        with reporter.stage("training the winner on train + val"):
            trained = train_recorded(
                store, winner_on_all(outcome, store), workspace, reporter, register=name, labels=labels
            )
        found.model = Model(trained.model_version, trained.result.checkpoint, workspace, training=trained)
        if split in FeatureStore.open(store).splits():
            found.report, missed = outcome_of(
                lambda: evaluate(trained.model_version, store, split=split, workspace=workspace)
            )
            if missed:
                raise missed.after(found, "the model is registered")
    except NotRecorded as error:
        error.outcome = found
        raise
    return found


def tags_of_winner(outcome: SweepOutcome) -> dict[str, str]:
    """Tags by which a winner's run belongs to its sweep's, nested in it as the trials are."""
    sweep = outcome.run_id
    return {PARENT_TAG: sweep, "harray.sweep_run": sweep, "harray.trial": str(outcome.best[0].number)}


def winner_on_all(outcome: SweepOutcome, store: Place) -> ExperimentConfig:
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
