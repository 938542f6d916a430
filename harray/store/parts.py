"""The files of a store, read many at a time, and read again where compaction took one away meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from harray.errors import InputError
from harray.files import File, local_file, local_files

T = TypeVar("T")

READ_AT_ONCE = 8  # files; what takes long is waiting for them
ATTEMPTS = 5  # compactions during one reading


def undisturbed(read: Callable[[], T]) -> T:
    """What `read` gives; from its start again where a file vanished that it had listed.

    Compaction puts the large file before it removes the small ones, so that a new listing has all rows.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return read()
        except FileNotFoundError:
            continue
    return read()


def each_of(read: Callable[[File], T], files: Sequence[File]) -> list[T]:
    """What `read` gives for each file, in their order; what this machine has no copy of is fetched first."""
    local_files(files)
    with ThreadPoolExecutor(READ_AT_ONCE) as threads:
        return list(threads.map(read, files))


def read_part(file: File, columns: Sequence[str] | None = None, checksums: bool = False) -> pa.Table:
    """A file of a store, or some of its columns.

    Args:
        checksums: whether to compare its pages with their checksums.

    Raises:
        InputError: the file is damaged.
        FileNotFoundError: it is not there any more.
    """

    def read(copy: Path) -> pa.Table:
        with pq.ParquetFile(copy, page_checksum_verification=checksums) as part:
            return part.read(columns=columns, use_threads=False)

    return checked(read, file)


def checked(read: Callable[[Path], T], file: File) -> T:
    """What `read` gives for a file, or for its copy on this machine.

    Raises:
        InputError: the file is damaged, or its bucket does not answer.
        FileNotFoundError: it is not there any more.
    """
    try:
        return read(local_file(file))
    except (FileNotFoundError, InputError, MemoryError):  # Arrow's error of memory is one of Arrow's too
        raise
    except (OSError, pa.ArrowException) as error:
        folder = file.path.parent
        raise InputError(
            f"store {folder.parent}: {folder.name}/{file.name} cannot be read; run `harray store verify "
            f"{folder.parent} --repair`, then the same `harray extract` again"
        ) from error
