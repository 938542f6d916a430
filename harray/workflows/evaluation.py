"""Evaluate a model on a split, write the report, and add it to the run that trained the model."""

import dataclasses
from pathlib import Path

from harray.evaluation.evaluate import evaluate
from harray.evaluation.report import EvaluationReport, write_report
from harray.inference import Predictor
from harray.store import FeatureStore
from harray.tracking.location import check_credentials
from harray.tracking.registry import resolve_model, run_of_model
from harray.tracking.runs import NotRecorded, record_evaluation


def evaluate_recorded(
    model: str, store: Path, split: str, out: Path, uri: str, *, occlusion: bool = True
) -> tuple[EvaluationReport, list[Path]]:
    """The report and its files, the HTML page first.

    Args:
        model: a MODEL argument.
        uri: tracking URI; where the model's run is found there, it gets the scores as metrics and the files.

    Raises:
        InputError: no such model, store or split, or a store that does not fit the model.
        NotRecorded: the tracking store does not take the scores; its `outcome` is what would be returned.
    """
    checkpoint = resolve_model(model, uri)
    run_id = run_of_model(model, uri)
    if run_id:
        check_credentials(uri)
    opened = FeatureStore.open(store)
    predictor = Predictor.load(checkpoint)
    report = evaluate(predictor, opened, split, model=model, occlusion=occlusion)
    name = f"{split}-{run_id[:8] if run_id else checkpoint.parent.name}"
    files = write_report(report, out.absolute() / "evaluations" / name)
    if run_id:
        metrics = {f"{split}.{key}": value for key, value in dataclasses.asdict(report.scores).items()}
        for part, scores in report.ablation.items():
            metrics[f"{split}.{part}.top1"] = scores.top1
        try:
            record_evaluation(uri, run_id, metrics, files[0].parent, f"evaluation/{split}")
        except NotRecorded as error:
            raise error.after((report, files), "the scores stand in the report only") from error
    return report, files
