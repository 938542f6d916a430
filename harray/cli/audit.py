"""The command that looks for what is wrong with a store's data."""

from pathlib import Path
from typing import TYPE_CHECKING

from harray.cli import options
from harray.cli.terminal import Terminal, session
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.api.audit import Audited

SHOWN = 3  # findings of a kind
MOST_CHARS = 150


def audit(
    store: options.StoreArgument,
    out: options.Out = options.DEFAULT_OUT,
    as_json: options.Json = False,
) -> None:
    """Look for doubles, leaks, wrong labels, empty clips.

    Prints counts, writes a page with the worst, and csv files for `harray extract --drop drop.csv --relabel
    relabel.csv`. Nothing is changed.
    """
    options.check_store(store)
    with session(out, "audit", as_json) as terminal:
        from harray.api.audit import audit as look

        audited = look(store, Workspace(out), terminal)
        show_audit(terminal, audited)
        terminal.json(audited.to_json())


def show_audit(terminal: Terminal, audited: "Audited") -> None:
    """One screen: a line for each kind, and the worst of it."""
    found = audited.found
    splits = ", ".join(f"{split} {count}" for split, count in found.splits.items()) or "no splits"
    terminal.result(
        f"{found.num_clips} clips, {len(found.labels)} classes, {found.num_groups} groups; {splits}"
    )
    for chapter in found.chapters:
        if not chapter.findings:
            terminal.result(f"{chapter.name}: none")
            continue
        terminal.result(f"{chapter.name}: {len(chapter.findings)} ({chapter.num_clips} clips)")
        for finding in chapter.findings[:SHOWN]:
            names = ", ".join(Path(path).name for path in finding.paths[:2])
            terminal.result(f"  {finding.said}{f': {names}' if names else ''}"[:MOST_CHARS])
    for name, file, count in (
        ("drop", audited.drop, found.drop),
        ("relabel", audited.relabel, found.relabel),
    ):
        if file is not None:
            terminal.result(f"to {name}, once looked at: {len(count)} clips, {file}")
    terminal.result(f"page: {audited.page}")
