"""Arguments and options that several commands share, and how they become a config."""

import re
from pathlib import Path
from typing import Annotated

import typer

from harray import recipes
from harray.config import load, parse_overrides, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig


def _mounted(folder: Path | None) -> Path | None:
    """Refuse a URI, which would silently become a folder of that name.

    Raises:
        InputError: what looks like `s3://BUCKET/store`.
    """
    if folder is not None and re.match(r"[a-z][a-z0-9+]+:/", str(folder)):
        raise InputError(
            f"{folder}: found a URI, expected a folder, which on a cluster every node mounts: a bucket cannot rename; "
            "only videos and --storage may be remote"
        )
    return folder


Json = Annotated[bool, typer.Option("--json", help="Last line on standard output: one JSON object.")]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        envvar="HARRAY_OUT",
        callback=_mounted,
        help="Folder of runs, logs and the default tracking store.",
    ),
]
Store = Annotated[
    Path, typer.Option("--store", callback=_mounted, help="Feature store, as `harray extract` makes it.")
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Checkpoint folder, runs:/... or models:/name@alias.")
]
TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow store; else MLFLOW_TRACKING_URI, else sqlite under --out."),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        "--explain",
        metavar="DIR",
        callback=_mounted,
        help="Write overlay videos and attention pictures here.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="HARRAY_STORAGE",
        metavar="URI",
        help="Where workers keep their state, reached by every node, such as s3://BUCKET/ray; else --out.",
    ),
]
MaxFailures = Annotated[
    int,
    typer.Option(
        "--max-failures",
        min=0,
        help="How often lost workers are replaced; more for long runs on spot machines.",
    ),
]
Recipe = Annotated[
    str, typer.Option("--recipe", help=f"Named config to start from: {', '.join(recipes.names())}.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML of an earlier run to start from, instead of a recipe.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[key=value ...]", help="Such as training.num_epochs=20.")
]

DEFAULT_OUT = Path("harray-out")


def build_config(recipe: str, config_file: Path | None, overrides: list[str] | None) -> ExperimentConfig:
    """Recipe or file first, then the command line's overrides."""
    start = load(ExperimentConfig, config_file) if config_file else recipes.recipe_named(recipe)
    return with_overrides(start, parse_overrides(start, overrides or []))


def existing(path: Path, what: str, hint: str) -> Path:
    """The path, absolute; refused where nothing is there."""
    if not path.exists():
        raise InputError(f"{what} {path}: no such file or folder; {hint}")
    return path.absolute()


def check_store(store: Path) -> None:
    """Refuse early, before heavy imports, what is no store.

    Raises:
        InputError: no such folder, not a store, or one of another version.
    """
    from harray.store.settings import load_settings

    load_settings(store)


def check_split(store: Path, split: str) -> None:
    """Refuse early a split that a store does not have.

    Raises:
        InputError: no store, or no such split; those that there are are listed.
    """
    from harray.store import FeatureStore

    if split not in (splits := FeatureStore.open(store).splits()):
        raise InputError(
            f"store {store}: no split {split!r}, it has {', '.join(splits) or 'none'}; name one by --split"
        )


def check_model(model: str) -> None:
    """Refuse early a path where nothing is; what a registry holds is asked later.

    Raises:
        InputError: no such folder.
    """
    if not model.startswith(("runs:/", "models:/")) and not Path(model).is_dir():
        raise InputError(
            f"model {model}: no such folder; expected a checkpoint folder of `harray train`, runs:/RUN_ID or "
            "models:/NAME@ALIAS"
        )
