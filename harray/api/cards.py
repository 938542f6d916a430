"""What a model card says of a training and of an evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy import stats

from harray.evaluation.report import EvaluationReport
from harray.store import FeatureStore
from harray.tracking.cards import licences_of
from harray.tracking.origin import RECIPE_TAG, STORE_TAG
from harray.training.checkpoint import load_checkpoint

LEVEL = 0.95
SEED_TAG = "harray.seed"
NUM_WORST = 3


def made_section(checkpoint: Path, tags: Mapping[str, str]) -> dict[str, Any]:
    """Of a training: its data, classes and settings, and the weights that made its features.

    Args:
        tags: of its run.
    """
    kept, opened = load_checkpoint(checkpoint), FeatureStore.open(tags[STORE_TAG])
    learned = kept.learned_clips or frozenset()
    rows = opened.read(columns=[]).select(["clip_id", "group"]).to_pylist()
    return {
        "store": str(opened.path),
        "store_digest": kept.store_digest,
        "num_clips": len(learned),
        "num_groups": len({row["group"] for row in rows if row["clip_id"] in learned} - {None}),
        "classes": list(kept.classes),
        "skeleton": kept.skeleton.name,
        "scene": kept.network.cfn is not None,
        "recipe": tags.get(RECIPE_TAG, ""),
        "seed": tags[SEED_TAG],
        "harray_version": kept.harray_version,
        "licences": licences_of(kept.provenance.origin),
    }


def evaluation_section(report: EvaluationReport) -> dict[str, Any]:
    """Of an evaluation: scores, an interval, the weakest classes, accuracy with joints hidden or a scene of noise."""
    num_clips, top1 = report.scores.num_clips, report.scores.top1
    interval = stats.binomtest(round(top1 * num_clips), num_clips).proportion_ci(LEVEL, "wilson")
    classes = sorted((row for row in report.per_class if row.num_clips), key=lambda row: row.f1)
    slices = {
        name.replace("_", " "): scores.top1 for name, scores in report.ablation.items() if name != "fusion"
    }
    if joints := report.occlusion.get("joints"):
        curve = joints.top1.get("with_pcm") or joints.top1["without_pcm"]
        slices |= {
            f"{share:.0%} of the joints hidden": value
            for share, value in zip(joints.hidden_shares, curve, strict=True)
            if share > 0
        }
    return {
        "num_clips": num_clips,
        "top1": top1,
        "interval": [float(interval.low), float(interval.high)],
        "macro_f1": report.scores.macro_f1,
        "worst_classes": [[row.label, row.f1] for row in classes[:NUM_WORST]],
        "slices": slices,
    }
