"""The feature store: Parquet shards of features keyed by clip_id, and a ledger of every input's outcome.

    STORE/store.json          schema version, skeleton, extraction settings, digests of weights, shapes
    STORE/clips/*.parquet     features; a shard is named after the clips in it, so writing it twice is harmless
    STORE/ledger/*.parquet    manifest columns and outcome; of a path's rows the latest rules
    STORE/tries/              which videos workers are at work on (tries.py)
    STORE/.writer.lock        held by the one command that writes (lock.py)

Shards and ledger parts appear whole or not at all. A clip whose shard was written and whose ledger row was not
(the writer died in between) is found by its clip_id and is not computed again.
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harray.errors import InputError
from harray.files import (
    Place,
    list_files,
    list_tree,
    place,
    put_if_absent,
    write_atomically,
)
from harray.schema import MANIFEST, clips_schema
from harray.skeleton import SkeletonLayout, layout_from, layout_named
from harray.store.clips import clip_rows, clips_table, shard_name, whole_videos
from harray.store.ledger import (
    Reason,
    ledger_table,
    noted,
    quarantined_rows,
    reasons,
    split_names,
)
from harray.store.parts import checked, each_of, undisturbed
from harray.store.settings import FILE_NAME, StoreSettings, differences, dump_settings, load_settings
from harray.store.shards import FoundClips, Shards
from harray.store.snapshot import Snapshot, snapshot_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """What is in a store, for display."""

    path: str
    num_inputs: int
    num_extracted: int
    num_quarantined: int
    num_clips: int  # distinct clips; the same video under two names is one
    num_without_people: int  # of the distinct clips; they keep their place, with confidence 0
    num_bytes: int
    labels: dict[str, int]  # label -> extracted inputs
    splits: dict[str, int]  # split -> extracted inputs
    num_groups: int  # distinct groups
    notes: list[tuple[str, int, str, str]]  # on extracted videos: kind, count, one path, what of it
    reasons: list[Reason]  # why inputs were quarantined, the commonest first
    settings: StoreSettings


class FeatureStore:
    """A folder of features, on a disk or in a bucket. Make one with `create`, `open` or `open_or_create`."""

    def __init__(self, path: Place, settings: StoreSettings):
        self.path = path
        self.settings = settings

    @classmethod
    def create(cls, path: Place | str, settings: StoreSettings) -> "FeatureStore":
        """Make an empty store.

        Raises:
            InputError: the folder holds something else already.
        """
        path = place(path).absolute()
        text = dump_settings(settings)
        if _holds_something(path) or not put_if_absent(path / FILE_NAME, lambda file: file.write_text(text)):
            raise InputError(
                f"store {path}: it exists and is not empty; name a new folder or an existing store"
            )
        return cls(path, settings)

    @classmethod
    def open(cls, path: Place | str) -> "FeatureStore":
        """Open an existing store.

        Raises:
            InputError: no such folder, no store, or a store of another schema version.
        """
        path = place(path).absolute()
        return cls(path, load_settings(path))

    @classmethod
    def open_or_create(cls, path: Place | str, settings: StoreSettings) -> "FeatureStore":
        """Open the store if there is one, else create it.

        Raises:
            InputError: as `open` and `create`, or the store was made with other settings.
        """
        path = place(path).absolute()
        if not (path / FILE_NAME).exists():
            return cls.create(path, settings)
        store = cls.open(path)
        found, wanted = (each.provenance.extraction.get("version") for each in (store.settings, settings))
        if found != wanted:
            raise InputError(
                f"store {path}: features of version {found}, and this harray makes version {wanted}; "
                "extract into a new folder, or use the harray that made it"
            )
        if unlike := differences(store.settings, settings):
            raise InputError(
                f"store {path}: made with other settings ({'; '.join(unlike[:3])}); "
                "extract into a new folder or restore the settings"
            )
        return store

    @property
    def skeleton(self) -> SkeletonLayout:
        """Joint names and bones of the keypoints."""
        return layout_from(self.settings.skeleton, self.settings.layout)

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """Of each kind of keypoints that the clips have, in the order of `schema.STREAM_COLUMNS`."""
        second = self.settings.second_skeleton
        return (self.skeleton,) if second is None else (self.skeleton, layout_named(second))

    @property
    def schema(self) -> pa.Schema:
        """Schema of the clips table."""
        return clips_schema(self.settings.shapes, self.settings.scene_shape)

    def write_shard(self, rows: pa.Table | Sequence[Mapping[str, Any]]) -> Place:
        """Write features of some clips as one file, atomically.

        Args:
            rows: a table of `self.schema`, or mappings of its columns, tensors as numpy arrays of the
                settings' shapes (keypoints float32, scene_tokens float16).
        """
        table = rows if isinstance(rows, pa.Table) else clips_table(rows, self.schema)
        file = self.path / "clips" / shard_name(table)
        write_atomically(file, lambda part: _write_parquet(table, part))
        return file

    def append_ledger(self, rows: pa.Table | Iterable[Mapping[str, Any]]) -> None:
        """Record outcomes as one file, atomically. Write the shard of extracted clips first."""
        table = rows if isinstance(rows, pa.Table) else ledger_table(rows)
        if not len(table):
            return
        latest = (
            pc.max(table["time"]).as_py().strftime("%Y%m%dT%H%M%S%f")
        )  # in a listing, after what it replaces
        file = self.path / "ledger" / f"{latest}-{uuid.uuid4().hex[:8]}.parquet"
        write_atomically(file, lambda part: _write_parquet(table, part))

    def ledger(self, without: Collection[str] = ()) -> pa.Table:
        """The latest row of every path, sorted by path; files that have moved stand under their new path only, and
        what was retired not at all.

        Args:
            without: files to leave out, such as "ledger/x.parquet".
        """
        return self.snapshot(without).ledger

    def snapshot(self, without: Collection[str] = ()) -> Snapshot:
        """The ledger as it stands now; the same object until something is appended.

        Args:
            without: files to leave out, such as "ledger/x.parquet".

        Raises:
            InputError: a file of the ledger is damaged.
        """

        def read() -> Snapshot:
            files = list_files(self.path / "ledger", ".parquet")
            return snapshot_of([file for file in files if f"ledger/{file.name}" not in without])

        return undisturbed(read)

    def clip_ids(self) -> set[str]:
        """Every clip_id whose features are here to the last, whether the ledger knows of it or not."""
        keys = undisturbed(self._shards).keys
        return set(whole_videos(keys).clip_ids.to_pylist())

    def read(self, splits: list[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """Extracted clips: ledger columns joined with features, sorted by path and time.

        Of a video that was cut into several clips and has no group, the clips are a group of their own: none
        must be trained on while another one is tested.

        Args:
            splits: clips of any of these splits; None for all.
            columns: which feature columns to read, such as `["keypoints"]`; None for all.

        Raises:
            InputError: a split that no clip belongs to, or features that are gone.
        """
        return undisturbed(lambda: self.find(splits).read(columns))

    def find(self, splits: list[str] | None = None) -> FoundClips:
        """The clips that `read` gives, before their features are read.

        Raises:
            InputError: as `read`.
            FileNotFoundError: shards are being compacted; see `parts.undisturbed`.
        """
        rows = self.snapshot().extracted
        if splits is not None:
            rows = _of_splits(rows, splits, self.path)
        shards = self._shards()
        clips = whole_videos(shards.keys).clips_of(rows["clip_id"])
        if not clips.is_there.all():
            if shards.files != list_files(self.path / "clips", ".parquet"):
                raise FileNotFoundError("compacted meanwhile")
            lost = rows["path"].filter(pa.array(~clips.is_there))
            raise InputError(
                f"store {self.path}: features of {len(lost)} videos are gone, such as {lost[0]}; "
                "run the same `harray extract` again to restore them"
            )
        return FoundClips(rows=clip_rows(rows, clips), shards=shards, places=clips.place)

    def quarantined(self, stage: str | None = None) -> pa.Table:
        """Quarantined inputs as a manifest; those of one stage, or all."""
        rows = quarantined_rows(self.ledger())
        return rows.filter(pc.field("stage") == stage if stage else pc.scalar(True)).select(MANIFEST.names)

    def splits(self) -> list[str]:
        """Names of the splits, sorted; empty where the manifest gave none."""
        return list(self.snapshot().splits)

    def labels(self) -> list[str]:
        """Labels of extracted clips, sorted; clips without a label add none."""
        return list(self.snapshot().labels)

    def num_bytes_in_memory(self) -> int:
        """Of all features, as `read` gives them; asks the shards' footers only."""

        def read() -> list[int]:
            files = list_files(self.path / "clips", ".parquet")
            return each_of(lambda file: checked(lambda copy: pq.read_metadata(copy).num_rows, file), files)

        return self.settings.clip_bytes * sum(undisturbed(read))

    def digest(self) -> str:
        """16 hexadecimal digits for what can be learned from this store: its clips, their labels and splits."""
        return self.snapshot().digest

    def info(self) -> StoreInfo:
        """Counts and settings for display."""
        ledger, rows = self.snapshot().ledger, self.snapshot().extracted
        keys = undisturbed(lambda: self._shards(["num_people"])).keys
        clips = np.unique(whole_videos(keys).clips_of(rows["clip_id"]).place)
        num_people = keys["num_people"].to_numpy()[clips]
        files = [
            file for folder in ("clips", "ledger") for file in list_files(self.path / folder, ".parquet")
        ]
        return StoreInfo(
            path=str(self.path),
            num_inputs=len(ledger),
            num_extracted=len(rows),
            num_quarantined=len(quarantined_rows(ledger)),
            num_clips=len(clips),
            num_without_people=int((num_people == 0).sum()),
            num_bytes=sum(file.num_bytes for file in files),
            labels=_counts(rows["label"].drop_null()),
            splits=_counts(pc.list_flatten(rows["splits"])),
            num_groups=len(rows["group"].drop_null().unique()),
            reasons=reasons(ledger),
            notes=noted(rows),
            settings=self.settings,
        )

    def _shards(self, beside: Sequence[str] = ()) -> Shards:
        return Shards(list_files(self.path / "clips", ".parquet"), self.schema, beside)


def _write_parquet(table: pa.Table, file: Path) -> None:
    """Without dictionaries and statistics: features hardly repeat, and reading them is four times as fast."""
    pq.write_table(
        table,
        file,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )


def _holds_something(path: Place) -> bool:
    """Whether a folder has files that are not hidden, or something else has its name."""
    if isinstance(path, Path):
        return path.exists() and (
            not path.is_dir() or any(not file.name.startswith(".") for file in path.iterdir())
        )
    return any(not file.name.startswith(".") for file in list_tree(path))


def _of_splits(rows: pa.Table, splits: list[str], store: Place) -> pa.Table:
    there = split_names(rows)
    for split in splits:
        if split not in there:
            found = f"it has {', '.join(there)}" if there else "its manifest named no splits"
            raise InputError(f"store {store}: no split {split!r}; {found}")
    keep = np.zeros(len(rows), bool)
    of_rows = rows["splits"].combine_chunks()
    is_wanted = pc.is_in(pc.list_flatten(of_rows), pa.array(splits, pa.string()))
    keep[pc.list_parent_indices(of_rows).filter(is_wanted).to_numpy()] = True
    return rows.filter(pa.array(keep))


def _counts(names: pa.ChunkedArray) -> dict[str, int]:
    counted = {each["values"].as_py(): each["counts"].as_py() for each in pc.value_counts(names)}
    return dict(sorted(counted.items()))
