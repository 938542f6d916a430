"""A folder in a bucket, worked in through one on this machine: fetched from by name, sent to when something is new.

Programs that write many small files, append, rename and lock (a study, figures, logs) do so in a temporary folder of
this process; every `SEND_SEC`, and in the end, what is new there goes up, and what was removed goes. The bucket is the
truth: whoever is killed has lost what was written since, as if it had been killed that much earlier.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.files import bucket
from harray.files.bucket import BucketError, BucketPath
from harray.files.disk import LOCK_FILE, LOCK_PATIENCE_SEC, PART_SUFFIX, write_atomically
from harray.files.disk import lock_folder as lock_local
from harray.files.lease import take
from harray.files.places import Place

SEND_SEC = 15.0
PREFIX = "harray-out-"

_mirrors: dict[BucketPath, "Mirror"] = {}  # of this process
_making = threading.Lock()


class Mirror:
    """Attributes:
    remote: the folder in the bucket.
    local: the one that stands for it.
    """

    def __init__(self, remote: BucketPath) -> None:
        self.remote = remote
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self._lock = lock_local(self._root)  # so that others see that it is in use
        self.local = self._root / "out"
        self.local.mkdir()
        self._sent: dict[str, tuple[int, int]] = {}  # by name: size and time of what the bucket has too
        self._busy = threading.RLock()
        self._is_closed = False

    def close(self) -> None:
        """Remove the local folder; nothing is sent any more."""
        with self._busy:
            self._is_closed = True
            shutil.rmtree(self._root, ignore_errors=True)

    def fetch(self, below: str = "", wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Bring what the bucket has below a folder, such as `runs`, of names that are wanted.

        Raises:
            BucketError: the bucket refuses, or does not answer.
        """
        with self._busy:
            for path, about in bucket.objects(self.remote / below if below else self.remote):
                name = path.relative_to(self.remote)
                file = self.local / name
                if path.name == LOCK_FILE or name in self._sent or file.exists() or not wanted(name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    content, _ = bucket.read(path)
                    write_atomically(file, lambda part, content=content: part.write_bytes(content))
                    when = about["last_modified"].timestamp()
                    os.utime(file, (when, when))
                    self._sent[name] = _state(file)

    def send(self) -> None:
        """Send what is new, and remove what was.

        Raises:
            BucketError: the bucket refuses, or does not answer; or somebody removed the local folder.
        """
        with self._busy:
            if self._is_closed:
                return
            if not self.local.exists():
                raise BucketError(
                    f"{self.local}: somebody removed this folder, which stands for {self.remote}, and what was "
                    "not sent is lost; give the command again, with a TMPDIR that nobody tidies"
                )
            there = {str(path.relative_to(self.local)): path for path in self._files()}
            for name, path in sorted(there.items()):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    state = _state(path)
                    if self._sent.get(name) != state:
                        bucket.put(self.remote / name, path.read_bytes())
                        self._sent[name] = state
            gone = [name for name in self._sent if not (self.local / name).exists()]
            bucket.delete([self.remote / name for name in gone])
            for name in gone:
                del self._sent[name]

    def _files(self) -> list[Path]:
        return [
            path
            for path in self.local.rglob("*")
            if path.is_file() and path.suffix != PART_SUFFIX and path.name != LOCK_FILE
        ]


def local_folder(folder: Place) -> Path:
    """The folder itself, or the one on this machine that stands for a bucket's, empty at first."""
    if isinstance(folder, Path):
        return folder
    with _making:
        if folder not in _mirrors:
            _remove_left()
            _mirrors[folder] = Mirror(folder)
            atexit.register(_mirrors[folder].close)
        return _mirrors[folder].local


def local_tree(path: Place) -> Path:
    """A file, or a folder with all in it; of a bucket's, a copy on this machine until the process ends.

    Raises:
        BucketError: the bucket refuses, or does not answer.
    """
    if isinstance(path, Path):
        return path
    above = local_folder(path.parent)
    fetch(above, lambda name: name == path.name or name.startswith(f"{path.name}/"))
    return above / path.name


def mirror_of(path: Path) -> Mirror | None:
    """The mirror that a local path is in."""
    return next((mirror for mirror in _mirrors.values() if path.is_relative_to(mirror.local)), None)


def remote_of(path: Path) -> Place:
    """Where every machine finds what a path of this one stands for; the path itself outside of a mirror."""
    mirror = mirror_of(path)
    if mirror is None:
        return path
    name = str(path.relative_to(mirror.local))
    return mirror.remote if name == "." else mirror.remote / name


def local_of(path: Place) -> Path:
    """The other way: the path on this machine that stands for an object below a mirror.

    Raises:
        ValueError: it is below none.
    """
    if isinstance(path, Path):
        return path
    for mirror in _mirrors.values():
        if path.bucket == mirror.remote.bucket and f"{path.key}/".startswith(f"{mirror.remote.key}/"):
            return mirror.local / path.relative_to(mirror.remote)
    raise ValueError(f"{path}: below no mirror")


def fetch(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Bring what the bucket has below a folder of a mirror, if it is one; see `Mirror.fetch`."""
    if mirror := mirror_of(folder):
        below = str(folder.relative_to(mirror.local))
        mirror.fetch("" if below == "." else below, wanted)


def shown(text: str) -> str:
    """A text for people or scripts, with the names that every machine knows in place of a mirror's."""
    for mirror in _mirrors.values():
        text = text.replace(str(mirror.local), str(mirror.remote))
    return text


@contextlib.contextmanager
def kept(folder: Path) -> Generator[None]:
    """While a command works, and in its end, send what is new in a mirror; outside of one nothing happens.

    Raises:
        BucketError: at the beginning or in the end the bucket refuses, or does not answer.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        yield
        return
    next(bucket.objects(mirror.remote / LOCK_FILE), None)  # hours later would be too late
    over = threading.Event()

    def send_often() -> None:
        while not over.wait(SEND_SEC):
            with contextlib.suppress(Exception):  # the end tries again, and tells
                mirror.send()

    thread = threading.Thread(target=send_often, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        over.set()
        with contextlib.suppress(BucketError):  # whatever ended the command says more
            mirror.send()
        raise
    over.set()
    thread.join()
    mirror.send()


class Held:
    """A folder that this process alone works in, until `release`; of a mirror, on whatever machine."""

    def __init__(self, free: Callable[[], Any]) -> None:
        self.release = free


def lock_folder(
    folder: Path, *, name: str = LOCK_FILE, patience_sec: float = LOCK_PATIENCE_SEC
) -> Held | None:
    """The lock of a folder, which is made, taken; None where another process holds it.

    On a disk the operating system frees the lock when its holder dies, however that happens; in a bucket the next one
    takes the lease over.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        lock = lock_local(folder, name=name, patience_sec=patience_sec)
        return None if lock is None else Held(lock.release)
    folder.mkdir(parents=True, exist_ok=True)
    lease = take(mirror.remote / str(folder.relative_to(mirror.local)) / name, {"pid": os.getpid()})
    if isinstance(lease, dict):
        return None

    def release() -> None:
        try:
            mirror.send()
        finally:
            lease.release()

    return Held(release)


@contextlib.contextmanager
def holding(folder: Path, complaint: str) -> Generator[None]:
    """Be the only process that works in a folder.

    Raises:
        InputError: another one does, with that complaint.
    """
    lock = lock_folder(folder)
    if lock is None:
        raise InputError(complaint)
    try:
        yield
    finally:
        lock.release()


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _remove_left() -> None:
    """Of processes that were killed: nobody holds their locks."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's
            if lock := lock_local(folder, patience_sec=0):
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
