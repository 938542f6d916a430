"""Evaluate a model on a split, write the report, and add it to the run that trained the model."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harray.api.cards import evaluation_section
from harray.api.models import Model, load
from harray.api.session import working
from harray.api.stores import Store, as_store
from harray.errors import InputError
from harray.evaluation.across import read_class_map
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


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is measured, and on what terms."""

    occlusion: bool = True
    """Whether to measure accuracy with joints hidden, too."""
    min_precision: float | None = None
    """Share of right answers that is asked for; the others count as "unsure". None: one in two."""
    allow_leak: bool = False
    """Score a test split although the model learned from clips or groups of it."""
    classes: str | Path | Mapping[str, str] | None = None
    """For a store of another data set: the model's class by label, or a csv `label,class` of it; labels of the same
    name need no mention, and a label whose class is empty is left out. None: its labels are the model's classes."""


def evaluate(
    model: str | Path | Model,
    store: str | Place | Store,
    *,
    split: str = "test",
    options: EvaluateOptions = EvaluateOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> EvaluationReport:
    """Score a model on a split of a store, part by part; the report's pages are written into the workspace.

    Where the model's run is found in the tracking store, it gets the scores as metrics and the files, under the
    split's name, or `leaked.SPLIT` and with a tag where the model learned from some of the clips, or `STORE.SPLIT` for
    a store of another data set.

    Args:
        split: of the store; `all` for every clip.

    Raises:
        InputError: no such model, store, split or map of classes, a store that does not fit the model, or a test split
            that is none.
        NotRecorded: the tracking store does not take the scores; its `outcome` is the report.
    """
    names = options.classes
    if isinstance(names, str | Path):
        names = read_class_map(names)
    with working(workspace, reporter) as (place, told):
        loaded = load(model, workspace=place)
        uri, opened = tracking_uri(place), as_store(store).features
        if run_of_model(loaded.name, uri):
            check_credentials(uri)
        if test_splits([split]) and not options.allow_leak:
            _check_no_leak(loaded, opened, split)
        with told.progress("evaluating", "steps") as update:
            report = score(
                loaded.predictor,
                opened,
                split,
                model=loaded.name,
                occlusion=options.occlusion,
                min_precision=options.min_precision,
                class_names=names,
                update=update,
            )
        if names is None:
            report = with_objects(report, loaded.predictor, opened)
        run_id = run_of_model(loaded.name, uri)
        what = split if names is None else f"{opened.path.name}-{split}"
        name = short_name(f"{what}-{run_id[:8] if run_id else loaded.checkpoint.parent.name}")
        files = write_report(report, place.out / "evaluations" / name)
        report = dataclasses.replace(report, page=files[0])
        if run_id:
            _record(report, uri, run_id, recorded_name(report, opened.path.name))
        return report


def _check_no_leak(model: Model, store: FeatureStore, split: str) -> None:
    found = overlap_with_clips(store, model.predictor.checkpoint.learned_clips or frozenset(), split)
    if found:
        raise InputError(
            f"store {store.path}: {found}, so that this is no test; score another split, train on what shares nothing "
            "with it, or add --allow-leak"
        )


def _record(report: EvaluationReport, uri: str, run_id: str, recorded: str) -> None:
    page = report.page
    assert page is not None
    metrics = {f"{recorded}.{key}": value for key, value in dataclasses.asdict(report.scores).items()}
    if report.calibration:
        metrics[f"{recorded}.expected_calibration_error"] = report.calibration.expected_calibration_error
    for part, scores in report.ablation.items():
        metrics[f"{recorded}.{part}.top1"] = scores.top1
    for floor, scores in report.floors.items():
        metrics[f"{recorded}.floor.{floor}.top1"] = scores.top1
    try:
        if record_evaluation(
            uri, run_id, metrics, page.parent, f"evaluation/{recorded}", _tags(report, recorded)
        ):
            with recording(uri, run_id):
                update_cards(uri, run_id, recorded, evaluation_section(report))
    except NotRecorded as error:
        raise error.after(report, "the scores stand in the report only") from error


def recorded_name(report: EvaluationReport, store: str) -> str:
    """The name under which MLflow has the scores: the split's, behind the store's for another data set, and of clips
    that the model learned from `leaked.SPLIT`, so that nobody takes them for a test's."""
    split = mlflow_name(report.split if report.class_map is None else f"{store}.{report.split}")
    return f"leaked.{split}" if report.num_learned else split


def _tags(report: EvaluationReport, recorded: str) -> dict[str, str]:
    if not report.num_learned:
        return {}
    said = (
        f"no test: {report.num_learned} of {report.scores.num_clips} clips chose the model's weights or epoch"
    )
    return {f"harray.{recorded}": said}
