"""Which inputs of a manifest are to be extracted, decided from the ledger and the files' stamps."""

import dataclasses
import enum
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from harray.schema import EXTRACTED, LEDGER, MANIFEST, MOVED, QUARANTINED
from harray.videos.files import Stamp


class PlannedStep(enum.Enum):
    """What to do with an input."""

    EXTRACT = "extract"  # not seen yet, or the file changed, or its features are gone
    RELABEL = "relabel"  # the outcome stands, the manifest says something new of it
    KEEP = "keep"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractionPlan:
    """What to do with a manifest.

    Attributes:
        todo: manifest rows to extract, with the column `attempts` (how often they were tried before).
        relabelled: ledger rows to write as they are.
        kept: status -> how many inputs keep it, relabelled ones included.
    """

    todo: pa.Table
    relabelled: list[dict[str, Any]]
    kept: dict[str, int]

    @property
    def num_kept(self) -> int:
        return sum(self.kept.values())


def plan_extraction(
    manifest: pa.Table,
    ledger: pa.Table,
    clip_ids: set[str],
    stamp_of: Callable[[str], Stamp | None],
    retry: bool = False,
) -> ExtractionPlan:
    """Decide for every input.

    Args:
        manifest: of `schema.MANIFEST`, each path once.
        ledger: the latest row of every path.
        clip_ids: clips whose features are in the store.
        stamp_of: stamp of the file at a path, None where there is none.
        retry: whether what was quarantined is to be extracted again, changed or not.
    """
    known = {row["path"]: row for row in ledger.to_pylist()}
    todo, relabelled, kept = [], [], Counter()
    for row in manifest.to_pylist():
        before = known.get(row["path"])
        step = next_step(row, before, stamp_of(row["path"]), clip_ids)
        if retry and before is not None and before["status"] == QUARANTINED:
            step = PlannedStep.EXTRACT
        if before is None or step is PlannedStep.EXTRACT:
            todo.append({**row, "attempts": before["attempts"] if before else 0})
            continue
        kept[before["status"]] += 1
        if step is PlannedStep.RELABEL:
            outcome = {name: value for name, value in before.items() if name != "time"}
            relabelled.append({**outcome, **row})
    schema = MANIFEST.append(pa.field("attempts", LEDGER.field("attempts").type))
    return ExtractionPlan(
        todo=pa.Table.from_pylist(todo, schema=schema), relabelled=relabelled, kept=dict(kept)
    )


def moved_rows(
    ledger: pa.Table, manifest: pa.Table, stamp_of: Callable[[str], Stamp | None]
) -> list[dict[str, Any]]:
    """Ledger rows that retire paths whose file is gone and whose clip the manifest names under another path: a moved
    folder must not count twice, nor a file moved from train to test stand in both."""
    named = set(manifest["path"].to_pylist())
    rows = [row for row in ledger.to_pylist() if row["status"] == EXTRACTED]
    here = {row["clip_id"] for row in rows if row["path"] in named}
    gone = [
        row
        for row in rows
        if row["path"] not in named and row["clip_id"] in here and stamp_of(row["path"]) is None
    ]
    return [
        {name: value for name, value in row.items() if name != "time"} | {"status": MOVED} for row in gone
    ]


def next_step(
    row: Mapping[str, Any], before: Mapping[str, Any] | None, stamp: Stamp | None, clip_ids: set[str]
) -> PlannedStep:
    """Decide for one input: a file that did not change since keeps its outcome, good or bad; an extracted file that
    is gone keeps its features."""
    if before is None:
        return PlannedStep.EXTRACT
    is_extracted = before["status"] == EXTRACTED
    has_changed = stamp != _stamp_then(before) and not (is_extracted and stamp is None)
    if has_changed or (is_extracted and before["clip_id"] not in clip_ids):
        return PlannedStep.EXTRACT
    same = all(row[name] == before[name] for name in MANIFEST.names)
    return PlannedStep.KEEP if same else PlannedStep.RELABEL


def _stamp_then(before: Mapping[str, Any]) -> Stamp | None:
    return None if before["num_bytes"] is None else (before["num_bytes"], before["modified_ns"])
