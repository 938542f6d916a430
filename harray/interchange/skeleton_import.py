"""Keypoints of other tools, a file or a folder, into a feature store.

files --read and checked whole--> streams --sampled--> rows of clips --a few hundred at a time--> store

Another tool's format is a row of `harray.interchange.formats.FORMATS`. All that follows is the same for every format.
"""

import dataclasses
import functools
import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.files import Place
from harray.interchange.clip_labels import is_class_names, with_labels
from harray.interchange.keypoint_files import Reading, read_keypoints
from harray.interchange.labels import class_names, labels_of
from harray.interchange.messages import messages_about
from harray.interchange.rows import DATASET, Sampling, clip_rows, manifest_rows
from harray.interchange.streams import KeypointStream, read_streams
from harray.reporting import SILENT, Reporter, Update
from harray.schema import EXTRACTED, MANIFEST, MOVED
from harray.skeleton import to_data
from harray.store import FeatureStore, StoreSettings
from harray.store.lock import writing
from harray.store.test_part import HeldOut, as_dealt, check_named, complete, hold_out_test
from harray.videos.datasets.asked import chosen
from harray.videos.files import stamp_of
from harray.videos.listing import named

CLIPS_PER_SHARD = 256


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How annotations become clips."""

    skeleton: str | None = None
    """Layout of files that name none, or one to bring joints to by their names; None: as the format has it."""
    format: str | None = None
    """Of the files, a name in `harray.interchange.formats.FORMATS` or pickle; None: told by their content."""
    labels: Path | None = None
    """Class names by number, a line each; or the labels of clips: a csv, JSON, or class folders."""
    size_hw: tuple[int, int] | None = None
    """Px of the pictures, where files do not say."""
    protocol: str | None = None
    """Which official splits become train and test: xsub, xview, xset, or the number of a split; None: all as named."""
    num_frames: int = 32
    """Per clip, evenly spaced; a shorter clip repeats some."""
    max_people: int = 2
    """Per clip, those of whom most is seen."""
    also: Path | None = None
    """Second file, with other keypoints of the same frame_dirs: 3D beside 2D, or the reverse."""
    fps: float = 25.0
    """Of the source videos, for the times of frames where the file gives none."""
    test_share: float | None = None
    """Of the clips, to hold out for the test where the file names no test split; None: none."""

    @property
    def sampling(self) -> Sampling:
        return Sampling(num_frames=self.num_frames, max_people=self.max_people, fps=self.fps)

    @property
    def reading(self) -> Reading:
        return Reading(format=self.format, size_hw=self.size_hw, fps=self.fps)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a file. It is good or bad as a whole, so that no annotation is quarantined."""

    inputs: int
    extracted: int
    quarantined: int
    computed: int  # clips that the store did not have yet
    seconds: float
    skeleton: str
    keypoints_shape: tuple[int, ...]
    second_skeleton: str | None  # of the second file's keypoints
    messages: list[str]  # what the user should know
    held_out: HeldOut | None  # the store's own test part


def import_skeletons(
    path: Path,
    store_path: Place,
    options: ImportOptions,
    reporter: Reporter = SILENT,
) -> Imported:
    """Bring a store up to date with keypoints; clips that it has already are not written again.

    Raises:
        InputError: the file, its layout, its class names or an option cannot be used, and then nothing is written;
            or the store was made with other settings, or cannot be written.
    """
    started = time.monotonic()
    if not 0 < options.fps < math.inf:
        raise InputError(f"--fps {options.fps}: expected the frame rate of the source videos, such as 25")
    read = functools.partial(read_keypoints, reading=options.reading)
    streams = read_streams(read, path, options.also, options.skeleton)
    rows, messages = labelled_rows(streams[0], options)
    settings = settings_of(streams, options)
    try:
        store = FeatureStore.open_or_create(store_path, settings)
        with writing(store.path, "harray skeleton import"):
            rows = as_dealt(rows, store.path)
            clips = clip_rows(streams, options.sampling)
            with reporter.progress("importing", "clips") as update:
                computed = _write(store, rows, clips, stamp_of(str(streams[0].path)), update)
            num_retired = _retire(store, streams[0].path, {row["path"] for row in rows})
        held_out = _test_part(store, options.test_share)
    except OSError as error:
        raise InputError(
            f"store {store_path}: cannot be written ({error.strerror}); name a folder that can be"
        ) from error
    return Imported(
        inputs=len(rows),
        extracted=len(rows),
        quarantined=0,
        computed=computed,
        seconds=time.monotonic() - started,
        skeleton=settings.skeleton,
        keypoints_shape=settings.keypoints_shape,
        second_skeleton=settings.second_skeleton,
        messages=[*messages, *_messages(streams, num_retired)],
        held_out=held_out,
    )


def labelled_rows(stream: KeypointStream, options: ImportOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """Manifest rows of the clips, and what is to be said of their labels.

    Raises:
        InputError: labels or class names that cannot be used, or a share to hold out where a test split is named.
    """
    file, said = stream.file, list[str]()
    if options.labels is not None and not is_class_names(options.labels, file):
        file, said = with_labels(stream.path, file, options.labels)
        labels, messages = labels_of(stream.path, file, None)
    else:
        names = class_names(stream.path, file, options.labels)
        labels, messages = labels_of(stream.path, file, names, options.labels or "label_map")
    rows = manifest_rows(stream.path, file, labels)
    if options.protocol is not None:
        rows = _of_protocol(stream.path, rows, options.protocol)
    if file.layout is not None:
        messages += _counts(rows)
    if options.test_share is not None:
        check_named(str(stream.path), rows)
    return rows, said + messages


def _counts(rows: list[dict[str, Any]]) -> list[str]:
    """Classes, splits and groups, a line each."""
    labels = Counter(row["label"] for row in rows)
    without = labels.pop(None, 0)
    splits = Counter(split for row in rows for split in row["splits"])
    groups = Counter(row["group"] for row in rows if row["group"] is not None)
    lines = [named("class", "classes", dict(sorted(labels.items())), without)]
    lines += [named("split", "splits", dict(sorted(splits.items())))] if splits else []
    return lines + ([named("group", "groups", dict(sorted(groups.items())))] if groups else [])


def _of_protocol(path: Path, rows: list[dict[str, Any]], protocol: str) -> list[dict[str, Any]]:
    there = sorted({split for row in rows for split in row["splits"]})
    rows = [{**row, "splits": chosen(row["splits"], protocol)} for row in rows]
    if not any(row["splits"] for row in rows):
        raise InputError(
            f"{path}: --protocol {protocol}: its splits are {', '.join(there) or 'none'}; name one of them"
        )
    return rows


def settings_of(streams: Sequence[KeypointStream], options: ImportOptions) -> StoreSettings:
    """Of the store that takes these streams: layout and shape of each."""
    size = options.max_people, options.num_frames
    shapes = [(*size, stream.layout.num_joints, stream.num_values) for stream in streams]
    first, *others = zip([stream.layout.name for stream in streams], shapes, strict=True)
    settings = StoreSettings(skeleton=first[0], keypoints_shape=first[1], layout=to_data(streams[0].layout))
    for name, shape in others:
        settings = dataclasses.replace(settings, second_skeleton=name, second_shape=shape)
    return settings


def _test_part(store: FeatureStore, share: float | None) -> HeldOut | None:
    command = "harray skeleton import"
    return complete(store.path, command) if share is None else hold_out_test(store.path, share, command)


def _write(
    store: FeatureStore,
    rows: list[dict[str, Any]],
    clips: Iterator[dict[str, Any]],
    stamp: tuple[int, int] | None,
    update: Update,
) -> int:
    """Write what the store lacks, a shard and its part of the ledger at a time; how many clips that were."""
    known, done = store.clip_ids(), 0
    num_known = len(known)
    before = {row["path"]: row for row in store.ledger().to_pylist()}
    taken = {"num_bytes": stamp and stamp[0], "modified_ns": stamp and stamp[1]}
    pairs = zip(rows, clips, strict=True)
    while batch := list(itertools.islice(pairs, CLIPS_PER_SHARD)):
        new = {clip["clip_id"]: clip for _, clip in batch if clip["clip_id"] not in known}
        if new:
            store.write_shard(list(new.values()))
        outcomes = [{**row, "clip_id": clip["clip_id"], "status": EXTRACTED} for row, clip in batch]
        store.append_ledger([{**row, **taken} for row in outcomes if not _is_recorded(row, before)])
        known |= new.keys()
        done += len(batch)
        update(done, len(rows))
    return len(known) - num_known


def _retire(store: FeatureStore, path: Path, paths: set[str]) -> int:
    """Retire what the file no longer holds, and rows of files that are gone whose clips it holds; how many.

    Else a clip that was moved from train to test would stand in both.
    """
    rows = [row for row in store.ledger().to_pylist() if row["status"] == EXTRACTED]
    here = {row["clip_id"] for row in rows if row["path"] in paths}
    others = [row for row in rows if row["dataset"] == DATASET and row["path"] not in paths]
    file_of = {row["path"]: row["path"].rpartition("#")[0] for row in others}
    gone = {name for name in set(file_of.values()) if stamp_of(name) is None}
    retired = [
        {name: value for name, value in row.items() if name != "time"} | {"status": MOVED}
        for row in others
        if file_of[row["path"]] == str(path) or (file_of[row["path"]] in gone and row["clip_id"] in here)
    ]
    store.append_ledger(retired)
    return len(retired)


def _is_recorded(row: dict[str, Any], before: dict[str, dict[str, Any]]) -> bool:
    recorded = before.get(row["path"], {})
    return all(recorded.get(name) == row[name] for name in (*MANIFEST.names, "clip_id", "status"))


def _messages(streams: Sequence[KeypointStream], num_retired: int) -> list[str]:
    """What the user should know of the files."""
    messages = []
    if num_retired:
        messages.append(
            f"{num_retired} clips of earlier imports are retired: this file holds them, or no longer does"
        )
    clips = streams[0].file.annotations
    for stream in streams[1:]:
        if missing := sum(annotation.frame_dir not in stream.by_frame_dir for annotation in clips):
            messages.append(f"{missing} of {len(clips)} clips are not in {stream.path}")
    for number, stream in enumerate(streams):
        layout = stream.layout
        said = messages_about(stream.file, layout)
        if not stream.is_layout_named:
            otherwise = "its key `skeleton` would say otherwise" if number else "--skeleton says otherwise"
            said.insert(
                0,
                f"skeleton {layout.name}, for its {layout.num_joints} joints in {stream.file.num_coordinates}D; "
                f"{otherwise}",
            )
        messages += [f"{stream.path}: {message}" if number else message for message in said]
    return messages
