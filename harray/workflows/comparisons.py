"""A comparison of variants as a run in MLflow: what was compared, on what, and what came of it."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harray.evaluation.ablations import Comparison
from harray.evaluation.cross_validation import CrossValidation
from harray.experiment import ExperimentConfig
from harray.store import FeatureStore
from harray.tracking.location import tracking_uri
from harray.tracking.runs import TrainingRun
from harray.workflows.training import origin_tags_of, run_name


def comparison_run(
    kind: str, store: Path, experiment: ExperimentConfig, out: Path, tracking: str | None, recipe: str
) -> TrainingRun:
    """The run to open around a comparison, so that a tracking store that is away is said before the work.

    Args:
        kind: `ablate` or `cross-validate`.
        experiment: that the variants start from.
        recipe: that it started from.
    """
    opened = FeatureStore.open(store)
    tags = origin_tags_of(opened.path, opened.digest(), experiment.training.seed, recipe)
    name = f"{kind}: {run_name(recipe, store, experiment.training.seed)}"
    return TrainingRun(tracking_uri(out, tracking), experiment, name=name, tags={**tags, "harray.kind": kind})


def record_comparison(
    run: TrainingRun, metrics: Mapping[str, float], result: Mapping[str, Any], verdicts: Mapping[str, str]
) -> None:
    """Add what a comparison found: metrics, the verdicts as tags, and all of it as a file."""
    run.log_metrics({_key(name): value for name, value in metrics.items()}, step=0)
    run.set_tags({f"harray.verdict.{_key(name)}": text for name, text in verdicts.items()})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "comparison.json"
        file.write_text(json.dumps({**result, "verdicts": dict(verdicts)}, indent=1, default=str))
        run.log_artifact(file)


def ablation_metrics(comparison: Comparison) -> dict[str, float]:
    """Mean top-1 over seeds, by variant, kind of occlusion and share hidden in percent."""
    return {
        f"{name}.{kind}.{round(100 * share)}.top1": float(values[:, place].mean())
        for kind, of_kind in comparison.top1.items()
        for name, values in of_kind.items()
        for place, share in enumerate(comparison.hidden_shares)
    }


def cross_validation_metrics(found: CrossValidation) -> dict[str, float]:
    """Scores of every part of every variant, as the table has them."""
    metrics = {}
    for name, scores in found.variants.items():
        for part, values in scores.parts.items():
            metrics |= {
                f"{name}.{part}.top1": values.top1.mean,
                f"{name}.{part}.top1_std_folds": values.top1.std_folds,
                f"{name}.{part}.top1_std_seeds": values.top1.std_seeds,
                f"{name}.{part}.macro_f1": values.macro_f1.mean,
                f"{name}.{part}.pooled_top1": values.pooled_top1,
                f"{name}.{part}.pooled_macro_f1": values.pooled_macro_f1,
            }
    return metrics


def _key(name: str) -> str:
    """As MLflow allows names."""
    return re.sub(r"[^\w.\- /]", "_", name)[:200]
