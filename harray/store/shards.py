"""Which clips stand in which shards of a store, and the features of some of them."""

import dataclasses
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundClips:
    """Clips of a store, in order of path and time.

    Attributes:
        rows: their ledger columns.
        shards: that have their features.
        places: of the clips in these.
    """

    rows: pa.Table
    shards: Shards
    places: np.ndarray

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows beside these columns of their features, or beside all.

        Raises:
            InputError, FileNotFoundError: as `Shards.pieces`.
        """
        names = self.shards.schema.names[1:] if columns is None else ["span", "is_last", *columns]
        features, table = self.shards.features(self.places, names), self.rows
        for field, column in zip(features.schema, features.columns, strict=True):
            table = table.append_column(field, column)
        return table

    def pieces(self, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """Features in the order in which they stand in the shards, a shard's at a time.

        Yields:
            Numbers of some of the rows, and their features.

        Raises:
            InputError, FileNotFoundError: as `Shards.pieces`.
        """
        distinct, number = np.unique(self.places, return_inverse=True)
        by_place = np.argsort(number, kind="stable")
        ordered = number[by_place]
        for part, table in self.shards.pieces(distinct, columns):
            first, last = np.searchsorted(ordered, [part.start, part.stop])
            within = ordered[first:last] - part.start
            in_order = np.array_equal(within, np.arange(len(table)))
            yield by_place[first:last], table if in_order else table.take(pa.array(within))
