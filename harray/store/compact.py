"""Compaction: many small files of a store become few large ones, and say the same.

    ledger/  parts -> one part with the latest row of every path
    clips/   small shards -> shards of about `SHARD_BYTES`, every clip once

The large file is put before the small ones are deleted, so that whatever dies in between leaves a store that says the
same; readers list again where a file is gone (`parts.undisturbed`), and the next compaction finishes the work. Actors
may add files meanwhile: only what was listed is deleted.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from harray.files import File, delete, list_files
from harray.store.clips import KEY, shard_name
from harray.store.feature_store import FeatureStore
from harray.store.ledger import latest_rows
from harray.store.parts import each_of, read_part
from harray.store.snapshot import read_ledger_part

SHARD_BYTES = 64 << 20  # of the files that become one shard
SMALL_BYTES = 8 << 20  # a smaller shard costs more to ask for than to read; larger ones are left as they are
MANY_FILES = 256  # parts, or small shards, from which compaction pays without being asked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compaction:
    """How many files there were, and how many there are now."""

    parts_before: int
    parts: int
    shards_before: int
    shards: int

    def __str__(self) -> str:
        return f"ledger: {self.parts_before} parts -> {self.parts}; clips: {self.shards_before} shards -> {self.shards}"


def compact(store: FeatureStore, least: int = 2) -> Compaction:
    """Merge what is small. The caller is the store's writer (`lock.writing`).

    Args:
        least: so many parts, or small shards, are merged; fewer are left as they are.

    Raises:
        InputError: a file is damaged.
    """
    parts, shards = _files(store)
    if len(parts) >= least:
        _merge_parts(store, parts)
    if sum(file.num_bytes < SMALL_BYTES for file in shards) >= least:
        _merge_shards(store, shards)
    parts_now, shards_now = _files(store)
    return Compaction(
        parts_before=len(parts), parts=len(parts_now), shards_before=len(shards), shards=len(shards_now)
    )


def _files(store: FeatureStore) -> tuple[list[File], list[File]]:
    """Parts and shards."""
    parts, shards = (list_files(store.path / folder, ".parquet") for folder in ("ledger", "clips"))
    return parts, shards


def _merge_parts(store: FeatureStore, parts: Sequence[File]) -> None:
    """Rows of what moved or was retired stay: an older row of theirs may stand in a part that is left."""
    store.append_ledger(latest_rows(pa.concat_tables(each_of(read_ledger_part, parts))))
    delete(part.path for part in parts)


def _merge_shards(store: FeatureStore, shards: Sequence[File]) -> None:
    """Clips that stand in a larger shard, or in an earlier small one, are left out: a killed compaction's."""
    ordered = sorted(shards, key=lambda file: file.num_bytes < SMALL_BYTES)
    keys = each_of(lambda file: read_part(file, KEY).select(KEY), ordered)
    firsts = _is_first(pa.concat_tables(keys))
    kept = np.split(firsts, np.cumsum([len(table) for table in keys])[:-1])
    rows = dict(zip(ordered, kept, strict=True))
    for group in _groups([file for file in ordered if file.num_bytes < SMALL_BYTES]):
        tables = each_of(lambda file: read_part(file, checksums=True).filter(pa.array(rows[file])), group)
        table = pa.concat_tables(tables).sort_by([(name, "ascending") for name in KEY])
        name = shard_name(table)
        if len(table) and name not in [file.name for file in group]:
            store.write_shard(table)
        delete(file.path for file in group if file.name != name)


def _groups(files: Sequence[File]) -> Iterator[list[File]]:
    """Files that become one shard."""
    group: list[File] = []
    num_bytes = 0
    for file in files:
        group.append(file)
        num_bytes += file.num_bytes
        if num_bytes >= SHARD_BYTES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


def _is_first(keys: pa.Table) -> np.ndarray:
    """Whether a clip stands here for the first time."""
    numbered = keys.append_column("row", pa.array(np.arange(len(keys))))
    is_first = np.zeros(len(keys), bool)
    is_first[numbered.group_by(KEY).aggregate([("row", "min")])["row_min"].to_numpy()] = True
    return is_first
