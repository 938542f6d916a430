"""What a person sees: a few lines and a progress bar, while every library's chatter goes to a log file."""

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
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

from harray.errors import InputError
from harray.reporting import Reporter, Update
from harray.tracking.location import without_password

SAY_EVERY_SEC = 15.0  # where there is no terminal to draw a bar on


class Pace:
    """How fast something goes once it goes: from the first thing done, so that a slow start is not held against the
    rest, and without what was done before."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.before: int | None = None

    def per_sec(self, done: int) -> float | None:
        """Things per second; None until two moments are known."""
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
    """How fast something goes; what is slow in seconds a piece, which people can read.

    >>> speed(2.5, "clips"), speed(0.02, "videos")
    ('2.5 clips/s', '50.0 s/video')
    """
    if not per_sec:
        return ""
    return f"{per_sec:.1f} {unit}/s" if per_sec >= 1 else f"{1 / per_sec:.1f} s/{unit.removesuffix('s')}"


@dataclass
class Terminal(Reporter):
    """Where the commands print: `say` for people, `result` for the answer, `json` for scripts.

    With `as_json` everything for people goes to standard error, and the last line on standard output is one
    JSON object. Passwords in URIs are never printed.
    """

    as_json: bool = False
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    err: IO[str] = field(default_factory=lambda: sys.stderr)
    bar: Console | None = None  # of the progress bar that is being shown

    def say(self, message: str) -> None:
        """A line of progress or notice, on standard error."""
        self._console(self.err).print(
            without_password(message), markup=False, highlight=False, soft_wrap=True
        )

    def result(self, message: "str | Table") -> None:
        """A line or table of the answer, on standard output (standard error with --json)."""
        console = self._console(self.err if self.as_json else self.out)
        message = without_password(message) if isinstance(message, str) else message
        console.print(message, markup=False, highlight=False, soft_wrap=isinstance(message, str))

    def json(self, values: Any) -> None:
        """One JSON object as the last line on standard output, where --json asked for it."""
        if self.as_json:
            print(without_password(json.dumps(values, default=str)), file=self.out, flush=True)

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        """A bar with rate and time left.

        Where standard error is no terminal (a job's log), a line is printed every 15 seconds instead, whether
        anything was done meanwhile or not.
        """
        console = self._console(self.err)
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
    def stages(self) -> Generator[Callable[[str, str], Update]]:
        """Several bars one after another; each stage's time is said when it ends."""
        with contextlib.ExitStack() as stack:
            running: dict[str, float] = {}

            def end() -> None:
                stack.close()
                for title, started in running.items():
                    self.say(f"{title}: {time.monotonic() - started:.1f} s")
                running.clear()

            def start(title: str, unit: str) -> Update:
                end()
                running[title] = time.monotonic()
                return stack.enter_context(self.progress(title, unit))

            yield start
            end()

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


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or `ray job stop` ended a command; the text says how to go on."""


GO_ON = {  # command -> what the next start finds
    "extract": "finished clips are kept; the same command goes on with the rest",
    "retry": "finished clips are kept; the same command goes on with the rest",
    "train": "the same command goes on from the last epoch that was kept",
    "tune": "finished trials and the epochs of the others are kept; the same command with --resume goes on",
    "cross-validate": "finished trainings are kept; the same command goes on",
    "serve": "the server has ended; the same command starts it again",
    "demo": "what is done is kept; the same command goes on",
}


class Fault(Exception):
    """An error of harray's own; its traceback stands in the log that the message names."""


@contextlib.contextmanager
def session(out: Path, command: str, as_json: bool) -> Generator[Terminal]:
    """A terminal of our own, while file descriptors 1 and 2 lead to a log file under `out`, named at the start.

    Ray, ultralytics and MLflow write through Python's streams, through loggers that keep old streams, and from
    C++ threads; only the descriptors catch them all.

    Raises:
        Interrupted: by Ctrl-C or SIGTERM, once everything is closed.
        Fault: for any other exception but InputError and an exit, after its traceback went to the log.
    """
    log = out.absolute() / "logs" / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    with _descriptors_to(log) as (stdout, stderr):
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
            raise Fault(f"{type(error).__name__}: {summary} (traceback at the end of {log})") from error


@contextlib.contextmanager
def _descriptors_to(log: Path) -> Generator[tuple[IO[str], IO[str]]]:
    """Lead descriptors 1 and 2 into a file; yields streams to where they led before."""
    log.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    saved = os.dup(1), os.dup(2)
    with (
        log.open("a") as sink,
        os.fdopen(saved[0], "w", buffering=1) as stdout,
        os.fdopen(saved[1], "w", buffering=1) as stderr,
    ):
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield stdout, stderr
        finally:
            _flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
