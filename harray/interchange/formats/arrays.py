"""Text in arrays of MATLAB and HDF5 files."""

from typing import Any

import numpy as np


def texts(values: Any) -> list[str]:
    return [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in np.ravel(values)
    ]


def text_of(value: Any) -> str:
    """A MATLAB string, however deep it is wrapped."""
    while isinstance(value, np.ndarray) and value.size:
        value = value.ravel()[0] if value.dtype.kind != "U" or value.size == 1 else "".join(value.ravel())
    return str(value).strip()
