"""A tracking store made once by MLflow's own migrations (seconds) and copied for each test, and doubles."""

import shutil
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    from harray.tracking.location import connect

    file = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    connect(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(empty_database, tmp_path) -> str:
    """The URI of a fresh tracking store in `tmp_path`."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A folder that looks like a checkpoint, with three classes."""
    import numpy as np
    from safetensors.numpy import save_file

    folder = tmp_path / "training" / "best"
    folder.mkdir(parents=True)
    save_file({"weight": np.ones(3, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "checkpoint.yaml").write_text(yaml.safe_dump({"classes": ["run", "sit", "wave"]}))
    return folder
