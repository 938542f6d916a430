"""A store of little clips that can be learned from within seconds, for whoever trains."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harray.store import FeatureStore, StoreSettings

LABELS = ("up", "down")


def arm_store(
    path: Path, rows: Iterable[Mapping[str, Any]], *, scene: bool = True, **settings: Any
) -> FeatureStore:
    """An arm goes down in the first clip, up in the next and so on, before a scene that says nothing.

    Args:
        rows: a clip each: its path, and what else the ledger is to say of it.
        settings: of the store, beside its shapes.
    """
    shapes: dict[str, Any] = {"keypoints_shape": (1, 8, 13, 3), "scene_shape": (1, 4, 6) if scene else None}
    store = FeatureStore.create(path, StoreSettings(skeleton="penn13", **shapes, **settings))
    rng = np.random.default_rng(0)
    features, ledger = [], []
    for number, row in enumerate(rows):
        keypoints = rng.normal(0, 1, (1, 8, 13, 3)) + np.linspace(0, 100, 13)[:, None]
        keypoints[0, :, 5, 1] += np.linspace(0, 60, 8) * (1 if number % 2 else -1)
        keypoints[..., 2] = 1.0
        clip = {"clip_id": Path(row["path"]).stem, "frame_index": range(8), "frame_sec": np.arange(8.0)}
        clip |= {"height_px": 100, "width_px": 100, "keypoints": keypoints}
        features.append(clip | ({"scene_tokens": rng.normal(0, 1, (1, 4, 6))} if scene else {}))
        label = {"label": LABELS[number % 2]}
        ledger.append(label | {"clip_id": clip["clip_id"], "splits": [], "status": "extracted", **row})
    store.write_shard(features)
    store.append_ledger(ledger)
    return store
