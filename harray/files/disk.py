"""Files of a disk that appear whole or not at all, and folders in which one process works at a time.

Parts, renaming and flushing are what a disk needs for what a bucket does by itself, and stand here alone.
"""

import os
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PART_SUFFIX = ".part"  # a writer that died leaves at most such a file, which no reader looks at
LOCK_FILE = ".lock"
LOCK_PATIENCE_SEC = 2.0  # a holder that was just killed may take a moment to be gone


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then move it there in one step; what stood there is replaced.

    The bytes are on the disk before the name appears (fsync, then `os.replace`), so that neither a killed
    process nor a lost machine leaves half a file under the final name.
    """
    with _part_of(path, write) as part:
        os.replace(part, path)


def put_if_absent(path: Path, write: Callable[[Path], object]) -> bool:
    """As `write_atomically`, but a file that stands there stays, even of several writers at once: False then."""
    with _part_of(path, write) as part:
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: the name is taken first, and filled at once
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return False
            os.replace(part, path)
    return True


def list_files(folder: Path, suffix: str) -> list[Path]:
    """The finished files of a folder in order of name, such as those of suffix `.parquet`."""
    return sorted(path for path in folder.glob(f"*{suffix}") if not path.name.startswith("."))


def unfinished_files(folder: Path) -> list[Path]:
    """What writers that died left behind, anywhere below a folder."""
    return sorted(folder.rglob(f".*{PART_SUFFIX}"))


def lock_folder(
    folder: Path, *, name: str = LOCK_FILE, patience_sec: float = LOCK_PATIENCE_SEC
) -> FileLock | None:
    """The lock of a folder, which is made, taken; None where another process holds it.

    The operating system frees the lock when its holder dies, however that happens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=patience_sec)
    except Timeout:
        return None
    return lock


@contextmanager
def _part_of(path: Path, write: Callable[[Path], object]) -> Generator[Path]:
    """A finished file beside `path`, on the disk; gone afterwards, unless it was moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    try:
        write(part)
        _flush(part)
        yield part
    finally:
        part.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
