"""The whole story on procedural videos: render, extract, search, train, register, evaluate the champion, explain.

actions -> videos -> store -> a short sweep's winner -> model -> registry -> champion -> report, overlays of unseen
actors
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.api.evaluate import evaluate
from harray.api.extract import extract, list_source
from harray.api.predict import PredictOptions, predict
from harray.api.session import working
from harray.api.starting import Overrides, start_from
from harray.api.stores import Store
from harray.api.train import RunLabels, Trained, train_recorded
from harray.api.tune import sweep_config, tune_recorded
from harray.api.winner import tags_of_winner
from harray.config import with_overrides
from harray.distributed.resources import start_ray
from harray.evaluation.report import EvaluationReport
from harray.experiment import ExperimentConfig
from harray.files import Place, holding
from harray.names import without_password
from harray.reporting import Reporter
from harray.store import FeatureStore
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from harray.tracking.location import tracking_uri
from harray.tracking.runs import check_recording, outcome_of
from harray.tuning.config import SweepConfig
from harray.tuning.outcome import SweepOutcome
from harray.workspace import Workspace

MODEL_NAME = "demo"
NUM_EXPLAINED = 3
SEARCH, NUM_TRIALS, TRIAL_EPOCHS = "optimisation", 8, 3


@dataclass(frozen=True, kw_only=True)
class DemoOutcome:
    """What the demo made, and where it is."""

    report: EvaluationReport
    report_file: Path
    model: str
    model_version: int | None  # None where it could not be registered
    run_id: str
    tracking_uri: str
    store: Place
    predictions: list[dict[str, Any]]
    train_sec: float
    sweep: SweepOutcome

    def to_json(self) -> dict[str, Any]:
        """Plain values, the evaluation's first."""
        return {
            **self.report.to_json(),
            "report": str(self.report_file),
            "model": self.model,
            "model_version": self.model_version,
            "run_id": self.run_id,
            "tracking_uri": without_password(self.tracking_uri),
            "store": str(self.store),
            "predictions": self.predictions,
            "train_sec": self.train_sec,
            "sweep": self.sweep.to_json(),
        }


def demo(
    *,
    overrides: Overrides | None = None,
    clips_per_action: int = 30,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> DemoOutcome:
    """Run every stage; a second run in the same folder finds the videos and features of the first.

    Args:
        overrides: of the recipe `procedural`; its training seed also draws the videos.

    Raises:
        InputError: the folder holds a demo of another seed or size, or another one runs there.
        NotRecorded: the tracking store does not take what the demo made; its `outcome` is the `DemoOutcome`.
    """
    start = start_from("procedural", overrides=overrides)
    with working(workspace, reporter) as (place, told):
        check_recording(tracking_uri(place))
        out = place.out
        complaint = (
            f"{out}: another `harray demo` works there; wait for its end, or name another folder by --out"
        )
        with holding(out, complaint):
            return _run(start.experiment, clips_per_action, place, told)


def _run(
    experiment: ExperimentConfig, clips_per_action: int, place: Workspace, reporter: Reporter
) -> DemoOutcome:
    with start_ray():
        store = _render_and_extract(experiment, clips_per_action, place, reporter)
        sweep, *missed = outcome_of(lambda: _short_sweep(store, experiment, place, reporter))
    trained, *more = outcome_of(lambda: _trained(store, experiment, sweep, place, reporter))
    missed += more
    with reporter.stage("evaluating the registered model on unseen actors"):
        report, *more = outcome_of(lambda: evaluate(trained.model, store, workspace=place, reporter=reporter))
    missed += more
    with reporter.stage("explaining clips of unseen actors"):
        entries = predict(
            trained.model,
            unseen_videos(store.features),
            options=PredictOptions(explain_to=place.out / "explained"),
            workspace=place,
            reporter=reporter,
        )
    assert report.page is not None
    outcome = DemoOutcome(
        report=report,
        report_file=report.page,
        model=trained.model,
        model_version=trained.registered.version if trained.registered else None,
        run_id=trained.run_id,
        tracking_uri=tracking_uri(place),
        store=store.path,
        predictions=entries,
        train_sec=trained.result.train_sec,
        sweep=sweep,
    )
    for error in filter(None, missed):
        raise error.after(outcome, "the demo is done all the same")
    return outcome


def _trained(
    store: Store, experiment: ExperimentConfig, sweep: SweepOutcome, place: Workspace, reporter: Reporter
) -> Trained:
    winner = with_overrides(sweep.experiment, {"training.num_epochs": experiment.training.num_epochs})
    title = f"winner, trial {sweep.best[0].number}"
    labels = RunLabels(recipe="procedural", title=title, tags=tags_of_winner(sweep))
    with reporter.stage("training the winner"):
        return train_recorded(store.path, winner, place, reporter, register=MODEL_NAME, labels=labels)


def _short_sweep(
    store: Store, experiment: ExperimentConfig, place: Workspace, reporter: Reporter
) -> SweepOutcome:
    """A few trials of a few epochs; a second demo in the same folder finds the first one's."""
    epochs = min(TRIAL_EPOCHS, experiment.training.num_epochs)
    asked = SweepConfig(search=SEARCH, num_trials=NUM_TRIALS, resume=None, recipe="procedural")
    experiment = with_overrides(experiment, {"training.num_epochs": epochs})
    with reporter.stage("searching hyperparameters"):
        return tune_recorded(sweep_config(asked, store.path, experiment), place, reporter)


def _render_and_extract(
    experiment: ExperimentConfig, clips_per_action: int, place: Workspace, reporter: Reporter
) -> Store:
    config = SynthConfig(
        clips_per_action=clips_per_action, num_actors=clips_per_action, seed=experiment.training.seed
    )
    videos = place.out / "videos"
    with reporter.stage("rendering videos"):
        render_dataset(videos, config, reporter)
    listing = list_source(videos / "manifest.csv")
    with reporter.stage("extracting poses and scenes"):
        return extract(listing, place.out / "store", config=experiment, workspace=place, reporter=reporter)


def unseen_videos(store: FeatureStore) -> list[str]:
    """The first test clip of a few classes, spread over the alphabet."""
    rows = store.read(["test"], columns=[]).select(["path", "label"]).to_pylist()
    first = {row["label"]: row["path"] for row in reversed(rows)}
    labels = sorted(first)
    step = max(1, len(labels) // NUM_EXPLAINED)
    return [first[label] for label in labels[::step][:NUM_EXPLAINED]]
