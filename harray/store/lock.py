"""One writer at a time: a lock on the store that dies with its holder."""

import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from harray.errors import InputError
from harray.files import lock_folder, remove_unfinished

LOCK_FILE, HOLDER_FILE = ".writer.lock", ".writer.json"


@contextmanager
def writing(store: Path, command: str) -> Generator[None]:
    """Be the only command that writes to a store; also clears away what a killed one left unfinished.

    The operating system frees the lock when its holder dies, however that happens.

    Args:
        command: what holds it, for the message that another one gets.

    Raises:
        InputError: another command holds it.
    """
    lock = lock_folder(store, name=LOCK_FILE)
    if lock is None:
        raise InputError(
            f"store {store}: {_holder(store)} is writing to it; wait for its end, or use another store"
        )
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
