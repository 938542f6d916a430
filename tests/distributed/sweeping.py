"""A store on which a trial takes a second, for whoever tests sweeps."""

from pathlib import Path

import numpy as np

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.store import FeatureStore, StoreSettings

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
    settings = StoreSettings(skeleton="penn13", keypoints_shape=(1, 8, 13, 3), scene_shape=(1, 4, 6))
    store = FeatureStore.create(path, settings)
    rng = np.random.default_rng(0)
    features, rows = [], []
    for split in splits:
        for number in range(clips_per_split):
            keypoints = rng.normal(0, 1, (1, 8, 13, 3)) + np.linspace(0, 100, 13)[:, None]
            keypoints[0, :, 5, 1] += np.linspace(0, 60, 8) * (1 if number % 2 else -1)
            keypoints[..., 2] = 1.0
            clip_id = f"{split}-{number}"
            clip = {"clip_id": clip_id, "frame_index": range(8), "frame_sec": np.arange(8.0)}
            clip |= {"height_px": 100, "width_px": 100, "keypoints": keypoints}
            features.append(clip | {"scene_tokens": rng.normal(0, 1, (1, 4, 6))})
            row = {"path": f"/{clip_id}.mp4", "label": ("up", "down")[number % 2], "clip_id": clip_id}
            rows.append(row | {"group": f"{split}{number % 3}", "splits": [split], "status": "extracted"})
    store.write_shard(features)
    store.append_ledger(rows)
    return store.path
