"""Which clips stand in which shards of a store, and the features of some of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from harray.files import File
from harray.store.clips import KEY
from harray.store.parts import each_of, read_part


class Shards:
    """Some shards as they were listed.

    Attributes:
        keys: a row per stored clip, one shard's after another's; `KEY`, is_last and what else was asked for.
    """

    def __init__(self, files: Sequence[File], schema: pa.Schema, beside: Sequence[str] = ()):
        """
        Args:
            schema: of the clips table.
            beside: more columns to have in `keys`.

        Raises:
            InputError: a shard is damaged.
            FileNotFoundError: one is gone.
        """
        self.files = files
        self.schema = schema
        names = [*KEY, "is_last", *beside]
        tables = each_of(lambda file: read_part(file, names).select(names), files)
        key_schema = pa.schema([schema.field(name) for name in names])
        self.keys = pa.concat_tables(
            [table.cast(key_schema) for table in tables] or [key_schema.empty_table()]
        )
        self._ends = np.cumsum([len(table) for table in tables], dtype=np.int64)

    def pieces(self, places: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[slice, pa.Table]]:
        """Features of some clips, a shard's at a time.

        Args:
            places: rows of `keys`, ascending, each once.

        Yields:
            Where these clips stand in `places`, and their features.

        Raises:
            InputError: a shard is damaged.
            FileNotFoundError: one is gone.
        """
        schema = pa.schema([self.schema.field(name) for name in columns])
        bounds = np.searchsorted(places, [0, *self._ends])
        for file, end, first, last in zip(self.files, self._ends, bounds, bounds[1:], strict=False):
            if first == last:
                continue
            table = read_part(file, columns).select(columns).cast(schema)
            rows = places[first:last] - (end - len(table))
            is_whole = len(rows) == len(table)
            yield slice(first, last), table if is_whole else table.take(pa.array(rows))

    def features(self, places: np.ndarray, columns: Sequence[str]) -> pa.Table:
        """Features of the clips at these rows of `keys`, in their order.

        Raises:
            InputError, FileNotFoundError: as `pieces`.
        """
        schema = pa.schema([self.schema.field(name) for name in columns])
        distinct, number = np.unique(places, return_inverse=True)
        pieces = [table for _, table in self.pieces(distinct, columns)]
        table = pa.concat_tables(pieces) if pieces else schema.empty_table()
        in_order = len(places) == len(distinct) and bool((number[1:] > number[:-1]).all())
        return table if in_order else table.take(pa.array(number))
