"""Which inputs of a manifest are to be extracted, decided from the ledger and the files' stamps.

extract   not seen yet, or the file changed, or its features are gone
relabel   the outcome stands, the manifest says something new of it
keep      all else
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harray.schema import EXTRACTED, LEDGER, MANIFEST, MOVED
from harray.store.ledger import extracted_rows, renewed
from harray.videos.files import Stamp

AT_ONCE = 100_000  # inputs whose stamps are in memory

StampsOf = Callable[[Sequence[str]], list[Stamp | None]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractionPlan:
    """What to do with a manifest.

    Attributes:
        todo: manifest rows to extract, with the column `attempts` (how often they were tried before).
        relabelled: ledger rows to write as they are.
        kept: status -> how many inputs keep it, relabelled ones included.
    """

    todo: pa.Table
    relabelled: pa.Table
    kept: dict[str, int]

    @property
    def num_kept(self) -> int:
        return sum(self.kept.values())


def plan_extraction(
    manifest: pa.Table,
    ledger: pa.Table,
    clip_ids: Collection[str],
    stamps_of: StampsOf,
    retry: bool = False,
) -> ExtractionPlan:
    """Decide for every input: a file that did not change since keeps its outcome, good or bad; an extracted file that
    is gone keeps its features.

    Args:
        manifest: of `schema.MANIFEST`, each path once.
        ledger: the latest row of every path.
        clip_ids: clips whose features are in the store.
        stamps_of: stamps of the files at some paths, None where there is none.
        retry: whether what was quarantined is to be extracted again, changed or not.
    """
    found = pc.index_in(manifest["path"], ledger["path"])
    is_known = pc.is_valid(found).to_numpy()
    rows, before = manifest.filter(pa.array(is_known)), ledger.take(found.drop_null())
    again = _again(before, stamps_of, clip_ids, retry)
    is_todo = ~is_known
    is_todo[is_known] = again
    attempts = np.zeros(len(manifest), np.int32)
    attempts[is_known] = before["attempts"].to_numpy()
    todo = manifest.append_column(
        pa.field("attempts", LEDGER.field("attempts").type), pa.array(attempts)
    ).filter(pa.array(is_todo))
    rows, before = rows.filter(pa.array(~again)), before.filter(pa.array(~again))
    is_new = pa.array(~_said_alike(rows, before))
    return ExtractionPlan(
        todo=todo,
        relabelled=renewed(
            before.filter(is_new), {name: rows[name].filter(is_new) for name in MANIFEST.names}
        ),
        kept=dict(Counter(before["status"].to_pylist())),
    )


def moved_rows(ledger: pa.Table, manifest: pa.Table, stamps_of: StampsOf) -> pa.Table:
    """Ledger rows that retire paths whose file is gone and whose clip the manifest names under another path: a moved
    folder must not count twice, nor a file moved from train to test stand in both."""
    rows = extracted_rows(ledger)
    is_named = pc.is_in(rows["path"], manifest["path"])
    here = rows["clip_id"].filter(is_named)
    others = rows.filter(pc.and_(pc.invert(is_named), pc.is_in(rows["clip_id"], here)))
    is_gone = [stamp is None for stamp in stamps_of(others["path"].to_pylist())]
    return renewed(others.filter(pa.array(is_gone, pa.bool_())), {"status": MOVED})


def _again(before: pa.Table, stamps_of: StampsOf, clip_ids: Collection[str], retry: bool) -> np.ndarray:
    """Which inputs with these outcomes are to be extracted again."""
    is_extracted = _flags(pc.equal(before["status"], EXTRACTED))
    lacks_features = is_extracted & ~_flags(pc.is_in(before["clip_id"], pa.array(clip_ids, pa.string())))
    parts = [_stamped(before.slice(first, AT_ONCE), stamps_of) for first in range(0, len(before), AT_ONCE)]
    has_changed, is_gone = np.concatenate([np.zeros((2, 0), bool), *parts], axis=1)
    return (has_changed & ~(is_extracted & is_gone)) | lacks_features | (retry & ~is_extracted)


def _stamped(before: pa.Table, stamps_of: StampsOf) -> np.ndarray:
    """Of each input whether its file changed since, and whether it is gone."""
    stamps = stamps_of(before["path"].to_pylist())
    then = zip(before["num_bytes"].to_pylist(), before["modified_ns"].to_pylist(), strict=True)
    has_changed = [
        stamp != (None if num_bytes is None else (num_bytes, modified_ns))
        for stamp, (num_bytes, modified_ns) in zip(stamps, then, strict=True)
    ]
    return np.array([has_changed, [stamp is None for stamp in stamps]], bool)


def _said_alike(rows: pa.Table, before: pa.Table) -> np.ndarray:
    """Where the manifest says what the ledger has."""
    alike = np.ones(len(rows), bool)
    for name in MANIFEST.names:
        now, then = rows[name].combine_chunks(), before[name].combine_chunks()
        if pa.types.is_list(now.type):
            same_length = pc.equal(pc.list_value_length(now), pc.list_value_length(then))
            alike &= _flags(same_length)
            now, then = now.filter(same_length), then.filter(same_length)
            other = pc.list_parent_indices(now).filter(
                pc.not_equal(pc.list_flatten(now), pc.list_flatten(then))
            )
            alike[np.flatnonzero(_flags(same_length))[other.to_numpy()]] = False
        else:
            both_null = pc.and_(pc.is_null(now), pc.is_null(then))
            alike &= _flags(pc.or_(pc.equal(now, then).fill_null(False), both_null))
    return alike


def _flags(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column).astype(bool)
