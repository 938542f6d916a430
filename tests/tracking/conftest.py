"""A tracking store made once by MLflow's own migrations (seconds) and copied for each test, and doubles."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    from harray.tracking.location import connect

    file = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    connect(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="module")
def shared_uri(empty_database, tmp_path_factory) -> str:
    """The URI of a tracking store for tests that only read what the module put into it."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(empty_database, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def uri(empty_database, tmp_path) -> str:
    """The URI of a fresh tracking store in `tmp_path`."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained network of three actions, as `harray train` saves it."""
    from harray.features.config import FeaturesConfig
    from harray.model.config import ModelConfig
    from harray.model.network import FusionNetwork
    from harray.skeleton import layout_named
    from harray.training.checkpoint import Checkpoint, save_checkpoint

    shape = {"num_people": 2, "num_frames": 8, "num_joints": 17, "num_coordinates": 2}
    skeleton = layout_named("coco17")
    network = FusionNetwork(ModelConfig(), **shape, scene_dim=None, num_classes=3, bones=skeleton.bones)
    saved = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=("run", "sit", "wave"),
        skeleton=skeleton,
        scene_grid=None,
        store_digest="abc",
    )
    return save_checkpoint(saved, tmp_path_factory.mktemp("training") / "best")
