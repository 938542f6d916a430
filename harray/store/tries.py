"""Which inputs are being processed, so that one that kills its worker is recognised later.

A file per batch of inputs stands in STORE/tries while a worker is at it. A worker that dies leaves it; of that batch
a file per input then stands there while it is read and run through the networks, and counts how often that was begun.
After `MAX_TRIES` deaths the input is given up. A run begins without any: that a driver was killed says nothing about
the videos its workers were at.
"""

import hashlib
from pathlib import Path

from harray.files import Place, delete, list_tree

MAX_TRIES = 3


class Tries:
    """Counts beginnings without an end, of batches and of inputs, across processes."""

    def __init__(self, store: Place):
        self.folder = store / "tries"

    def clear(self) -> None:
        """Forget all; nobody may be at work."""
        delete(file.path for file in list_tree(self.folder))

    def begin(self, name: str) -> int:
        """Count one more try; how many were begun before and never ended."""
        before = self.count(name)
        if isinstance(self.folder, Path):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._file(name).write_text(str(before + 1))
        return before

    def end(self, name: str) -> None:
        """It was done, well or badly, and its worker lives."""
        delete([self._file(name)])

    def count(self, name: str) -> int:
        """How many tries were begun and never ended."""
        try:
            text = self._file(name).read_text()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() else 1

    def _file(self, name: str) -> Place:
        return (
            self.folder / hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=12).hexdigest()
        )
