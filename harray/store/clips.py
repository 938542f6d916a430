"""The clips table: rows to Arrow, names of shards, and which clips belong to a video. Pure functions.

Letters: P people, T frames, K joints, C coordinates.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class WholeVideos:
    """Where the clips of videos stand in a table, each once; videos of which a clip is missing are left out.

    Attributes:
        clip_ids: of the videos.
        places: rows of their clips, a video's in order of time, one video's after another's.
        starts: of each video in `places`.
        counts: its clips.
    """

    clip_ids: pa.Array
    places: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def clips_of(self, clip_ids: pa.ChunkedArray) -> "ClipsOf":
        """Where the clips of these videos stand."""
        number = pc.index_in(clip_ids, self.clip_ids)
        is_there = pc.is_valid(number).to_numpy()
        number = number.fill_null(0).to_numpy()
        if not len(self.clip_ids):
            return ClipsOf(is_there=is_there, video=number[:0], place=number[:0])
        counts = np.where(is_there, self.counts[number], 0)
        video = np.repeat(np.arange(len(number)), counts)
        within = np.arange(len(video)) - np.repeat(np.cumsum(counts) - counts, counts)
        return ClipsOf(
            is_there=is_there, video=video, place=self.places[np.repeat(self.starts[number], counts) + within]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipsOf:
    """Clips of some videos, in the videos' order and each video's in order of time.

    Attributes:
        is_there: for each video, whether its clips are there.
        video: for each clip, the number of its video among these.
        place: for each clip, where its features stand.
    """

    is_there: np.ndarray
    video: np.ndarray
    place: np.ndarray


def whole_videos(keys: pa.Table) -> WholeVideos:
    """Videos all of whose clips are among these: the last one, and so many as it says.

    Args:
        keys: columns clip_id, span and is_last, one row per stored clip; of a clip that stands twice the first counts.
    """
    ids = keys["clip_id"].combine_chunks().dictionary_encode()
    code, span, is_last = ids.indices.to_numpy(), keys["span"].to_numpy(), keys["is_last"].to_numpy()
    order = np.lexsort((span, code))  # stable
    code, span, is_last = code[order], span[order], is_last[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (code[1:] != code[:-1]) | (span[1:] != span[:-1])
    order, code, span, is_last = order[is_first], code[is_first], span[is_first], is_last[is_first]
    counts = np.bincount(code, minlength=len(ids.dictionary))
    starts = np.cumsum(counts) - counts
    ends = starts + counts - 1
    is_whole = is_last[ends] & (span[ends] == counts - 1)
    return WholeVideos(
        clip_ids=ids.dictionary.filter(pa.array(is_whole)),
        places=order,
        starts=starts[is_whole],
        counts=counts[is_whole],
    )


def clip_rows(rows: pa.Table, clips: ClipsOf) -> pa.Table:
    """Ledger rows, each repeated for its video's clips. A video of several clips and no group is a group of its own."""
    is_cut = np.bincount(clips.video, minlength=len(rows)) > 1
    groups = pc.coalesce(rows["group"], pc.if_else(pa.array(is_cut), rows["clip_id"], None))
    rows = rows.set_column(rows.schema.get_field_index("group"), LEDGER.field("group"), groups)
    return rows.take(pa.array(clips.video))
