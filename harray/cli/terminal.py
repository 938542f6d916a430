"""What a person sees: a few lines and a progress bar, while all output of libraries goes to a log file."""

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from harray.api.session import quiet
from harray.errors import InputError
from harray.files import kept, shown
from harray.names import without_password
from harray.reporting import Reporter, Update

SAY_EVERY_SEC = 15.0  # where there is no terminal to draw a bar on


class Pace:
    """Throughput since the first completed item: a slow start does not count, nor what was done by earlier runs."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.before: int | None = None

    def per_sec(self, done: int) -> float | None:
        """Items per second; None until it can be told."""
        now = time.monotonic()
        if self.before is None:
            self.before = done
        if self.first is None:
            if done > self.before:
                self.first = now, done
            return None
        started, first = self.first
        return (done - first) / (now - started) if done > first else None


def speed(per_sec: float | None, unit: str) -> str:
    """A throughput as people read it: items per second, or seconds per item where it is below one.

    >>> speed(2.5, "clips"), speed(0.02, "videos")
    ('2.5 clips/s', '50.0 s/video')
    """
    if not per_sec:
        return ""
    return f"{per_sec:.1f} {unit}/s" if per_sec >= 1 else f"{1 / per_sec:.1f} s/{unit.removesuffix('s')}"


@dataclass
class Terminal(Reporter):
    """Where commands print: `say` for progress, `result` for the answer, `json` for scripts.

    With `as_json` everything for people goes to standard error, and the last line on standard output is one
    JSON object. Passwords in URIs are never printed.
    """

    as_json: bool = False
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    err: IO[str] = field(default_factory=lambda: sys.stderr)
    bar: Console | None = None  # of the progress bar that is being shown
    part: str = ""  # title of the stage that is running

    def say(self, message: str) -> None:
        """A line of progress or notice, on standard error."""
        self._console(self.err).print(_shown(message), markup=False, highlight=False, soft_wrap=True)

    def result(self, message: "str | Table") -> None:
        """A line or table of the answer, on standard output (standard error with --json)."""
        if self.part:
            return
        console = self._console(self.err if self.as_json else self.out)
        message = _shown(message) if isinstance(message, str) else message
        console.print(message, markup=False, highlight=False, soft_wrap=isinstance(message, str))

    def json(self, values: Any) -> None:
        """One JSON object as the last line on standard output, where --json asked for it."""
        if self.as_json:
            print(_shown(json.dumps(values, default=str)), file=self.out, flush=True)

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        """A bar with rate and time left.

        Where standard error is no terminal (a job's log), a line is printed every 15 seconds instead, whether
        anything was done meanwhile or not.
        """
        console, title = self._console(self.err), self.part or title
        if not console.is_terminal:
            with self._plain_progress(title, unit) as update:
                yield update
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=None, rate="", note="")
            pace, self.bar = Pace(), console

            def update(done: int, total: int, note: str = "") -> None:
                said = speed(pace.per_sec(done), unit)
                bar.update(task, completed=done, total=total, rate=said, note=note)

            try:
                yield update
            finally:
                self.bar = None

    @contextlib.contextmanager
    def stage(self, title: str) -> Generator[None]:
        before, self.part, started = self.part, title, time.monotonic()
        try:
            yield
        finally:
            self.part = before
        self.say(f"{title}: {time.monotonic() - started:.1f} s")

    @contextlib.contextmanager
    def _plain_progress(self, title: str, unit: str) -> Generator[Update]:
        started, pace, over = time.monotonic(), Pace(), threading.Event()
        state: tuple[int, int, str, float | None] = (
            0,
            0,
            "",
            None,
        )  # replaced as a whole, from another thread

        def update(done: int, total: int, note: str = "") -> None:
            nonlocal state
            state = done, total, note, pace.per_sec(done)

        def tell() -> None:
            while not over.wait(SAY_EVERY_SEC):
                done, total, note, rate = state
                said = [f"{done}/{total}"] if total else []
                said += [speed(rate, unit), f"{(total - done) / rate:.0f} s left"] if rate else []
                said += [f"{time.monotonic() - started:.0f} s so far", note]
                self.say(f"{title}: {', '.join(filter(None, said))}")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield update
        finally:
            over.set()
            thread.join()

    def _console(self, file: IO[str]) -> Console:
        """A console for a file; on a terminal that shows a bar, the bar's own, which writes above it."""
        if self.bar is not None and file.isatty():
            return self.bar
        return Console(file=file, width=None if file.isatty() else 110, emoji=False)  # :run: is a name


def _shown(text: str) -> str:
    """A text without passwords, and with the names that other machines know too."""
    return shown(without_password(text))


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or `ray job stop` ended a command; the text says how to go on."""


GO_ON = {  # command -> how to continue it after an interruption
    "extract": "finished clips are kept; the same command goes on with the rest",
    "retry": "finished clips are kept; the same command goes on with the rest",
    "train": "the same command goes on from the last epoch that was kept",
    "tune": "finished trials and the epochs of the others are kept; the same command with --resume goes on",
    "cross-validate": "finished trainings are kept; the same command goes on",
    "serve": "the server has ended; the same command starts it again",
    "demo": "what is done is kept; the same command goes on",
}


class Fault(Exception):
    """A bug in harray; its traceback is in the log that the message names."""


@contextlib.contextmanager
def session(out: Path, command: str, as_json: bool) -> Generator[Terminal]:
    """A terminal of our own, while all that libraries write goes to a log file under `out`, named at the start.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM, once everything is closed.
        Fault: for any other exception but InputError and an exit, after its traceback went to the log.
    """
    log = out.absolute() / "logs" / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with kept(out.absolute()), log.open("a") as sink, quiet(sink) as (stdout, stderr):
        terminal = Terminal(as_json=as_json, out=stdout, err=stderr)
        terminal.say(f"log: {log}")
        try:
            yield terminal
        except (InputError, typer.Exit):
            raise
        except (KeyboardInterrupt, SystemExit) as ending:  # Ray's own handler of SIGTERM exits
            raise Interrupted(GO_ON.get(command, "give the command again")) from ending
        except Exception as error:
            print(without_password(traceback.format_exc()), file=sys.stderr)
            summary = " ".join(str(error).split())[:300]
            raise Fault(
                f"{type(error).__name__}: {summary} (traceback at the end of {shown(str(log))})"
            ) from error
