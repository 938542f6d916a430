"""Video files by path or by URI (`s3://`, `gs://`, what pyarrow's filesystems speak): stamp, digest, local copy."""

import functools
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harray.names import is_uri, split_uri
from harray.videos.frame_folders import folder_digest, frame_files
from harray.videos.segments import part_of

Stamp = tuple[int, int]  # bytes, modification time in ns

_BLOCK = 1 << 20
ASKED_AT_ONCE = 64  # files of a bucket
_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def stamp_of(path: str) -> Stamp | None:
    """Size and modification time of a file, or of the file that a segment is of; None where there is none or it cannot
    be asked."""
    path = part_of(path).file
    try:
        if is_uri(path):
            info = remote_info(path)
            return (info.size, info.mtime_ns or 0) if info.is_file else None
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def stamps_of(paths: Sequence[str]) -> list[Stamp | None]:
    """The stamp of each; of a bucket's files many are asked for at once, since a bucket takes its time to answer."""
    if not any(map(is_uri, paths)):
        return [stamp_of(path) for path in paths]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        return list(threads.map(stamp_of, paths))


@contextmanager
def local_copy(path: str | Path) -> Generator[Path]:
    """The file itself, or for a URI a temporary copy: a video is read twice and sought in. Of a segment, its video.

    Raises:
        OSError: no such file, one that may not be read, or what is no file with an end (a pipe, a device).
    """
    path = part_of(str(path)).file
    if not is_uri(path):
        _check_regular(Path(path))
        yield Path(path)
        return
    filesystem, inner = remote(str(path))
    with tempfile.NamedTemporaryFile(suffix=Path(inner).suffix) as copy:
        with filesystem.open_input_stream(inner) as source:
            shutil.copyfileobj(source, copy, _BLOCK)
        copy.flush()
        yield Path(copy.name)


def content_digest(file: Path) -> str:
    """32 hexadecimal digits for the bytes of a local file, or of the pictures of a folder."""
    if file.is_dir():
        return folder_digest(file)
    state = hashlib.blake2b(digest_size=16)
    with open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def remote(uri: str) -> tuple[Any, str]:
    """The pyarrow filesystem of a URI, and the path in it.

    Raises:
        OSError: a scheme that pyarrow does not know, or a service that does not answer.
    """
    root, below = split_uri(uri)
    try:
        filesystem, base = _filesystem(root)
    except ValueError as error:  # pyarrow.ArrowInvalid
        raise OSError(f"{uri}: not a URI that pyarrow can open ({str(error).splitlines()[0]})") from error
    return filesystem, f"{base.removesuffix('/')}/{below}"


@functools.cache
def _filesystem(root: str) -> tuple[Any, str]:
    """Of a bucket, once: a client of it takes longer to make than most requests."""
    from pyarrow.fs import FileSystem

    return FileSystem.from_uri(root)


def remote_info(uri: str) -> Any:
    """pyarrow's `FileInfo` of a URI."""
    filesystem, inner = remote(uri)
    return filesystem.get_file_info(inner)


def _check_regular(path: Path) -> None:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode) and frame_files(path):
        return
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "no regular file")
        raise OSError(f"{kind}, not a video file")
