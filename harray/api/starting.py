"""What an experiment starts from: a recipe, a recorded configuration or another verb's outcome, and overrides of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harray import recipes
from harray.config import load, parse_overrides, with_overrides
from harray.experiment import ExperimentConfig
from harray.files import local_tree, place


@runtime_checkable
class HasExperiment(Protocol):
    """What holds a whole configuration, such as a sweep its winner's."""

    @property
    def experiment(self) -> ExperimentConfig: ...


Config = str | Path | ExperimentConfig | HasExperiment
Overrides = Mapping[str, Any] | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Start:
    """An experiment, and what it was made from."""

    experiment: ExperimentConfig
    name: str = ""
    """Recipe or file; empty where it was given as an object."""

    def with_overrides(self, overrides: Mapping[str, Any]) -> "Start":
        return replace(self, experiment=with_overrides(self.experiment, overrides))


def start_from(
    recipe: str = "default", config: Config | None = None, overrides: Overrides | None = None
) -> Start:
    """The configuration (or the recipe, where none is given) with the overrides.

    Args:
        recipe: by name, of `harray.recipes`.
        config: YAML file of an earlier run, or an object that is or holds an `ExperimentConfig`.
        overrides: by dotted key, such as {"training.num_epochs": 20}; or texts such as "training.num_epochs=20".

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
    if isinstance(overrides, Mapping):
        return start.with_overrides(overrides)
    return start.with_overrides(parse_overrides(start.experiment, list(overrides or [])))
