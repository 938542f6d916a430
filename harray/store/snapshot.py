"""A store's ledger as it stood at one moment: read and sorted once, however often it is asked."""

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harray.errors import InputError
from harray.files import File, local_files
from harray.schema import LEDGER, MOVED
from harray.store.ledger import extracted_rows, latest_rows, split_names

NUM_REMEMBERED = 2  # stores, as where one is trained on and another one evaluated


class Snapshot:
    """What a ledger says; all of it is computed once, when it is first asked for."""

    def __init__(self, ledger: pa.Table):
        """
        Args:
            ledger: the latest row of every path, sorted by path; see `latest_rows`.
        """
        self.ledger = ledger

    @functools.cached_property
    def extracted(self) -> pa.Table:
        """Rows of the extracted inputs."""
        return extracted_rows(self.ledger)

    @functools.cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted; empty where the manifest gave none."""
        return tuple(split_names(self.ledger))

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of extracted clips, sorted; clips without a label add none."""
        return tuple(sorted(set(self.extracted["label"].drop_null().to_pylist())))

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits for what can be learned from the store: its clips, their labels and splits.

        Independent of paths and of the order in which things were extracted.
        """
        rows = self.extracted.select(["clip_id", "label", "group", "splits"]).to_pylist()
        lines = sorted(
            json.dumps([row["clip_id"], row["label"], row["group"], row["splits"]]) for row in rows
        )
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def snapshot_of(files: Sequence[File]) -> Snapshot:
    """The snapshot that these parts of a ledger make; the latest ones are remembered in this process.

    Parts are added, never changed, so that their names tell whether a snapshot is still true.

    Raises:
        InputError: a part is damaged.
    """
    return _remembered(tuple(files))


@functools.lru_cache(maxsize=NUM_REMEMBERED)
def _remembered(files: tuple[File, ...]) -> Snapshot:
    return Snapshot(read_ledger(files))


def read_ledger(files: Sequence[File]) -> pa.Table:
    """The latest row of every path in these parts, sorted by path; without those that moved or were retired.

    Raises:
        InputError: a part is damaged.
    """
    tables = [_read(file, copy) for file, copy in zip(files, local_files(files), strict=True)]
    rows = latest_rows(pa.concat_tables(tables or [LEDGER.empty_table()]))
    return rows.filter(pc.field("status") != MOVED)


def _read(file: File, copy: Path) -> pa.Table:
    try:
        return pq.read_table(copy, schema=LEDGER)
    except (OSError, pa.ArrowException) as error:
        store = file.path.parent.parent
        raise InputError(
            f"store {store}: ledger/{file.name} cannot be read; run `harray store verify "
            f"{store} --repair`, then the same `harray extract` again"
        ) from error
