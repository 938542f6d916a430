"""A training's folder: a new one, or that of the same training, interrupted, so that the same command goes on."""

from pathlib import Path
from types import TracebackType
from typing import Self

from harray.errors import InputError
from harray.files import LOCK_FILE, Held, Place, fetch, lock_folder, remote_of
from harray.tracking.registry import RUN_FILE

UNFINISHED_FILE, STATE_FILE = "unfinished", "state.pt"


class RunFolder:
    """A folder that one process holds inside `with`; left without an error, the training is over.

    Attributes:
        path: the folder.
        state_file: where a training in one process keeps its state meanwhile.
        run_id: the MLflow run of the interrupted training that is gone on with; None of a new one.
    """

    def __init__(self, path: Path, lock: Held) -> None:
        self.path = path
        self.state_file = path / STATE_FILE
        run_file = path / RUN_FILE
        self.run_id = run_file.read_text() if run_file.exists() else None
        self._lock = lock

    @classmethod
    def claim(cls, parent: Path, name: str, fingerprint: str) -> "RunFolder":
        """The folder under `parent` where a training of this fingerprint was interrupted, else a new one.

        One that another process works in is left to it: the operating system frees a lock when its holder dies.

        Args:
            name: of a new folder; a number is added where there is one already.
            fingerprint: stands for everything that decides the outcome.
        """
        fetch(parent, lambda name: name.endswith(f"/{UNFINISHED_FILE}"))
        for file in sorted(parent.glob(f"*/{UNFINISHED_FILE}")):
            if not _is_of(file, fingerprint):
                continue
            lock = lock_folder(file.parent, patience_sec=0)
            if lock is None:
                continue
            if _is_of(remote_of(file), fingerprint):  # still, now that nobody else works there
                fetch(file.parent, lambda name: ".ray/" not in name)
                return cls(file.parent, lock)
            lock.release()
        folder, lock = _new_folder(parent, name)
        (folder / UNFINISHED_FILE).write_text(fingerprint)
        return cls(folder, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for name in (UNFINISHED_FILE, STATE_FILE):
                (self.path / name).unlink(missing_ok=True)
        self._lock.release()
        if kind is None:
            (self.path / LOCK_FILE).unlink(missing_ok=True)


def _is_of(file: Place, fingerprint: str) -> bool:
    try:
        return file.read_text() == fingerprint
    except FileNotFoundError:  # its training ended meanwhile
        return False


def _new_folder(parent: Path, name: str) -> tuple[Path, Held]:
    """A folder that nobody else has, even when two runs start in the same second."""
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        folder = parent / f"{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        if lock := lock_folder(folder):  # None where another machine begins one in this second
            return folder, lock
    raise InputError(f"{parent}: a hundred runs of the same second; name another --out")
