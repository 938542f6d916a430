"""A cluster for jobs, and a store that costs nothing."""

from pathlib import Path

import numpy as np
import pytest

from harray.schema import EXTRACTED
from tests import clusters


@pytest.fixture(scope="session")
def job_cluster():
    """One head with two CPUs."""
    with clusters.job_cluster(num_cpus=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def small_store(tmp_path_factory) -> Path:
    """24 clips of one person who is still or jumps; no scene, nothing rendered."""
    from harray.store import FeatureStore, StoreSettings

    settings = StoreSettings(skeleton="coco17", keypoints_shape=(1, 16, 17, 3))
    store = FeatureStore.create(tmp_path_factory.mktemp("jobs") / "store", settings)
    random = np.random.default_rng(0)
    names = [f"{label}-{number}" for label in ("jump", "still") for number in range(12)]
    store.write_shard([_clip(name, random) for name in names])
    store.append_ledger(
        {
            "path": f"/{name}.mp4",
            "label": name.partition("-")[0],
            "group": name.partition("-")[2],
            "splits": ["train" if int(name.partition("-")[2]) < 8 else "val"],
            "clip_id": name,
            "status": EXTRACTED,
        }
        for name in names
    )
    return store.path


def _clip(name: str, random: np.random.Generator) -> dict:
    keypoints_PTKC1 = np.ones((1, 16, 17, 3), np.float32)
    keypoints_PTKC1[..., :2] = random.uniform(80, 160, size=(17, 2)) + random.normal(size=(1, 16, 17, 2))
    if name.startswith("jump"):
        keypoints_PTKC1[..., 1] -= 30 * np.abs(np.sin(np.arange(16)))[None, :, None]
    return {
        "clip_id": name,
        "frame_index": list(range(16)),
        "frame_sec": [t / 25 for t in range(16)],
        "height_px": 240,
        "width_px": 320,
        "keypoints": keypoints_PTKC1,
    }
