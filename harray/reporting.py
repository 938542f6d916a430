"""What a verb has to tell while it works: progress, notices and lines of its answer. Whoever calls decides where they
are shown; by default nowhere.

    with reporter.progress("training", "epochs") as update:
        update(3, 20, "val top-1 0.912")
"""

import contextlib
from collections.abc import Generator
from typing import Protocol


class Update(Protocol):
    """Tells how far something is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


class Reporter:
    """Takes progress and messages, and shows none of them; those that show something derive from it."""

    def say(self, message: str) -> None:
        """A notice for people, such as what is being waited for."""

    def result(self, message: str) -> None:
        """A line of the answer."""

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        """A bar while the block runs.

        Args:
            title: of what is being done, such as "training".
            unit: of what is counted, in the plural, such as "epochs".
        """
        yield ignore

    @contextlib.contextmanager
    def stage(self, title: str) -> Generator[None]:
        """A part of something longer: its bars bear this title, its results are not the whole's answer and are not
        shown, and at its end its time is said."""
        yield


def ignore(done: int, total: int, note: str = "") -> None:
    """An `Update` that nobody sees."""


SILENT = Reporter()
