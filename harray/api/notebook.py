"""Progress and messages in a notebook: a bar that is redrawn in its place, and lines below the cell."""

import contextlib
import html
import sys
import time
from collections.abc import Generator
from typing import Any

from harray.reporting import Reporter, Update

DRAW_EVERY_SEC = 0.2


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; nothing is imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"


class NotebookReporter(Reporter):
    """Shows what a verb tells through IPython's display, which no redirected stream touches."""

    def __init__(self) -> None:
        self.title = ""  # of the stage that is running

    def say(self, message: str) -> None:
        _display({"text/plain": message, "text/html": f"<small>{html.escape(message)}</small>"})

    def result(self, message: str) -> None:
        if self.title:
            return
        _display({"text/plain": str(message)})

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        title, started, drawn = self.title or title, time.monotonic(), 0.0
        handle = _display(_bar(title, unit, 0, 0, ""), display_id=True)

        def update(done: int, total: int, note: str = "") -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn >= DRAW_EVERY_SEC or done == total:
                drawn = now
                handle.update(_bar(title, unit, done, total, note, now - started), raw=True)

        yield update

    @contextlib.contextmanager
    def stage(self, title: str) -> Generator[None]:
        self.title = title
        try:
            yield
        finally:
            self.title = ""


def _display(bundle: dict[str, str], **how: Any) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, **how)


def _bar(title: str, unit: str, done: int, total: int, note: str, seconds: float = 0.0) -> dict[str, str]:
    """A bar as HTML, and as text for whoever shows no HTML."""
    amount = f"{done}/{total} {unit}" if total else "…"
    said = ", ".join(filter(None, (amount, f"{seconds:.0f} s", note)))
    share = f"value='{done}' max='{total}'" if total else ""
    return {
        "text/plain": f"{title}: {said}",
        "text/html": f"{html.escape(title)} <progress {share}></progress> {html.escape(said)}",
    }
