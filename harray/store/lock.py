"""One writer at a time: a lock on the store that dies with its holder."""

import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harray.errors import InputError
from harray.store.files import remove_unfinished

LOCK_FILE, HOLDER_FILE = ".writer.lock", ".writer.json"
PATIENCE_SEC = 2.0  # a writer that was just killed may take a moment to be gone


@contextmanager
def writing(store: Path, command: str) -> Generator[None]:
    """Be the only command that writes to a store; also clears away what a killed one left unfinished.

    The operating system frees the lock when its holder dies, however that happens.

    Args:
        command: what holds it, for the message that another one gets.

    Raises:
        InputError: another command holds it.
    """
    lock = FileLock(store / LOCK_FILE)
    try:
        lock.acquire(timeout=PATIENCE_SEC)
    except Timeout:
        raise InputError(
            f"store {store}: {_holder(store)} is writing to it; wait for its end, or use another store"
        ) from None
    try:
        holder = {"command": command, "pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        (store / HOLDER_FILE).write_text(json.dumps(holder))
        remove_unfinished(store)
        yield
    finally:
        (store / HOLDER_FILE).unlink(missing_ok=True)
        lock.release()


def _holder(store: Path) -> str:
    try:
        holder = json.loads((store / HOLDER_FILE).read_text())
        since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
        return f"`{holder['command']}` (process {holder['pid']} on {holder['host']}, since {since})"
    except (OSError, ValueError, KeyError):
        return "another command"
