"""Commands that the program tells its user to run next: they run as printed, wherever the first one ran."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harray import workspace
from harray.names import without_password

DEFAULT_OUT = Path(workspace.DEFAULT_OUT)
TEST_SHARE = 0.2  # that is proposed where a store has no test part


def command(
    name: str, *words: object, flags: Mapping[str, object] | None = None, last: Sequence[str] = ()
) -> str:
    """A command line that a shell takes as it stands: every word is quoted where it needs to be.

    Args:
        name: of the command, such as `evaluate` or `store info`.
        words: its arguments.
        flags: by name, such as `--store`; those without a value (None, "", False) are left out, True stands alone.
        last: words that follow the flags, such as overrides.

    >>> command("evaluate", "runs/a b/checkpoint", flags={"--store": "S", "--tracking-uri": None})
    "harray evaluate 'runs/a b/checkpoint' --store S"
    """
    parts = [*_started(name), *map(str, words)]
    for name, value in (flags or {}).items():
        if value is not None and value != "" and value is not False:
            parts += [name] if value is True else [name, str(value)]
    return shlex.join([*parts, *last])


def _started(name: str) -> list[str]:
    """The words that start a command as this one was started: as a job, by `uv run` (which tells its children where uv
    is, and without which harray may not be found), or plainly."""
    job = Path(sys.argv[0]).with_name(f"{name.replace('-', '_')}.py")
    if job.parent.name == "jobs" and job.exists():
        return ["ray", "job", "submit", "--working-dir", ".", "--", "python", f"jobs/{job.name}"]
    return [*(["uv", "run"] if os.environ.get("UV") else []), "harray", *name.split()]


def where(out: Path, tracking: str | None = None) -> dict[str, object]:
    """The flags that say where runs are, as they were given; without a password, which must not be printed."""
    return {
        "--out": None if out == DEFAULT_OUT else out,
        "--tracking-uri": tracking and without_password(tracking),
    }


def start(recipe: str, config: Path | None = None) -> dict[str, object]:
    """The flags that say what an experiment starts from, as they were given."""
    return {"--recipe": None if config or recipe == "default" else recipe, "--config": config}
