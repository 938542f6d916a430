"""A start without labels: PCM and MME learn from clips alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from harray.api.models import Model
from harray.api.starting import StartOptions
from harray.api.stores import Store
from harray.api.train import train
from harray.reporting import Reporter
from harray.workspace import Workspace


def pretrain(
    store: str | Path | Store,
    *,
    register: str | None = None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
    **options: Unpack[StartOptions],
) -> Model:
    """Learn to complete and to foresee motion on a store's clips, recorded in MLflow as a training is.

    Labels are ignored and scenes are not looked at. The model tells no classes: start from it by
    `train(..., init=model)`.

    Args:
        register: the model's name in the registry; None registers nothing.
        options: recipe, config, overrides and init, as of `start_from`; the recipe of the training that is to follow.

    Raises:
        InputError: a store that cannot be learned from, or a bad name.
        Diverged: the loss is no longer a number.
        NotRecorded: the tracking store does not take the run; its `outcome` is the `Model` where it is done.
    """
    overrides = options.get("overrides") or {}
    if isinstance(overrides, Mapping):
        options["overrides"] = {**overrides, "training.use_labels": False}
    else:
        options["overrides"] = [*overrides, "training.use_labels=false"]
    return train(store, register=register, workspace=workspace, reporter=reporter, **options)
