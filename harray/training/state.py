"""The state of an unfinished training as one file, which `torch.load(weights_only=True)` reads."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from harray.errors import InputError


def save_state(state: dict[str, Any], file: Path, mark: str) -> None:
    """Write a state; the file is whole or the former one.

    Args:
        mark: stands for the training that the state belongs to.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    torch.save({"mark": mark, "state": state}, part)
    os.replace(part, file)


def load_state(file: Path, mark: str) -> dict[str, Any]:
    """Read a state onto the CPU.

    Raises:
        InputError: not a state, or the state of a training with other settings or clips.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        found, state = content["mark"], content["state"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise InputError(f"training state {file}: cannot be read; remove it to train anew") from error
    if found != mark:
        raise InputError(
            f"training state {file}: of a training with other settings or clips; "
            "restore them to go on, or remove the file to train anew"
        )
    return state
