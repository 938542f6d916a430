"""Folders of videos become a registered model that recognises human actions, shows why, and is put to work.

    import harray
    store  = harray.extract("VIDEOS", "STORE", recipe="laptop")
    model  = harray.train(store, recipe="laptop", overrides={"training.num_epochs": 20}, register="actions")
    report = model.evaluate(store, split="test")
    model  = harray.load("models:/actions@champion")
    answer = model.predict("NEW.mp4")
    answer.top(3), answer.explain("why/")

Importing this package touches no disk, GPU, Ray or MLflow: a name loads what it needs when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harray import recipes
    from harray.api.cross_validate import CrossValidateOptions, cross_validate
    from harray.api.evaluate import EvaluateOptions, evaluate
    from harray.api.extract import ExtractOptions, extract
    from harray.api.models import Model, load
    from harray.api.pretrain import pretrain
    from harray.api.stores import Store
    from harray.api.sweeps import Sweep
    from harray.api.train import Workers, train
    from harray.api.tune import tune
    from harray.reporting import Reporter
    from harray.tuning.config import SweepConfig
    from harray.workspace import Workspace

__version__ = "0.1.0"

_HOMES = {  # name -> module that has it; None: the name is a module
    "extract": "harray.api.extract",
    "train": "harray.api.train",
    "tune": "harray.api.tune",
    "pretrain": "harray.api.pretrain",
    "evaluate": "harray.api.evaluate",
    "EvaluateOptions": "harray.api.evaluate",
    "cross_validate": "harray.api.cross_validate",
    "CrossValidateOptions": "harray.api.cross_validate",
    "load": "harray.api.models",
    "recipes": None,
    "ExtractOptions": "harray.api.extract",
    "Model": "harray.api.models",
    "Reporter": "harray.reporting",
    "Store": "harray.api.stores",
    "Sweep": "harray.api.sweeps",
    "SweepConfig": "harray.tuning.config",
    "Workers": "harray.api.train",
    "Workspace": "harray.workspace",
}

__all__ = [
    "CrossValidateOptions",
    "EvaluateOptions",
    "ExtractOptions",
    "Model",
    "Reporter",
    "Store",
    "Sweep",
    "SweepConfig",
    "Workers",
    "Workspace",
    "__version__",
    "cross_validate",
    "evaluate",
    "extract",
    "load",
    "pretrain",
    "recipes",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harray' has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        return importlib.import_module(f"harray.{name}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
