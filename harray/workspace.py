"""Where runs, reports and logs are kept, and where MLflow records."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from harray.errors import InputError
from harray.files import local_folder as mirrored
from harray.files import place

OUT_VARIABLE, DEFAULT_OUT = "HARRAY_OUT", "harray-out"
_URI = re.compile(r"[a-z][a-z0-9+]+:/")


@dataclass(frozen=True, init=False)
class Workspace:
    """An output folder and a tracking store.

    Which MLflow store rules is decided by `tracking.location.tracking_uri`:
    `tracking_uri`, else MLFLOW_TRACKING_URI, else sqlite in the output folder.
    """

    out: Path
    """Absolute folder of runs, reports, logs and the default tracking store; the one on this machine that stands for a
    bucket's (`files.mirror`)."""
    tracking_uri: str | None
    """MLflow's tracking URI as it was named; None where it was not."""

    def __init__(self, out: str | Path | None = None, tracking_uri: str | None = None) -> None:
        """
        Args:
            out: folder, or a bucket's URI; None for HARRAY_OUT, else `harray-out` in the working directory.
            tracking_uri: None for MLFLOW_TRACKING_URI, else sqlite under `out`.

        Raises:
            InputError: `out` is a URI of another kind.
        """
        chosen = out_folder(out or os.environ.get(OUT_VARIABLE) or DEFAULT_OUT)
        object.__setattr__(self, "out", chosen.absolute())
        object.__setattr__(self, "tracking_uri", tracking_uri)


def out_folder(out: str | Path) -> Path:
    """The folder of this machine that an output folder is, or that stands for one in a bucket.

    Raises:
        InputError: a URI of another kind.
    """
    return mirrored(place(out))


def local_folder(folder: str | Path) -> Path:
    """The folder as a path; a URI is refused, which would silently become a folder of that name.

    Raises:
        InputError: what looks like `s3://BUCKET/store`.
    """
    if _URI.match(str(folder)):
        raise InputError(f"{folder}: found a URI, expected a folder of this machine")
    return Path(folder)
