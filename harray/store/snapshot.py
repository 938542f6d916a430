"""A store's ledger as it stood at one moment: read and sorted once, however often it is asked."""

import functools
import hashlib
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harray.files import File
from harray.schema import LEDGER, MOVED
from harray.store.ledger import extracted_rows, latest_rows, split_names
from harray.store.parts import checked, each_of, read_part

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
        return tuple(sorted(self.extracted["label"].drop_null().unique().to_pylist()))

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits for what can be learned from the store: its clips, their labels and splits.

        Independent of paths and of the order in which things were extracted.
        """
        columns = [self.extracted[name].to_pylist() for name in ("clip_id", "label", "group", "splits")]
        lines = sorted(json.dumps(row) for row in zip(*columns, strict=True))
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
        FileNotFoundError: one is gone.
    """
    rows = latest_rows(pa.concat_tables(each_of(read_ledger_part, files) or [LEDGER.empty_table()]))
    return rows.filter(pc.field("status") != MOVED)


def read_ledger_part(file: File) -> pa.Table:
    """All rows of a part; of an older one the columns that it lacks are null.

    Raises:
        InputError: the part is damaged.
        FileNotFoundError: it is gone.
    """
    table = read_part(file, checksums=True)
    return (
        table
        if table.schema.equals(LEDGER)
        else checked(lambda copy: pq.read_table(copy, schema=LEDGER), file)
    )
