"""Extraction that costs next to nothing: an untrained network on tiny videos."""

import av
import numpy as np
import pyarrow as pa
import pytest

from harray.config import with_overrides
from harray.distributed.extraction import store_settings
from harray.distributed.extraction_worker import ExtractionWorker
from harray.extraction.config import ExtractionConfig
from harray.store import FeatureStore


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    """Small shapes, an untrained pose network, no scene branch."""
    import torch

    from harray.poses.weights import prepare_ultralytics

    prepare_ultralytics()
    from ultralytics.nn.tasks import PoseModel

    weights = tmp_path_factory.mktemp("weights") / "untrained.pt"
    torch.save({"model": PoseModel("yolov8n-pose.yaml", verbose=False)}, weights)
    values = {
        "videos.num_frames": 4,
        "poses.weights": str(weights),
        "poses.image_size": 64,
        "scenes.weights": "none",
    }
    return with_overrides(ExtractionConfig(), values)


def write_video(path, brightness):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for i in range(6):
            image = np.full((64, 64, 3), brightness + i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def worker_for(store, config):
    """A worker in this process, and its store."""
    settings = store_settings(config)
    FeatureStore.open_or_create(store, settings)
    return ExtractionWorker(
        config=config,
        store=str(store),
        provenance=settings.provenance,
        clip_ids=FeatureStore.open(store).clip_ids(),
        device="cpu",
        num_threads=1,
    )


def todo_of(manifest):
    """A manifest of which nothing was tried yet."""
    return manifest.append_column("attempts", pa.array([0] * len(manifest), pa.int32()))
