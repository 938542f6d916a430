"""Evaluate a model on a split, write the report, and add it to the run that trained the model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harray.api.cards import evaluation_section
from harray.errors import InputError
from harray.evaluation.evaluate import evaluate
from harray.evaluation.report import EvaluationReport, write_report
from harray.inference import Predictor
from harray.names import short_name
from harray.store import FeatureStore
from harray.store.leaks import overlap_with_clips
from harray.store.test_part import test_splits
from harray.tracking.cards import update_cards
from harray.tracking.location import check_credentials
from harray.tracking.registry import resolve_model, run_of_model
from harray.tracking.runs import NotRecorded, mlflow_name, record_evaluation, recording


def evaluate_recorded(
    model: str,
    store: Path,
    split: str,
    out: Path,
    uri: str,
    *,
    occlusion: bool = True,
    min_precision: float | None = None,
    allow_leak: bool = False,
    on_progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> tuple[EvaluationReport, list[Path]]:
    """The report and its files, the HTML page first.

    Args:
        model: a MODEL argument.
        uri: tracking URI; where the model's run is found there, it gets the scores as metrics and the files, under
            the split's name, or `leaked.SPLIT` and with a tag where the model learned from some of the clips.
        allow_leak: score a test split although the model learned from clips or groups of it.
        min_precision, on_progress: as of `evaluate`.

    Raises:
        InputError: no such model, store or split, a store that does not fit the model, or a test split that is none.
        NotRecorded: the tracking store does not take the scores; its `outcome` is what would be returned.
    """
    checkpoint = resolve_model(model, uri)
    run_id = run_of_model(model, uri)
    if run_id:
        check_credentials(uri)
    opened = FeatureStore.open(store)
    predictor = Predictor.load(checkpoint)
    if test_splits([split]) and not allow_leak:
        _check_no_leak(predictor, opened, split)
    report = evaluate(
        predictor,
        opened,
        split,
        model=model,
        occlusion=occlusion,
        min_precision=min_precision,
        on_progress=on_progress,
    )
    run_id = run_of_model(model, uri)
    name = short_name(f"{split}-{run_id[:8] if run_id else checkpoint.parent.name}")
    files = write_report(report, out.absolute() / "evaluations" / name)
    if run_id:
        recorded = recorded_name(report)
        metrics = {f"{recorded}.{key}": value for key, value in dataclasses.asdict(report.scores).items()}
        if report.calibration:
            metrics[f"{recorded}.expected_calibration_error"] = report.calibration.expected_calibration_error
        for part, scores in report.ablation.items():
            metrics[f"{recorded}.{part}.top1"] = scores.top1
        for floor, scores in report.floors.items():
            metrics[f"{recorded}.floor.{floor}.top1"] = scores.top1
        try:
            folder = f"evaluation/{recorded}"
            if record_evaluation(uri, run_id, metrics, files[0].parent, folder, _tags(report)):
                with recording(uri, run_id):
                    update_cards(uri, run_id, recorded, evaluation_section(report))
        except NotRecorded as error:
            raise error.after((report, files), "the scores stand in the report only") from error
    return report, files


def _check_no_leak(predictor: Predictor, store: FeatureStore, split: str) -> None:
    found = overlap_with_clips(store, predictor.checkpoint.learned_clips or frozenset(), split)
    if found:
        raise InputError(
            f"store {store.path}: {found}, so that this is no test; score another split, train on what shares nothing "
            "with it, or add --allow-leak"
        )


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
