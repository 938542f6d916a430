"""The clips table: rows to Arrow, names of shards, and clips joined to the ledger. Pure functions.

Letters: P people, T frames, K joints, C coordinates.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harray.schema import LEDGER

KEY = ["clip_id", "span"]  # of a clip's features


def clips_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of the clips' schema, tensors from numpy arrays.

    Absent `span` and `is_last` say that the clip is its whole video; `num_people` follows from the keypoints.
    """
    rows = [{"span": 0, "is_last": True, "num_people": num_people(row["keypoints"]), **row} for row in rows]
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if isinstance(field.type, pa.FixedShapeTensorType):
            dtype = field.type.value_type.to_pandas_dtype()
            stacked = np.stack([np.asarray(value, dtype) for value in values])
            if stacked.shape[1:] != tuple(field.type.shape):
                raise ValueError(
                    f"{field.name}: shape {stacked.shape[1:]}, expected {tuple(field.type.shape)}"
                )
            flat = pa.FixedSizeListArray.from_arrays(pa.array(stacked.reshape(-1)), stacked[0].size)
            columns.append(pa.ExtensionArray.from_storage(field.type, flat))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def num_people(keypoints_PTKC1: Any) -> int:
    """How many of a clip's places for people hold somebody: any joint of any frame with some confidence."""
    return int((np.asarray(keypoints_PTKC1)[..., -1] > 0).any(axis=(1, 2)).sum())


def shard_name(table: pa.Table) -> str:
    """File name of a shard, from the clips in it."""
    keys = sorted(f"{clip_id} {span}" for clip_id, span in clip_keys(table))
    return hashlib.blake2b("\n".join(keys).encode(), digest_size=12).hexdigest() + ".parquet"


def clip_keys(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table["clip_id"].to_pylist(), table["span"].to_pylist(), strict=True))


def places_of(features: pa.Table) -> dict[str, list[int]]:
    """clip_id -> where its clips stand, in order of time, each once; videos of which a clip is missing are left out."""
    spans, last = features["span"].to_pylist(), features["is_last"].to_pylist()
    found: dict[str, dict[int, int]] = {}
    for place, clip_id in enumerate(features["clip_id"].to_pylist()):
        found.setdefault(clip_id, {}).setdefault(spans[place], place)
    ordered = {clip_id: [of_video[span] for span in sorted(of_video)] for clip_id, of_video in found.items()}
    return {
        clip_id: places
        for clip_id, places in ordered.items()
        if last[places[-1]] and spans[places[-1]] == len(places) - 1
    }


def join_clips(rows: pa.Table, features: pa.Table, places: dict[str, list[int]]) -> pa.Table:
    """Ledger rows, each repeated for its clips, beside the clips' features."""
    of_rows = [places[clip_id] for clip_id in rows["clip_id"].to_pylist()]
    repeated = [row for row, of_video in enumerate(of_rows) for _ in of_video]
    order = [i for of_video in of_rows for i in of_video]
    groups = [
        clip_id if group is None and len(of_video) > 1 else group
        for group, clip_id, of_video in zip(
            rows["group"].to_pylist(), rows["clip_id"].to_pylist(), of_rows, strict=True
        )
    ]
    rows = rows.set_column(
        rows.schema.get_field_index("group"), LEDGER.field("group"), pa.array(groups, pa.string())
    )
    joined = rows.take(pa.array(repeated, pa.int64()))
    features = features.take(pa.array(order, pa.int64()))
    for name in features.column_names:
        joined = joined.append_column(features.schema.field(name), features[name])
    return joined
