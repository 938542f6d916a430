"""Copies of a bucket's objects on this machine's disk, each made once, the longest unused removed first.

A copy's name tells the object and its version, so that it is never stale: a shard that was written anew has another.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harray.errors import InputError
from harray.files import bucket
from harray.files.disk import write_atomically
from harray.files.places import File

LIMIT_VARIABLE, DEFAULT_LIMIT_GB = "HARRAY_CACHE_GB", 20.0
NUM_DOWNLOADS = 16  # at a time
KEPT_SEC = 600.0  # a copy that was just handed out is about to be opened, and stays


def cache_dir() -> Path:
    """Where downloads are kept: `HARRAY_CACHE`, else the user's cache folder."""
    if folder := os.environ.get("HARRAY_CACHE"):
        return Path(folder).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("harray", appauthor=False))


def cache_limit() -> int:
    """Bytes that copies of objects may take together: `HARRAY_CACHE_GB`.

    Raises:
        InputError: not a number.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_GB)
    try:
        return int(float(text) * 1e9)
    except ValueError as error:
        raise InputError(f"{LIMIT_VARIABLE}={text}: expected a number of gigabytes, such as 20") from error


def local_file(file: File) -> Path:
    """The file itself on a disk, a copy of an object; a copy stays for ten minutes at least.

    Raises:
        FileNotFoundError: it is gone.
        BucketError: the bucket refuses, or does not answer.
    """
    return local_files([file])[0]


def local_files(files: Sequence[File]) -> list[Path]:
    """As `local_file` of each; objects are fetched several at a time.

    Raises:
        FileNotFoundError, BucketError: as `local_file`.
    """
    found = {file: _copy_of(file) for file in files}
    absent = [file for file, copy in found.items() if not _touched(copy)]
    if absent:
        with ThreadPoolExecutor(NUM_DOWNLOADS) as pool:
            list(pool.map(_download, absent))
        shrink(cache_limit())
    return list(found.values())


def shrink(limit: int) -> None:
    """Remove copies, the longest unused first, until they take no more than `limit` bytes."""
    copies = sorted((status.st_mtime, status.st_size, path) for path, status in _copies())
    total = sum(size for _, size, _ in copies)
    for used, size, path in copies:
        if total <= limit or used > time.time() - KEPT_SEC:
            return
        path.unlink(missing_ok=True)
        total -= size


def _copy_of(file: File) -> Path:
    if isinstance(file.path, Path):
        return file.path
    name = hashlib.blake2b(f"{file.path} {file.stamp}".encode(), digest_size=16).hexdigest()
    return cache_dir() / "objects" / f"{name}{file.path.suffix}"


def _touched(copy: Path) -> bool:
    """Whether it is there; it counts as used now."""
    if copy.parent.name != "objects":
        return True
    try:
        os.utime(copy)
    except FileNotFoundError:
        return False
    return True


def _download(file: File) -> None:
    assert isinstance(file.path, bucket.BucketPath)
    content, _ = bucket.read(file.path)
    write_atomically(_copy_of(file), lambda part: part.write_bytes(content))


def _copies() -> list[tuple[Path, os.stat_result]]:
    folder = cache_dir() / "objects"
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            found.append((path, path.stat()))
        except FileNotFoundError:  # another process was quicker
            continue
    return found
