"""Arguments and options that several commands share, and how they become a config."""

from pathlib import Path
from typing import Annotated

import typer

from harray import recipes
from harray.cli import advice
from harray.cli.advice import DEFAULT_OUT as DEFAULT_OUT
from harray.config import leaf_types, load, parse_overrides, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.files import BucketPath, local_tree, place
from harray.training.config import TrainingConfig
from harray.workspace import OUT_VARIABLE, local_folder, out_folder


def on_this_machine(folder: Path | None) -> Path | None:
    return None if folder is None else local_folder(folder)


def _reachable(store: str | None) -> str | None:
    """A folder, or a bucket that harray can speak to; else refused."""
    return store and str(place(store))


def _copied(file: str) -> Path:
    return local_tree(place(file))


Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        envvar=OUT_VARIABLE,
        parser=out_folder,
        metavar="PLACE",
        help="Folder for runs, reports, logs and the default tracking store; or a bucket's s3://, gs:// or az://.",
    ),
]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="PLACE",
        callback=_reachable,
        help="Feature store, made by `harray extract`: a folder, or a bucket's s3://, gs:// or az://.",
    ),
]
StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", callback=_reachable, help="Feature store, a folder or a bucket's.")
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Checkpoint folder, runs:/ID, models:/NAME@ALIAS or models:/NAME/VERSION."
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", help="MLflow store. Default: MLFLOW_TRACKING_URI, else sqlite under --out."
    ),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        "--explain",
        metavar="DIR",
        callback=on_this_machine,
        help="Write annotated videos and attention maps to this folder.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="HARRAY_STORAGE",
        metavar="URI",
        help="Where workers save their state, reached by every node, if not under --out.",
    ),
]
MaxFailures = Annotated[
    int,
    typer.Option(
        "--max-failures",
        min=0,
        help="How many times lost workers are replaced; raise it for long runs on spot machines.",
    ),
]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="SHARE",
        min=0.0,
        max=1.0,
        help='Answer "unsure" where answers that sure are right less often, such as 0.95; else below one in two.',
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        help=f"Named config to start from: {', '.join(recipes.names())}; `harray recipes` describes them.",
        autocompletion=lambda incomplete: [name for name in recipes.names() if name.startswith(incomplete)],
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        parser=_copied,
        metavar="FILE",
        help="YAML config of an earlier run to start from, instead of a recipe.",
    ),
]
Init = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Start from its weights, by names of layers, joints and classes: training.init=MODEL.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[key=value ...]",
        help="Config overrides, such as training.num_epochs=20; `harray config` lists the keys.",
        autocompletion=lambda incomplete: [
            f"{key}=" for key in leaf_types(ExperimentConfig) if key.startswith(incomplete)
        ],
    ),
]
TestShare = Annotated[
    float | None,
    typer.Option(
        "--test-share",
        metavar="SHARE",
        help="Where there is no test split: hold out this share of the clips, such as 0.2; whole groups, for good.",
    ),
]


def build_config(recipe: str, config_file: Path | None, overrides: list[str] | None) -> ExperimentConfig:
    """Recipe or file first, then the command line's overrides."""
    start = load(ExperimentConfig, config_file) if config_file else recipes.recipe_named(recipe)
    return with_overrides(start, parse_overrides(start, overrides or []))


def starting_from(init: str | None, overrides: list[str] | None) -> list[str]:
    """The overrides, with the model to start from."""
    return [*(overrides or []), *([f"training.init={init}"] if init else [])]


def existing(path: Path, what: str, hint: str) -> Path:
    """The path, absolute; refused where nothing is there."""
    if not path.exists():
        raise InputError(f"{what} {path}: no such file or folder; {hint}")
    return path.absolute()


def check_store(store: str) -> None:
    """Refuse early, before heavy imports, what is no store.

    Raises:
        InputError: no such folder, not a store, or one of another version.
    """
    from harray.api.stores import Store

    Store(store)


def check_split(store: str, split: str) -> None:
    """Refuse early a split that a store does not have.

    Raises:
        InputError: no store, or no such split; those that there are are listed, and without a test part how to get one.
    """
    from harray.api.stores import Store

    if split in (splits := Store(store).splits()):
        return
    if split == "test" and (missing := no_test_part(store, TrainingConfig())):
        raise InputError(missing)
    raise InputError(
        f"store {store}: no split {split!r}, it has {', '.join(splits) or 'none'}; name one by --split"
    )


def no_test_part(store: str, training: TrainingConfig) -> str:
    """What to say of a store without a split that scores what is so trained; empty where it has one."""
    from harray.api.stores import Store

    there = Store(store)
    if there.scored_split(training):
        return ""
    missing = (
        f"store {store}: no test part to score models on (splits: {', '.join(there.splits()) or 'none'})"
    )
    if not there.can_hold_out(advice.TEST_SHARE):
        return f"{missing}, and too few groups to hold one out; add videos"
    how = advice.command("train", flags={"--store": store, "--test-share": advice.TEST_SHARE})
    return f"{missing}; `{how}` holds one out by group, and trains on the rest"


def train_command(
    store: str, training: TrainingConfig, flags: dict[str, object], overrides: list[str] | None = None
) -> str:
    """The command that trains on a store as it is: on the split that it has, holding out a test part if it has none."""
    from harray.api.stores import Store

    there = Store(store)
    trained = there.train_split(training)
    if trained is None:
        return advice.command("store info", store)
    last = [] if trained == training.train_split else [f"training.train_split={trained}"]
    wanted = no_test_part(store, training) and there.can_hold_out(advice.TEST_SHARE)
    share = advice.TEST_SHARE if wanted else None
    return advice.command(
        "train", flags={"--store": store, **flags, "--test-share": share}, last=[*(overrides or []), *last]
    )


def check_model(model: str) -> None:
    """Refuse early a path where nothing is; what a registry holds is asked later.

    Raises:
        InputError: no such folder.
    """
    if model.startswith(("runs:/", "models:/")) or isinstance(place(model), BucketPath):
        return
    if not Path(model).is_dir():
        raise InputError(
            f"model {model}: no such folder; expected a checkpoint folder of `harray train`, runs:/RUN_ID or "
            "models:/NAME@ALIAS"
        )
