"""The ledger: what became of every input. Pure functions on its rows; the files are the store's concern."""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harray.schema import EXTRACTED, LEDGER, QUARANTINED


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
    """What is to be said of an extracted video, by kind, as its row's message."""
    return " | ".join(f"{kind}: {text}" for kind, text in notes.items()) or None


def noted(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str, str]]:
    """What is to be said of extracted videos: (kind, count, one path, what of it), the commonest first."""
    counts, example = Counter[str](), dict[str, tuple[str, str]]()
    for row in rows:
        if row["status"] == EXTRACTED and row["message"]:
            for note in row["message"].split(" | "):
                kind, _, text = note.partition(": ")
                counts[kind] += 1
                example.setdefault(kind, (row["path"], text))
    return [(kind, count, *example[kind]) for kind, count in counts.most_common()]


def reasons(ledger: pa.Table) -> list[tuple[str, str, int, str]]:
    """Why inputs were quarantined: (stage, error, count, one message), the commonest first."""
    rows = quarantined_rows(ledger).select(["stage", "error", "message"]).to_pylist()
    counts = Counter((row["stage"] or "", row["error"] or "") for row in rows)
    example = {(row["stage"] or "", row["error"] or ""): row["message"] or "" for row in reversed(rows)}
    return [(stage, error, count, example[stage, error]) for (stage, error), count in counts.most_common()]
