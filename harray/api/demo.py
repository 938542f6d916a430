"""The whole story on procedural videos: render, extract, search, train, register, evaluate the champion, explain.

actions -> videos -> store -> a short sweep's winner -> model -> registry -> champion -> report, overlays of unseen
actors
"""

import contextlib
import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.api.evaluate import evaluate_recorded
from harray.api.predict import predict_videos
from harray.api.train import train_recorded
from harray.api.tune import sweep_config, tune_recorded
from harray.api.winner import tags_of_winner
from harray.config import with_overrides
from harray.distributed.extraction import extract
from harray.distributed.resources import start_ray
from harray.evaluation.report import EvaluationReport
from harray.experiment import ExperimentConfig
from harray.files import holding
from harray.reporting import Reporter, Update
from harray.store import FeatureStore
from harray.synth.config import SynthConfig
from harray.synth.render import render_dataset
from harray.tracking.location import tracking_uri, without_password
from harray.tracking.registry import resolve_model
from harray.tracking.runs import check_recording, outcome_of
from harray.tuning.outcome import SweepOutcome
from harray.videos.sources import list_videos
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
    store: Path
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


def run_demo(
    out: Path,
    experiment: ExperimentConfig,
    *,
    clips_per_action: int,
    tracking: str | None,
    on_stage: Callable[[str, str], Update],
    on_message: Callable[[str], None],
) -> DemoOutcome:
    """Run every stage; a second run in the same folder finds the videos and features of the first.

    Args:
        experiment: such as `recipes.procedural()`; its training seed also draws the videos.
        on_stage: called with a title and a unit as each stage starts; what it returns takes (done, total, note).
        on_message: called with what must be said aloud, such as that scene weights are random.

    Raises:
        InputError: `out` holds a demo of another seed or size, or another one runs there.
        NotRecorded: the tracking store does not take what the demo made; its `outcome` is the `DemoOutcome`.
    """
    uri = tracking_uri(Workspace(out, tracking))
    check_recording(uri)
    complaint = f"{out}: another `harray demo` works there; wait for its end, or name another folder by --out"
    with holding(out, complaint):
        return _run(out, experiment, clips_per_action, tracking, uri, on_stage, on_message)


def _run(
    out: Path,
    experiment: ExperimentConfig,
    clips_per_action: int,
    tracking: str | None,
    uri: str,
    on_stage: Callable[[str, str], Update],
    on_message: Callable[[str], None],
) -> DemoOutcome:
    store = out / "store"
    with start_ray():
        _render_and_extract(out / "videos", store, experiment, clips_per_action, on_stage, on_message)
        sweep, *missed = outcome_of(
            lambda: _short_sweep(store, experiment, out, tracking, on_stage, on_message)
        )
    update = on_stage("training the winner", "epochs")
    epochs = {"training.num_epochs": experiment.training.num_epochs}
    trained, *more = outcome_of(
        lambda: train_recorded(
            store,
            with_overrides(sweep.experiment, epochs),
            out,
            name=MODEL_NAME,
            tracking=tracking,
            recipe="procedural",
            title=f"winner, trial {sweep.best[0].number}",
            tags=tags_of_winner(sweep),
            on_epoch=lambda report: update(report.epoch, report.num_epochs, ""),
        )
    )
    missed += more
    update = on_stage("evaluating the registered model on unseen actors", "steps")
    (report, files), *more = outcome_of(
        lambda: evaluate_recorded(trained.model, store, "test", out, uri, on_progress=update)
    )
    missed += more
    update = on_stage("explaining clips of unseen actors", "clips")
    done = itertools.count(1)
    entries = predict_videos(
        resolve_model(trained.model, uri),
        unseen_videos(FeatureStore.open(store)),
        top=3,
        explain_to=out / "explained",
        on_video=lambda entry: update(next(done), NUM_EXPLAINED, ""),
    )
    outcome = DemoOutcome(
        report=report,
        report_file=files[0],
        model=trained.model,
        model_version=trained.registered.version if trained.registered else None,
        run_id=trained.run_id,
        tracking_uri=uri,
        store=store,
        predictions=entries,
        train_sec=trained.result.train_sec,
        sweep=sweep,
    )
    for error in filter(None, missed):
        raise error.after(outcome, "the demo is done all the same")
    return outcome


def _short_sweep(
    store: Path,
    experiment: ExperimentConfig,
    out: Path,
    tracking: str | None,
    on_stage: Callable[[str, str], Update],
    on_message: Callable[[str], None],
) -> SweepOutcome:
    """A few trials of a few epochs; a second demo in the same folder finds the first one's."""
    epochs = min(TRIAL_EPOCHS, experiment.training.num_epochs)
    config = sweep_config(
        store,
        with_overrides(experiment, {"training.num_epochs": epochs}),
        search=SEARCH,
        num_trials=NUM_TRIALS,
        recipe="procedural",
    )
    reporter = _Stage(on_stage("searching hyperparameters", "trials"), on_message)
    return tune_recorded(config, Workspace(out, tracking), reporter, resume=None)


@dataclass(frozen=True)
class _Stage(Reporter):
    """A reporter whose bar is the one that a stage has."""

    update: Update
    on_message: Callable[[str], None]

    def say(self, message: str) -> None:
        self.on_message(message)

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        yield self.update


def _render_and_extract(
    videos: Path,
    store: Path,
    experiment: ExperimentConfig,
    clips_per_action: int,
    on_stage: Callable[[str, str], Update],
    on_message: Callable[[str], None],
) -> None:
    update = on_stage("rendering videos", "clips")
    config = SynthConfig(
        clips_per_action=clips_per_action, num_actors=clips_per_action, seed=experiment.training.seed
    )
    render_dataset(videos, config, on_progress=lambda done, total: update(done, total, ""))
    update = on_stage("extracting poses and scenes", "clips")
    extract(
        list_videos(videos / "manifest.csv"),
        experiment.extraction,
        store,
        on_progress=lambda done, total, counts: update(done, total, ""),
        on_message=on_message,
    )


def unseen_videos(store: FeatureStore) -> list[str]:
    """The first test clip of a few classes, spread over the alphabet."""
    rows = store.read(["test"], columns=[]).select(["path", "label"]).to_pylist()
    first = {row["label"]: row["path"] for row in reversed(rows)}
    labels = sorted(first)
    step = max(1, len(labels) // NUM_EXPLAINED)
    return [first[label] for label in labels[::step][:NUM_EXPLAINED]]
