"""The ledger: what became of every input. Pure functions on its rows; the files are the store's concern."""

import dataclasses
import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
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


def renewed(rows: pa.Table, changed: Mapping[str, Any]) -> pa.Table:
    """Ledger rows to append again: of now, with some columns changed to a value or to a column."""
    for name, value in {"time": datetime.datetime.now(datetime.UTC), **changed}.items():
        field = LEDGER.field(name)
        column = (
            value
            if isinstance(value, pa.ChunkedArray)
            else pa.repeat(pa.scalar(value, field.type), len(rows))
        )
        rows = rows.set_column(rows.schema.get_field_index(name), field, column)
    return rows


def latest_rows(table: pa.Table) -> pa.Table:
    """One row per path, the latest by time (of equal times the last one), sorted by path."""
    keys = table.select(["path", "time"]).append_column("row", pa.array(np.arange(len(table))))
    order = pc.sort_indices(keys, [("path", "ascending"), ("time", "ascending"), ("row", "ascending")])
    path = table["path"].take(order).combine_chunks()
    is_last = np.ones(len(path), bool)
    if len(path) > 1:
        is_last[:-1] = pc.not_equal(path[1:], path[:-1]).to_numpy(zero_copy_only=False)
    return table.take(order.filter(pa.array(is_last)))


def extracted_rows(ledger: pa.Table) -> pa.Table:
    return ledger.filter(pc.field("status") == EXTRACTED)


def quarantined_rows(ledger: pa.Table) -> pa.Table:
    return ledger.filter(pc.field("status") == QUARANTINED)


def split_names(ledger: pa.Table) -> list[str]:
    """Every split that an extracted clip belongs to, sorted."""
    return sorted(pc.list_flatten(extracted_rows(ledger)["splits"]).unique().to_pylist())


def notes_message(notes: Mapping[str, str]) -> str | None:
    """Notes on an extracted video, by kind, as its row's message."""
    return " | ".join(f"{kind}: {text}" for kind, text in notes.items()) or None


def noted(rows: pa.Table) -> list[tuple[str, int, str, str]]:
    """Notes on extracted videos: (kind, count, one path, text), the commonest first.

    Args:
        rows: with the columns path, status and message.
    """
    counts, example = Counter[str](), dict[str, tuple[str, str]]()
    rows = extracted_rows(rows).filter(pc.field("message").is_valid())
    for path, message in zip(rows["path"].to_pylist(), rows["message"].to_pylist(), strict=True):
        for note in message.split(" | "):
            kind, _, text = note.partition(": ")
            counts[kind] += 1
            example.setdefault(kind, (path, text))
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
