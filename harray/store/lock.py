"""One writer at a time: on a disk a lock that the operating system frees with its holder, in a bucket a lease."""

import json
import os
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.files import BucketPath, Place, lock_folder, remove_unfinished, take_lease

LOCK_FILE, HOLDER_FILE = ".writer.lock", ".writer.json"


@contextmanager
def writing(store: Place, command: str) -> Generator[Callable[[], None]]:
    """Be the only command that writes to a store; also clears away what a killed one left unfinished.

    Yields what to call between steps of long work: it raises InputError when a bucket, out of reach for too long,
    has given the store to another command.

    Args:
        command: what holds it, for the message that another one gets.

    Raises:
        InputError: another command holds it.
    """
    about = {"command": command, "pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    if isinstance(store, BucketPath):
        held = take_lease(store / HOLDER_FILE, about)
        if isinstance(held, dict):
            raise InputError(_refusal(store, held))
        try:
            yield held.check
            held.check()
        finally:
            held.release()
        return
    with _locked(store, about):
        yield lambda: None


@contextmanager
def _locked(store: Path, about: Mapping[str, Any]) -> Generator[None]:
    lock = lock_folder(store, name=LOCK_FILE)
    if lock is None:
        raise InputError(_refusal(store, _holder(store)))
    try:
        (store / HOLDER_FILE).write_text(json.dumps(about))
        remove_unfinished(store)
        yield
    finally:
        (store / HOLDER_FILE).unlink(missing_ok=True)
        lock.release()


def _holder(store: Path) -> dict[str, Any]:
    try:
        return json.loads((store / HOLDER_FILE).read_text())
    except (OSError, ValueError):
        return {}


def _refusal(store: Place, holder: Mapping[str, Any]) -> str:
    try:
        since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
        who = f"`{holder['command']}` (process {holder['pid']} on {holder['host']}, since {since})"
    except (KeyError, TypeError, ValueError):
        who = "another command"
    return f"store {store}: {who} is writing to it; wait for its end, or use another store"
