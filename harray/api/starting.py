"""What an experiment starts from: a recipe, a recorded configuration or another verb's outcome, overrides of it, and
the model whose weights it takes over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

from harray import recipes
from harray.config import load, parse_overrides, with_overrides
from harray.experiment import ExperimentConfig
from harray.files import local_tree, place


@runtime_checkable
class HasExperiment(Protocol):
    """What holds a whole configuration, such as a sweep its winner's."""

    @property
    def experiment(self) -> ExperimentConfig: ...


@runtime_checkable
class HasCheckpoint(Protocol):
    """What a checkpoint folder belongs to, such as a model."""

    @property
    def checkpoint(self) -> Path: ...


Config = str | Path | ExperimentConfig | HasExperiment
Overrides = Mapping[str, Any] | Sequence[str]


class StartOptions(TypedDict, total=False):
    """What `start_from` takes, and with it every verb that trains."""

    recipe: str
    config: Config | None
    overrides: Overrides | None
    init: str | Path | HasCheckpoint | None


@dataclass(frozen=True, kw_only=True)
class Start:
    """An experiment, and what it was made from."""

    experiment: ExperimentConfig
    name: str = ""
    """Recipe or file; empty where it was given as an object."""

    def with_overrides(self, overrides: Mapping[str, Any]) -> "Start":
        return replace(self, experiment=with_overrides(self.experiment, overrides))


def start_from(
    recipe: str = "default",
    config: Config | None = None,
    overrides: Overrides | None = None,
    init: str | Path | HasCheckpoint | None = None,
) -> Start:
    """The configuration (or the recipe, where none is given) with the overrides.

    Args:
        recipe: by name, of `harray.recipes`.
        config: YAML file of an earlier run, or an object that is or holds an `ExperimentConfig`.
        overrides: by dotted key, such as {"training.num_epochs": 20}; or texts such as "training.num_epochs=20".
        init: a model whose weights to start from, as an object or by its MODEL; None draws weights.

    Raises:
        InputError: no such recipe, file or key, or a value that does not fit.
    """
    match config:
        case None:
            start = Start(experiment=recipes.recipe_named(recipe), name=recipe)
        case ExperimentConfig():
            start = Start(experiment=config)
        case str() | Path():
            start = Start(experiment=load(ExperimentConfig, local_tree(place(config))), name=str(config))
        case _:
            start = Start(experiment=config.experiment)
    if not isinstance(overrides, Mapping):
        overrides = parse_overrides(start.experiment, list(overrides or []))
    start = start.with_overrides(overrides)
    if init is None:
        return start
    return start.with_overrides(
        {"training.init": str(init.checkpoint if isinstance(init, HasCheckpoint) else init)}
    )
