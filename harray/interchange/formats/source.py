"""A file that may hold keypoints: its content by kind, read once; names and numbers told by file names."""

import dataclasses
import functools
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError

NUMBER = re.compile(r"\d+(?!.*\d)")  # the last number of a name
_FRAME_TAILS = re.compile(r"[_.\- ]?(keypoints|pose|kp|result|results|landmarks)$", re.IGNORECASE)
JSON, TABLE, TEXT, MAT, HDF5, NPY, PICKLE, OTHER = (
    "json",
    "table",
    "text",
    "mat",
    "hdf5",
    "npy",
    "pickle",
    "other",
)
_SUFFIXES = {
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".csv": TABLE,
    ".tsv": TABLE,
    ".txt": TEXT,
    ".skeleton": TEXT,
    ".mat": MAT,
    ".h5": HDF5,
    ".hdf5": HDF5,
    ".slp": HDF5,
    ".npy": NPY,
    ".npz": NPY,
    ".pkl": PICKLE,
    ".pickle": PICKLE,
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One file.

    Attributes:
        path: where it lies.
        name: path below what was asked for, without suffixes, with slashes.
        series: how many files of its folder have the same name but for the number.
    """

    path: Path
    name: str
    series: int = 1
    fps: float | None = None
    data: dict[str, Any] = dataclasses.field(
        default_factory=dict
    )  # what lies beside it, such as YOLO's data.yaml

    @property
    def kind(self) -> str:
        """By the ending; gzip's does not count."""
        return kind_of(self.path)

    @property
    def stem(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @functools.cached_property
    def bytes(self) -> bytes:
        """The file's bytes, unzipped.

        Raises:
            InputError: it cannot be read, or is a pointer of Git LFS.
        """
        try:
            content = self.path.read_bytes()
            if content[:2] == b"\x1f\x8b":
                content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from error
        if content.startswith(b"version https://git-lfs"):
            raise InputError(
                f"{self.path}: a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"
            )
        return content

    @functools.cached_property
    def text(self) -> str:
        """The file as text, in UTF-8 (or UTF-16 with its mark); Latin-1 where it is neither."""
        content = self.bytes
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            return content.decode("latin-1")

    @functools.cached_property
    def json(self) -> Any:
        """The whole file, or a list of its lines where each is JSON of its own.

        Raises:
            InputError: no JSON, with the line.
        """
        try:
            if any(suffix.lower() in (".jsonl", ".ndjson") for suffix in self.path.suffixes):
                return [json.loads(line) for line in self.text.splitlines() if line.strip()]
            return json.loads(self.text)
        except ValueError as error:
            place = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else error
            raise InputError(
                f"{self.path}: not JSON ({place}); expected what the pose tool wrote, unchanged"
            ) from error

    @functools.cached_property
    def mat(self) -> dict[str, Any]:
        """Variables of a MATLAB file, by name.

        Raises:
            InputError: no MATLAB file, or one of version 7.3 that holds more than arrays.
        """
        import io

        from scipy.io import loadmat

        if self.bytes[:128].startswith(b"MATLAB 7.3") or self.bytes[:4] == b"\x89HDF":
            return self._mat73()
        try:
            return {
                name: value
                for name, value in loadmat(io.BytesIO(self.bytes)).items()
                if not name.startswith("__")
            }
        except Exception as error:  # scipy raises whatever the bytes make it stumble over
            raise InputError(
                f"{self.path}: not a MATLAB file ({str(error)[:80]}); expected a .mat of version 4 to 7.3"
            ) from error

    def _mat73(self) -> dict[str, Any]:
        with self.hdf5() as file:
            found: dict[str, Any] = {}
            for name, value in file.items():
                if not hasattr(value, "shape"):
                    continue
                array = np.asarray(value).T
                if value.attrs.get("MATLAB_class") == b"char":
                    array = np.array(["".join(map(chr, array.ravel().astype(int)))])
                found[name] = array
            return found

    def hdf5(self) -> Any:
        """An open h5py file.

        Raises:
            InputError: no HDF5 file.
        """
        import io

        import h5py

        try:
            return h5py.File(io.BytesIO(self.bytes), "r")
        except OSError as error:
            raise InputError(f"{self.path}: not an HDF5 file ({str(error)[:80]})") from error

    @functools.cached_property
    def array(self) -> np.ndarray:
        """The array of an npy file, or the only one of an npz.

        Raises:
            InputError: none, several, or one of Python objects.
        """
        import io

        try:
            found = np.load(io.BytesIO(self.bytes), allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InputError(
                f"{self.path}: not an array of numbers ({str(error)[:80]}); save it as plain floats"
            ) from error
        if isinstance(found, np.ndarray):
            return found
        if len(found.files) != 1:
            raise InputError(
                f"{self.path}: found the arrays {', '.join(found.files) or 'none'}, expected one; save keypoints "
                "[frames, joints, 2 to 4] alone"
            )
        return found[found.files[0]]

    def frame(self) -> tuple[str, int | None]:
        """Name of the clip and number of the frame, where the file is one frame of several."""
        return frame_named(self.name)


def kind_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1], OTHER) if suffixes else OTHER


def frame_named(name: str) -> tuple[str, int | None]:
    """The name of a clip and the number of a frame in a frame's name without suffix.

    >>> frame_named("a/Kick 10_000000000004_keypoints"), frame_named("cam01.0003"), frame_named("walk")
    (('a/Kick 10', 4), ('cam01', 3), ('walk', None))
    """
    folder, slash, stem = name.rpartition("/")
    bare = _FRAME_TAILS.sub("", stem)
    found = re.search(r"(\d+)$", bare)
    if found is None:
        return name, None
    prefix = bare[: found.start()].rstrip("_.-# ")
    prefix = re.sub(r"[_.\- ]?(frame|image|img)$", "", prefix, flags=re.IGNORECASE)
    return f"{folder}{slash if prefix else ''}{prefix}" or folder, int(found[1])


def number_in(cell: str) -> float:
    """The number in a cell of a table; not a number where it holds none."""
    try:
        return float(cell)
    except ValueError:
        return float("nan")
