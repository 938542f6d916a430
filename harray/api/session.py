"""Quiet while a verb works: what libraries write goes to a log, what harray says goes to the caller's reporter.

Ray, ultralytics and MLflow write through Python's streams, through loggers that keep old streams, and from C++
threads; only file descriptors catch them all. In a notebook Python's own streams lead to the page and not to the
descriptors, so there they are led away too.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO

from harray.api.notebook import NotebookReporter, in_notebook
from harray.files import kept
from harray.reporting import SILENT, Reporter, Update
from harray.workspace import Workspace

_logs: dict[Path, IO[str]] = {}  # by folder; never closed, since loggers keep the stream that they found
_is_quiet = False  # descriptors belong to the process, and so does this


@contextlib.contextmanager
def working(workspace: Workspace | None, reporter: Reporter | None) -> Generator[tuple[Workspace, Reporter]]:
    """What every verb does first: decide where things are kept and who is told, and lead chatter into a log.

    Verbs within verbs share the outermost one's log, and so do commands, which have one of their own. A thread that is
    not the main one leaves the streams alone: they belong to the whole process.
    """
    place = workspace or Workspace()
    told = listener(reporter)
    if _is_quiet or threading.current_thread() is not threading.main_thread():
        yield place, told
        return
    log, is_new = _log_under(place.out / "logs")
    with kept(place.out), quiet(log) as streams:
        outside = Outside(told, *streams)
        if is_new:
            outside.say(f"log: {log.name}")
        yield place, outside


def listener(reporter: Reporter | None) -> Reporter:
    """The caller's reporter, else a notebook's bars where this is one, else nobody."""
    return reporter or (NotebookReporter() if in_notebook() else SILENT)


def _log_under(folder: Path) -> tuple[IO[str], bool]:
    """This process's log there, and whether it was opened now."""
    if folder in _logs:
        return _logs[folder], False
    folder.mkdir(parents=True, exist_ok=True)
    name = f"python-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    _logs[folder] = (folder / name).open("a", buffering=1)
    return _logs[folder], True


@contextlib.contextmanager
def quiet(log: IO[str]) -> Generator[tuple[IO[str], IO[str]]]:
    """Lead descriptors 1 and 2 and Python's streams into a log; yields streams to where they led before."""
    global _is_quiet
    _flush()
    saved, streams = (os.dup(1), os.dup(2)), (sys.stdout, sys.stderr)
    with os.fdopen(saved[0], "w", buffering=1) as stdout, os.fdopen(saved[1], "w", buffering=1) as stderr:
        own = sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__  # they write to the descriptors
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        sys.stdout, sys.stderr = (streams[0] if own[0] else log), (streams[1] if own[1] else log)
        _is_quiet = True
        try:
            yield stdout if own[0] else streams[0], stderr if own[1] else streams[1]
        finally:
            _flush()
            _is_quiet = False
            sys.stdout, sys.stderr = streams
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


class Outside(Reporter):
    """A caller's reporter, which writes to where Python's streams led before they were led into the log."""

    def __init__(self, reporter: Reporter, stdout: IO[str], stderr: IO[str]) -> None:
        self.reporter = reporter
        self.stdout = stdout
        self.stderr = stderr

    def say(self, message: str) -> None:
        with self._outside():
            self.reporter.say(message)

    def result(self, message: str) -> None:
        with self._outside():
            self.reporter.result(message)

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        with contextlib.ExitStack() as stack:
            with self._outside():
                update = stack.enter_context(self.reporter.progress(title, unit))

            def update_outside(done: int, total: int, note: str = "") -> None:
                with self._outside():
                    update(done, total, note)

            yield update_outside

    @contextlib.contextmanager
    def stage(self, title: str) -> Generator[None]:
        with self.reporter.stage(title):
            yield

    @contextlib.contextmanager
    def _outside(self) -> Generator[None]:
        with contextlib.redirect_stdout(self.stdout), contextlib.redirect_stderr(self.stderr):
            yield
