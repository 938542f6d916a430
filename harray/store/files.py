"""Whole files or none: what is written appears under its name complete, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

PART_SUFFIX = ".part"  # a writer that died leaves at most such a file, which no reader looks at


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then move it there in one step.

    The bytes are on the disk before the name appears (fsync, then `os.replace`), so that neither a killed
    process nor a lost machine leaves half a file under the final name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART_SUFFIX}")
    try:
        write(part)
        _flush(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _flush(path.parent)


def parquet_files(folder: Path) -> list[Path]:
    """The finished files of a folder in order of name; parts of unfinished ones are no concern of a reader."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unfinished_files(folder: Path) -> list[Path]:
    """What writers that died left behind, anywhere below a folder."""
    return sorted(folder.rglob(f".*{PART_SUFFIX}"))


def remove_unfinished(folder: Path) -> None:
    """Delete what writers that died left behind; nobody may be writing."""
    for part in unfinished_files(folder):
        part.unlink(missing_ok=True)
