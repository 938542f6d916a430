"""A registry with two versions of a model."""

from pathlib import Path

from harray.experiment import ExperimentConfig
from harray.tracking.location import connect
from harray.tracking.registry import register
from harray.tracking.runs import TrainingRun

NAME, CHAMPION = "actions", "models:/actions@champion"


def registered(folder: Path, checkpoints: list[Path]) -> str:
    """Every checkpoint a version of `actions`, the first of them champion, the last challenger; the tracking URI."""
    uri = f"sqlite:///{folder}/mlflow.db"
    for checkpoint in checkpoints:
        with TrainingRun(uri, ExperimentConfig(), name="little") as run:
            register(uri, NAME, run.log_model(checkpoint))
    return uri


def point(uri: str, version: int, alias: str = "champion") -> None:
    """Let an alias point to a version."""
    connect(uri).set_registered_model_alias(NAME, alias, str(version))
