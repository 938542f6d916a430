"""Flags that people try because other programs have them, and what does the same here."""

from collections.abc import Sequence
from typing import Any

from harray.config import leaf_types
from harray.experiment import ExperimentConfig
from harray.extraction.config import ExtractionConfig

SYNONYMS = {  # by the usual name of a flag, without dashes
    "lr": "learning_rate",
    "batch": "batch_size",
    "imgsz": "image_size",
    "img_size": "image_size",
    "max_epochs": "num_epochs",
    "n_epochs": "num_epochs",
    "wd": "weight_decay",
    "early_stopping": "patience",
    "amp": "mixed_precision",
    "fp16": "mixed_precision",
    "val_size": "val_share",
    "val_split_share": "val_share",
    "threads": "num_threads",
    "frames": "num_frames",
    "hidden": "hidden_size",
}
FLAGS = {  # flag that others have -> flag that does it here
    "num_workers": "--workers",
    "nproc_per_node": "--workers",
    "output": "--out",
    "output_dir": "--out",
    "save_dir": "--out",
    "project": "--out",
    "name": "--register",
    "model_name": "--register",
    "test_size": "--test-share",
    "test_split": "--test-share",
    "n_trials": "--trials",
    "num_trials": "--trials",
    "timeout": "--time-budget",
    "mlflow_uri": "--tracking-uri",
    "data": "--store",
    "dataset": "--store",
    "resume_from": "--resume",
    "jobs": "--actors",
}
GPUS = {"gpu", "gpus", "cuda", "ngpus", "num_gpus"}
EXTRACTING = {"extract", "retry", "extraction"}  # commands whose overrides are of these sections only


def instead_of(option: str, value: str | None, command: str, parameters: Sequence[Any]) -> str:
    """What to write instead of an unknown flag; empty where nothing comes near.

    Args:
        option: as it was given, such as `--epochs`.
        value: that followed it, or None.
        command: the command's own name.
        parameters: that it has, as the parser knows them.
    """
    name = option.lstrip("-").replace("-", "_").lower()
    flags = {flag for parameter in parameters for flag in parameter.opts}
    takes_overrides = any(parameter.name == "overrides" for parameter in parameters)
    if name in GPUS or (name == "device" and (command in EXTRACTING or not takes_overrides)):
        return _of_gpus(value, command, flags, takes_overrides)
    if FLAGS.get(name) in flags:
        return f"write {FLAGS[name]}{f' {value}' if value else ''}"
    if not takes_overrides:
        return ""
    extraction = list(leaf_types(ExtractionConfig))
    keys = keys_like(SYNONYMS.get(name, name), [*leaf_types(ExperimentConfig)])
    of_extraction = [key for key in keys if key in extraction]
    keys = of_extraction if command in EXTRACTING else [key for key in keys if key not in extraction] or keys
    said = [f"{key}={value or '...'}" for key in keys[:3]]
    return f"write {' or '.join(said)}" if said else ""


def keys_like(name: str, known: Sequence[str]) -> list[str]:
    """Dotted keys that end in this name, whole or after `num_` and the like; training's first.

    >>> keys_like("epochs", ["training.num_epochs", "model.dropout"])
    ['training.num_epochs']
    """
    last = {key: key.rpartition(".")[2] for key in known}
    same = [key for key in known if last[key] == name or key.replace(".", "_") == name]
    near = same or [key for key in known if last[key].endswith(f"_{name}")]
    return sorted(near, key=lambda key: not key.startswith("training."))


def _of_gpus(value: str | None, command: str, flags: set[str], takes_overrides: bool) -> str:
    if command in EXTRACTING:
        return (
            "GPUs are used where the cluster has them; poses.gpus_per_actor=0.25 is an actor's share of one"
        )
    device = "a GPU is used where there is one"
    if takes_overrides:
        device += ", training.device=cuda insists on it, training.device=cpu does without"
    if {"--workers", "--storage"} <= flags:  # Ray Train's
        count = value if value and value.isdigit() else "N"
        device += f"; --workers {count} trains on {count} of them"
    return device
