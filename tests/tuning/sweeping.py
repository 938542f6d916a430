"""A store on which a trial takes a second, for whoever tests sweeps."""

from pathlib import Path

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from tests.stores import arm_store

TINY = {
    "model.pcm.hidden_size": 8,
    "model.pcm.refine_size": 8,
    "model.mme.width": 16,
    "model.mme.num_blocks": 1,
    "model.mme.distances": False,
    "model.cfn.width": 8,
    "features.augmentation.enabled": False,  # a dozen steps have to teach something
    "training.average_decay": 0.5,
    "training.num_epochs": 6,
    "training.batch_size": 8,
    "training.device": "cpu",
}


def tiny_experiment(**changes: object) -> ExperimentConfig:
    return with_overrides(ExperimentConfig(), {**TINY, **changes})


def tiny_store(
    path: Path, clips_per_split: int = 12, splits: tuple[str, ...] = ("train", "val", "test")
) -> Path:
    """An arm goes up or down, by actors that no other split has."""
    rows = [
        {"path": f"/{split}-{number}.mp4", "group": f"{split}{number % 3}", "splits": [split]}
        for split in splits
        for number in range(clips_per_split)
    ]
    return arm_store(path, rows).path
