"""The verbs of a disk and of a bucket, once: put, put if absent, list, delete. What stands below a `Place` is read by
its own `read_bytes` and `read_text`, and what is large through `cache.local_file`."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from harray.errors import InputError
from harray.files import bucket, disk
from harray.files.bucket import SCHEMES, BucketPath
from harray.names import is_uri

Place = Path | BucketPath  # a file or folder, on a disk that this machine mounts or in a bucket


@dataclass(frozen=True, order=True)
class File:
    """A finished file, as it was listed."""

    path: Place
    num_bytes: int
    stamp: str
    """Of its bytes: a disk's time of modification in ns, a bucket's etag."""

    @property
    def name(self) -> str:
        return self.path.name


def place(name: str | Place) -> Place:
    """A path of this machine, or what a URI of a bucket names.

    Raises:
        InputError: a URI of another kind, or one without a bucket.
    """
    if isinstance(name, BucketPath) or not is_uri(name):
        return name if isinstance(name, BucketPath) else Path(name)
    scheme = str(name).partition("://")[0]
    if scheme not in SCHEMES:
        raise InputError(
            f"{name}: found {scheme}://, expected a folder, or a bucket by s3://, gs:// or az://"
        )
    return BucketPath.parse(str(name))


def write_atomically(path: Place, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local file, which then appears as `path` in one step; what stood there is replaced.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(path, Path):
        disk.write_atomically(path, write)
    else:
        _sent(path, write, bucket.put)


def put_if_absent(path: Place, write: Callable[[Path], object]) -> bool:
    """As `write_atomically`, but what stands there stays, even of several writers at once: False then.

    Raises:
        OSError: it cannot be written, or the bucket knows no conditional writes.
    """
    if isinstance(path, Path):
        return disk.put_if_absent(path, write)
    return _sent(path, write, bucket.create) is not None


def list_files(folder: Place, suffix: str) -> list[File]:
    """The finished files of a folder in order of name, such as those of suffix `.parquet`; none of a folder that is
    not there."""
    if isinstance(folder, Path):
        return _on_disk(disk.list_files(folder, suffix))
    there = [file for file in _in_bucket(folder) if file.path.parent == folder]
    return [file for file in there if file.name.endswith(suffix) and not file.name.startswith(".")]


def list_tree(folder: Place) -> list[File]:
    """Every finished file below a folder, at whatever depth, in order of name."""
    if isinstance(folder, BucketPath):
        return _in_bucket(folder)
    return _on_disk(sorted(path for path in folder.rglob("*") if path.suffix != disk.PART_SUFFIX))


def delete(paths: Iterable[Place]) -> None:
    """Delete files; those that are gone already are none the worse."""
    paths = list(paths)
    for path in paths:
        if isinstance(path, Path):
            path.unlink(missing_ok=True)
    bucket.delete([path for path in paths if isinstance(path, BucketPath)])


def remove_tree(folder: Place) -> None:
    """Delete a folder and all below it, if it is there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        bucket.delete([path for path, _ in bucket.objects(folder)])


def send_tree(source: Path, target: Place) -> None:
    """Copy a local folder; what the target holds under the same names is replaced."""
    if isinstance(target, Path):
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    for file in list_tree(source):
        assert isinstance(file.path, Path)
        bucket.put(target / str(file.path.relative_to(source)), file.path)


def move(path: Place, target: Place) -> None:
    """Give a file another name; in a bucket it is copied, then deleted."""
    if isinstance(path, Path):
        assert isinstance(target, Path)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    else:
        assert isinstance(target, BucketPath)
        bucket.copy(path, target)
        bucket.delete([path])


def unfinished_files(folder: Place) -> list[Path]:
    """What writers that died left behind, anywhere below a folder; in a bucket nothing."""
    return disk.unfinished_files(folder) if isinstance(folder, Path) else []


def remove_unfinished(folder: Place) -> None:
    """Delete what writers that died left behind; nobody may be writing."""
    for part in unfinished_files(folder):
        part.unlink(missing_ok=True)


def _in_bucket(folder: BucketPath) -> list[File]:
    return sorted(
        File(path, about["size"], str(about["e_tag"] or about["last_modified"]))
        for path, about in bucket.objects(folder)
    )


def _on_disk(paths: Iterable[Path]) -> list[File]:
    files = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:  # removed in the meantime
            continue
        if S_ISREG(status.st_mode):
            files.append(File(path, status.st_size, str(status.st_mtime_ns)))
    return files


def _sent(path: BucketPath, write: Callable[[Path], object], send: Callable) -> object:
    with tempfile.TemporaryDirectory(prefix="harray-") as folder:
        file = Path(folder) / path.name
        write(file)
        return send(path, file)
