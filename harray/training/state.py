"""The state of an unfinished training as one file, which `torch.load(weights_only=True)` reads."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from harray.errors import InputError
from harray.files import Place, write_atomically


def save_state(state: dict[str, Any], file: Place, fingerprint: str) -> None:
    """Write a state atomically.

    Args:
        fingerprint: stands for the training that the state belongs to.
    """
    content = {"mark": fingerprint, "state": state}
    write_atomically(file, lambda part: torch.save(content, part))


def load_state(file: Place, fingerprint: str) -> dict[str, Any]:
    """Read a state onto the CPU.

    Raises:
        InputError: not a state, or the state of a training with other settings or clips.
    """
    try:
        source = file if isinstance(file, Path) else io.BytesIO(file.read_bytes())
        content = torch.load(source, map_location="cpu", weights_only=True)
        found, state = content["mark"], content["state"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise InputError(f"training state {file}: cannot be read; remove it to train anew") from error
    if found != fingerprint:
        raise InputError(
            f"training state {file}: of a training with other settings or clips; "
            "restore them to go on, or remove the file to train anew"
        )
    return state
