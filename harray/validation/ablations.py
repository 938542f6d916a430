"""Fair ablations: networks trained with and without a part, alike in everything else, several seeds each."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.config import with_overrides
from harray.errors import InputError
from harray.evaluation.evaluate import clips_for
from harray.evaluation.occlusion import HIDDEN_SHARES, occlusion_curves
from harray.inference.predictor import Predictor
from harray.store import FeatureStore
from harray.training.config import LearningConfig
from harray.training.run import TrainingRequest, train_store

PARTS: dict[str, dict[str, Any]] = {  # part -> overrides of ModelConfig that leave it out
    "pcm": {"pcm.enabled": False, "pcm.fill": "zero"},
    "pcm-linear": {"pcm.enabled": False, "pcm.fill": "linear"},
    "differences": {"mme.differences": False},
    "scene": {"cfn.enabled": False},
    "people": {"mme.people_attention": False},
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Top-1 of every variant under occlusion: `[seeds, shares]` arrays by kind of occlusion, then by variant name."""

    split: str
    hidden_shares: tuple[float, ...]
    top1: Mapping[str, Mapping[str, np.ndarray]]

    def to_json(self) -> dict[str, Any]:
        """Mean and standard deviation over seeds, the seeds' values, and each variant's mean loss to `full`."""
        by_kind = {kind: _variants_json(top1) for kind, top1 in self.top1.items()}
        return {"split": self.split, "hidden_shares": self.hidden_shares, "occlusion": by_kind}


def _variants_json(top1: Mapping[str, np.ndarray]) -> dict[str, Any]:
    full = top1["full"].mean(axis=0)
    return {
        name: {
            "mean": values.mean(axis=0).tolist(),
            "std": values.std(axis=0).tolist(),
            "seeds": values.tolist(),
            "full_minus_this": (full - values.mean(axis=0)).tolist(),
        }
        for name, values in top1.items()
    }


def variants_without(parts: list[str]) -> dict[str, dict[str, Any]]:
    """`full` and one variant without each part.

    Raises:
        InputError: an unknown part.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise InputError(f"part {unknown[0]!r}: expected one of {', '.join(PARTS)}")
    return {"full": {}} | {f"without {part}": PARTS[part] for part in parts}


def compare(
    store: Path,
    split: str,
    *,
    learning: LearningConfig,
    variants: Mapping[str, Mapping[str, Any]],
    num_seeds: int,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Train every variant with every seed and hide the same joints from all of them.

    Seeds run from `training.seed` upwards; variants of one seed share batches, augmentation and hiding.

    Raises:
        InputError: a store that cannot be trained on, or no such split.
    """
    opened, training = FeatureStore.open(store), learning.training
    top1: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    num_done = 0
    if on_progress:
        on_progress(0, num_seeds * len(variants), "")
    for seed in range(training.seed, training.seed + num_seeds):
        for name, overrides in variants.items():
            with tempfile.TemporaryDirectory() as folder:
                variant = dataclasses.replace(
                    learning,
                    model=with_overrides(learning.model, overrides),
                    training=dataclasses.replace(training, seed=seed),
                )
                request = TrainingRequest(store=store, out=Path(folder), learning=variant)
                predictor = Predictor.load(train_store(request).checkpoint)
            clips = clips_for(predictor, opened, split)
            curves = occlusion_curves({name: predictor}, clips, seed=seed)
            for kind, curve in curves.items():
                top1.setdefault(kind, {}).setdefault(name, []).append(curve.top1[name])
            num_done += 1
            if on_progress:
                on_progress(num_done, num_seeds * len(variants), f"{name}, seed {seed}")
    return Comparison(
        split=split,
        hidden_shares=HIDDEN_SHARES,
        top1={
            kind: {name: np.array(values) for name, values in of_kind.items()}
            for kind, of_kind in top1.items()
        },
    )
