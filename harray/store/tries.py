"""Which inputs are being processed, so that one that kills its worker is recognised later.

A file per input stands in STORE/tries while it is read and run through the networks, and counts how often that
was begun. A worker that dies leaves it; after `MAX_TRIES` the input is given up. A run begins without any: that
a driver was killed says nothing about the videos its workers were at.
"""

import hashlib
from pathlib import Path

from harray.files import Place, delete, list_tree

MAX_TRIES = 3


class Tries:
    """Counts beginnings without an end, across processes and runs."""

    def __init__(self, store: Place):
        self.folder = store / "tries"

    def clear(self) -> None:
        """Forget all; nobody may be at work."""
        delete(file.path for file in list_tree(self.folder))

    def begin(self, path: str) -> int:
        """Count one more try; how many were begun before and never ended."""
        before = self.count(path)
        if isinstance(self.folder, Path):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._file(path).write_text(str(before + 1))
        return before

    def end(self, path: str) -> None:
        """The input was done, well or badly, and its worker lives."""
        delete([self._file(path)])

    def count(self, path: str) -> int:
        """How many tries were begun and never ended."""
        try:
            text = self._file(path).read_text()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdigit() else 1

    def _file(self, path: str) -> Place:
        return (
            self.folder / hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=12).hexdigest()
        )
