"""Evaluate a model on a split, write the report, and add it to the run that trained the model."""

import dataclasses
from pathlib import Path

from harray.api.cards import evaluation_section
from harray.api.models import Model, load
from harray.api.session import working
from harray.api.stores import Store, as_store
from harray.errors import InputError
from harray.evaluation.evaluate import evaluate as score
from harray.evaluation.report import EvaluationReport, write_report
from harray.files import Place
from harray.names import short_name
from harray.rendered.attention import with_objects
from harray.reporting import Reporter
from harray.store import FeatureStore
from harray.store.leaks import overlap_with_clips
from harray.store.test_part import test_splits
from harray.tracking.cards import update_cards
from harray.tracking.location import check_credentials, tracking_uri
from harray.tracking.registry import run_of_model
from harray.tracking.runs import NotRecorded, mlflow_name, record_evaluation, recording
from harray.workspace import Workspace


def evaluate(
    model: str | Path | Model,
    store: str | Place | Store,
    *,
    split: str = "test",
    occlusion: bool = True,
    min_precision: float | None = None,
    allow_leak: bool = False,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> EvaluationReport:
    """Score a model on a split of a store, part by part; the report's pages are written into the workspace.

    Where the model's run is found in the tracking store, it gets the scores as metrics and the files, under the
    split's name, or `leaked.SPLIT` and with a tag where the model learned from some of the clips.

    Args:
        occlusion: whether to measure accuracy with joints hidden, too.
        min_precision: share of right answers that is asked for; the others count as "unsure". None: one in two.
        allow_leak: score a test split although the model learned from clips or groups of it.

    Raises:
        InputError: no such model, store or split, a store that does not fit the model, or a test split that is none.
        NotRecorded: the tracking store does not take the scores; its `outcome` is the report.
    """
    with working(workspace, reporter) as (place, told):
        loaded = load(model, workspace=place)
        uri, opened = tracking_uri(place), as_store(store).features
        if run_of_model(loaded.name, uri):
            check_credentials(uri)
        if test_splits([split]) and not allow_leak:
            _check_no_leak(loaded, opened, split)
        with told.progress("evaluating", "steps") as update:
            report = score(
                loaded.predictor,
                opened,
                split,
                model=loaded.name,
                occlusion=occlusion,
                min_precision=min_precision,
                update=update,
            )
        report = with_objects(report, loaded.predictor, opened)
        run_id = run_of_model(loaded.name, uri)
        name = short_name(f"{split}-{run_id[:8] if run_id else loaded.checkpoint.parent.name}")
        files = write_report(report, place.out / "evaluations" / name)
        report = dataclasses.replace(report, page=files[0])
        if run_id:
            _record(report, uri, run_id)
        return report


def _check_no_leak(model: Model, store: FeatureStore, split: str) -> None:
    found = overlap_with_clips(store, model.predictor.checkpoint.learned_clips or frozenset(), split)
    if found:
        raise InputError(
            f"store {store.path}: {found}, so that this is no test; score another split, train on what shares nothing "
            "with it, or add --allow-leak"
        )


def _record(report: EvaluationReport, uri: str, run_id: str) -> None:
    recorded, page = recorded_name(report), report.page
    assert page is not None
    metrics = {f"{recorded}.{key}": value for key, value in dataclasses.asdict(report.scores).items()}
    if report.calibration:
        metrics[f"{recorded}.expected_calibration_error"] = report.calibration.expected_calibration_error
    for part, scores in report.ablation.items():
        metrics[f"{recorded}.{part}.top1"] = scores.top1
    for floor, scores in report.floors.items():
        metrics[f"{recorded}.floor.{floor}.top1"] = scores.top1
    try:
        if record_evaluation(uri, run_id, metrics, page.parent, f"evaluation/{recorded}", _tags(report)):
            with recording(uri, run_id):
                update_cards(uri, run_id, recorded, evaluation_section(report))
    except NotRecorded as error:
        raise error.after(report, "the scores stand in the report only") from error


def recorded_name(report: EvaluationReport) -> str:
    """The name under which MLflow has the scores: the split's, and of clips that the model learned from `leaked.SPLIT`,
    so that nobody takes them for a test's."""
    split = mlflow_name(report.split)
    return f"leaked.{split}" if report.num_learned else split


def _tags(report: EvaluationReport) -> dict[str, str]:
    if not report.num_learned:
        return {}
    said = (
        f"no test: {report.num_learned} of {report.scores.num_clips} clips chose the model's weights or epoch"
    )
    return {f"harray.{recorded_name(report)}": said}
