"""Clips whose features stay on this machine's disk: written there once from the shards, then mapped into memory.

    store --shard by shard--> CACHE/mapped/DIGEST/{keypoints,...}.bin --mapped--> MappedRows --a batch's rows--> Tensor

The operating system reads the pages that a batch touches and drops them when memory is short. All processes of a
machine share the files; the last sets of clips are kept for the next training on them.

Letters: N clips, X whatever a clip has.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import torch
from filelock import FileLock
from torch import Tensor

from harray.errors import InputError
from harray.files import cache_dir, write_atomically
from harray.store.clips import KEY
from harray.store.shards import FoundClips

PIECE_BYTES = 2 << 20  # of keypoints that are normalised at a time, which takes some thirty times as much
DONE_FILE = "done.json"
NUM_KEPT = 4  # sets of clips, such as those of train and of val


class MappedRows:
    """Rows of a tensor in a mapped file, chosen but not read; stands where a `Tensor` `[N, X]` would stand.

    Indexing, `split` and `to` read; `select` does not.
    """

    def __init__(self, whole: Tensor, rows_N: Tensor | None = None) -> None:
        """
        Args:
            whole: mapped.
            rows_N: which of its rows, in this order; None for all.
        """
        self._whole = whole
        self._rows_N = rows_N

    def __len__(self) -> int:
        return len(self._whole) if self._rows_N is None else len(self._rows_N)

    @property
    def shape(self) -> torch.Size:
        return torch.Size([len(self), *self._whole.shape[1:]])

    @property
    def num_in_piece(self) -> int:
        """How many rows are read at a time where all are gone through."""
        return max(1, PIECE_BYTES // (self._whole[0].numel() * self._whole.element_size()))

    def select(self, index: Tensor) -> "MappedRows":
        """Rows of these rows, unread."""
        return MappedRows(self._whole, index if self._rows_N is None else self._rows_N[index])

    def flatten(self, first: int, last: int) -> "MappedRows":
        return MappedRows(self._whole.flatten(first, last), self._rows_N)

    def contiguous(self) -> "MappedRows":
        return self

    def __getitem__(self, index: Any) -> Any:
        """Some rows, read; or `[..., i]`, a part of all of them, unread."""
        if isinstance(index, tuple):
            return MappedRows(self._whole[index], self._rows_N)
        rows = self._whole[index] if self._rows_N is None else self._whole[self._rows_N[index]]
        return rows.contiguous().clone() if isinstance(index, slice) else rows.contiguous()

    def split(self, size: int) -> Iterator[Tensor]:
        """All rows, so many at a time, read."""
        for first in range(0, len(self), size):
            yield self[first : first + size]

    def to(self, device: torch.device) -> Tensor:
        """All rows, read."""
        return self[:].to(device)


def mapped_columns(found: FoundClips, columns: Sequence[str]) -> dict[str, Tensor]:
    """Features of clips by column, in files that are mapped.

    Raises:
        InputError, FileNotFoundError: as `FoundClips.pieces`; or the disk is full.
    """
    keys = [found.shards.keys[name].take(pa.array(found.places)).to_pylist() for name in KEY]
    about = [*columns, str(found.shards.schema), *keys]
    name = hashlib.blake2b(json.dumps(about).encode(), digest_size=12).hexdigest()
    root = _root()
    with FileLock(root / ".lock"):  # whoever else wants them waits until they are written
        folder = root / name
        if not (folder / DONE_FILE).exists():
            _forget(root)
            _write(found, columns, folder)
        (folder / DONE_FILE).touch()
        files = json.loads((folder / DONE_FILE).read_text())
        return {column: _mapped(folder / f"{column}.bin", **files[column]) for column in columns}


def _forget(root: Path) -> None:
    """Remove what was not finished, and the longest unused; whoever has it mapped keeps it."""
    done = sorted(root.glob(f"*/{DONE_FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    kept = [file.parent for file in done[: NUM_KEPT - 1]]
    for folder in root.iterdir():
        if folder.is_dir() and folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _write(found: FoundClips, columns: Sequence[str], folder: Path) -> None:
    folder.mkdir()
    about, files = {}, {}
    for column in columns:
        field = found.shards.schema.field(column).type
        dtype, shape = np.dtype(field.value_type.to_pandas_dtype()), (len(found.places), *field.shape)
        about[column] = {"dtype": dtype.name, "shape": shape}
        with (folder / f"{column}.bin").open("wb") as file:
            _reserve(file, math.prod(shape) * dtype.itemsize)
        files[column] = np.memmap(folder / f"{column}.bin", dtype, "r+", shape=shape)
    for rows, table in found.pieces(columns):
        for column, file in files.items():
            file[rows] = array_of(table[column])
    write_atomically(folder / DONE_FILE, lambda file: file.write_text(json.dumps(about)))


def _root() -> Path:
    root = cache_dir() / "mapped"
    root.mkdir(parents=True, exist_ok=True)
    return root


def _reserve(file: IO[bytes], num_bytes: int) -> None:
    """Space on the disk, now: a write to a mapped file that finds none kills the process.

    Raises:
        InputError: the disk is full.
    """
    try:
        if num_bytes:
            os.posix_fallocate(file.fileno(), 0, num_bytes)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"{file.name}: the disk has no {num_bytes / 1e9:.1f} GB left for features that are larger than "
            "training.memory_share of the memory; free some, or let HARRAY_CACHE name a folder on a larger disk"
        ) from error


def _mapped(file: Path, *, dtype: str, shape: Sequence[int]) -> Tensor:
    flat = torch.from_file(str(file), shared=True, size=math.prod(shape), dtype=getattr(torch, dtype))
    return flat.view(*shape)


def scratch(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor of zeros in a mapped file without a name, which is gone with the tensor."""
    with tempfile.NamedTemporaryFile(dir=_root(), prefix=".") as file:
        size = math.prod(shape)
        _reserve(file, size * dtype.itemsize)
        return torch.from_file(file.name, shared=True, size=size, dtype=dtype).view(*shape)


def array_of(column: pa.ChunkedArray) -> np.ndarray:
    """A fixed-shape tensor column as one array `[N, X]`."""
    arrays = [chunk.to_numpy_ndarray() for chunk in column.chunks if len(chunk)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
