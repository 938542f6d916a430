"""A comparison of variants as a run in MLflow: what was compared, on what, and what came of it."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.api.starting import Start
from harray.errors import InputError
from harray.files import Place
from harray.store import FeatureStore
from harray.tracking.location import probe, tracking_uri
from harray.tracking.origin import origin_tags_of, run_name
from harray.tracking.runs import TrainingRun
from harray.validation.cross_validation import CrossValidation
from harray.workspace import Workspace


@dataclass(frozen=True)
class Comparison:
    """What a comparison found."""

    kind: str  # the command's name
    metrics: Mapping[str, float]
    result: Mapping[str, Any]  # all of it
    verdicts: Mapping[str, str]  # by variant


def check_tracking(workspace: Workspace) -> None:
    """Refuse before hours of work a tracking store that does not answer.

    Raises:
        InputError: it does not.
    """
    found = probe(workspace)
    if found.reachable is False:
        raise InputError(
            f"tracking store {found.uri}: {found.detail}; start the server, or name another by --tracking-uri"
        )


def record_comparison(found: Comparison, store: Place, start: Start, workspace: Workspace) -> str:
    """Record a comparison as a run: metrics, the verdicts as tags, all of it as a file; returns the run's id.

    Args:
        start: that the variants start from.
    """
    experiment, recipe = start.experiment, start.name
    opened, seed = FeatureStore.open(store), experiment.training.seed
    tags = origin_tags_of(opened.path, opened.digest(), seed, recipe) | {"harray.kind": found.kind}
    tags |= {f"harray.verdict.{_key(name)}": text for name, text in found.verdicts.items()}
    name = f"{found.kind}: {run_name(recipe, store, seed)}"
    with (
        TrainingRun(tracking_uri(workspace), experiment, name=name, tags=tags) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        run.log_metrics({_key(name): value for name, value in found.metrics.items()}, step=0)
        file = Path(folder) / "comparison.json"
        content = {**found.result, "verdicts": dict(found.verdicts)}
        file.write_text(json.dumps(content, indent=1, default=str))
        run.log_artifact(file)
    return run.run_id


def cross_validation_metrics(found: CrossValidation) -> dict[str, float]:
    """Scores of every part of every variant, as the table has them."""
    metrics = {}
    for name, scores in found.variants.items():
        if scores.calibration is not None:
            metrics[f"{name}.calibration_error"] = scores.calibration.expected_calibration_error
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
