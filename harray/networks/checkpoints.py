"""The names in a PyTorch checkpoint, read from its bytes: nothing is unpickled, and torch is not imported."""

import io
import pickletools
import zipfile
from pathlib import Path
from typing import IO

LEGACY_PICKLES = 4  # of a file from before torch 1.6: magic number, protocol, machine, and the content


def names_in(path: Path) -> set[str]:
    """Classes (`module name`) and texts in a checkpoint, such as the keys of a state dict; empty where it is none."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return _names(file, LEGACY_PICKLES)
    with zipfile.ZipFile(path) as archive:
        member = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        return set() if member is None else _names(io.BytesIO(archive.read(member)), 1)


def _names(file: IO[bytes], num_pickles: int) -> set[str]:
    names: set[str] = set()
    try:
        for _ in range(num_pickles):
            names |= {text for _, text, _ in pickletools.genops(file) if isinstance(text, str)}
    except ValueError:  # no pickle, or one that ends too soon
        return set()
    return names
