"""Evaluate a model on a split, write the report, and add it to the run that trained the model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harray.evaluation.evaluate import evaluate
from harray.evaluation.report import EvaluationReport, write_report
from harray.inference import Predictor
from harray.store import FeatureStore
from harray.tracking.registry import resolve_model, run_of_model
from harray.tracking.runs import record_evaluation


def evaluate_recorded(
    model: str,
    store: Path,
    split: str,
    out: Path,
    uri: str,
    *,
    occlusion: bool = True,
    on_progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> tuple[EvaluationReport, list[Path]]:
    """The report and its files, the HTML page first.

    Args:
        model: a MODEL argument.
        uri: tracking URI; where the model's run is found there, it gets the scores as metrics and the files.
        on_progress: as of `evaluate`.

    Raises:
        InputError: no such model, store or split, or a store that does not fit the model.
    """
    checkpoint = resolve_model(model, uri)
    opened = FeatureStore.open(store)
    predictor = Predictor.load(checkpoint)
    report = evaluate(predictor, opened, split, model=model, occlusion=occlusion, on_progress=on_progress)
    run_id = run_of_model(model, uri)
    name = f"{split}-{run_id[:8] if run_id else checkpoint.parent.name}"
    files = write_report(report, out.absolute() / "evaluations" / name)
    if run_id:
        metrics = {f"{split}.{key}": value for key, value in dataclasses.asdict(report.scores).items()}
        for part, scores in report.ablation.items():
            metrics[f"{split}.{part}.top1"] = scores.top1
        for name, scores in report.floors.items():
            metrics[f"{split}.floor.{name}.top1"] = scores.top1
        record_evaluation(uri, run_id, metrics, files[0].parent, f"evaluation/{split}")
    return report, files
