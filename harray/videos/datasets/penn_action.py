"""Penn Action: frames/0001/*.jpg and labels/0001.mat with action, train (1 or -1) and the joints."""

from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, absent_note, check_protocol, found_below, listing
from harray.videos.listing import Listing


def list_penn_action(asked: Asked) -> Listing:
    """Sequences with their labels; without frames they are counted as missing."""
    check_protocol(asked, ())
    found = found_below(asked)
    labels = {file.stem: file for file in asked.list_files("*.mat")}
    if not labels:
        raise InputError(
            f"source {asked.root}: no labels/0001.mat in it; expected Penn Action's frames and labels"
        )
    stems = found.by_stem()
    rows = []
    for stem, file in labels.items():
        if stem in stems:
            action, split = _about(file)
            rows.append(
                {
                    "path": found.full(stems[stem][0]),
                    "label": action,
                    "dataset": "penn_action",
                    "splits": [split] if split else [],
                }
            )
    others = [path for stem, paths in stems.items() if stem not in labels for path in paths]
    notes = absent_note(labels.keys() - stems.keys(), "labels")
    notes.append("names tell no groups")
    return listing(asked, found, rows, "penn_action", notes, {"without a label": others} if others else None)


def _about(file: Path) -> tuple[str, str | None]:
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(file, variable_names=["action", "train"])
        action = str(np.ravel(content["action"])[0])
        train = float(np.ravel(content["train"])[0]) if "train" in content else 0.0
    except Exception as error:  # scipy raises whatever the bytes make it stumble over
        raise InputError(f"{file}: not a label of Penn Action ({str(error)[:80]})") from error
    return action, "train" if train > 0 else "test" if train < 0 else None
