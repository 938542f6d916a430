"""The ledger: what became of every input. Pure functions on its rows; the files are the store's concern."""

import dataclasses
import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harray.schema import EXTRACTED, LEDGER, QUARANTINED

_NAME = re.compile(
    r""":? *(?P<quote>['"])/.*(?P=quote)""", re.DOTALL
)  # of a file, as OSError quotes it at its end


def ledger_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a ledger table; absent columns are null, absent `attempts` 1, absent `time` now (UTC)."""
    now = datetime.datetime.now(datetime.UTC)
    defaults = dict.fromkeys(LEDGER.names) | {"splits": [], "attempts": 1, "time": now}
    return pa.Table.from_pylist([{**defaults, **row} for row in rows], schema=LEDGER)


def latest_rows(table: pa.Table) -> pa.Table:
    """One row per path, the latest by time (of equal times the last one), sorted by path."""
    numbered = table.append_column("row", pa.array(range(len(table)), pa.int64()))
    ordered = numbered.sort_by([("path", "ascending"), ("time", "ascending"), ("row", "ascending")])
    paths = ordered["path"].to_pylist()
    last = [i for i, path in enumerate(paths) if i + 1 == len(paths) or paths[i + 1] != path]
    return ordered.take(pa.array(last, pa.int64())).drop_columns("row")


def extracted_rows(ledger: pa.Table) -> pa.Table:
    return ledger.filter(pc.field("status") == EXTRACTED)


def quarantined_rows(ledger: pa.Table) -> pa.Table:
    return ledger.filter(pc.field("status") == QUARANTINED)


def split_names(ledger: pa.Table) -> list[str]:
    """Every split that an extracted clip belongs to, sorted."""
    return sorted({split for splits in extracted_rows(ledger)["splits"].to_pylist() for split in splits})


def notes_message(notes: Mapping[str, str]) -> str | None:
    """Notes on an extracted video, by kind, as its row's message."""
    return " | ".join(f"{kind}: {text}" for kind, text in notes.items()) or None


def noted(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str, str]]:
    """Notes on extracted videos: (kind, count, one path, text), the commonest first."""
    counts, example = Counter[str](), dict[str, tuple[str, str]]()
    for row in rows:
        if row["status"] == EXTRACTED and row["message"]:
            for note in row["message"].split(" | "):
                kind, _, text = note.partition(": ")
                counts[kind] += 1
                example.setdefault(kind, (row["path"], text))
    return [(kind, count, *example[kind]) for kind, count in counts.most_common()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reason:
    """Why some inputs were quarantined.

    Attributes:
        stage: open, decode, pose, scene or write.
        error: the exception's class.
        message: without the file's name, so that the same happening to two files is one reason.
        paths: of all these inputs, sorted.
    """

    stage: str
    error: str
    message: str
    paths: list[str]

    def __str__(self) -> str:
        return ": ".join(word for word in (self.stage, self.error, self.message) if word)


def reasons(ledger: pa.Table) -> list[Reason]:
    """Every reason with its files, the commonest first."""
    files: dict[tuple[str, str, str], list[str]] = {}
    for row in quarantined_rows(ledger).select(["stage", "error", "message", "path"]).to_pylist():
        message = _NAME.sub("", row["message"] or "").strip()
        files.setdefault((row["stage"] or "", row["error"] or "", message), []).append(row["path"])
    found = [
        Reason(stage=stage, error=error, message=message, paths=sorted(paths))
        for (stage, error, message), paths in files.items()
    ]
    return sorted(found, key=lambda reason: (-len(reason.paths), str(reason)))
