"""Keypoints of other tools, and skeleton pickles, into a feature store.

files --read and checked whole--> annotations --sampled--> rows of clips --a few hundred at a time--> store
"""

import hashlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.clip_labels import is_class_names, with_labels
from harray.interchange.keypoint_files import Reading, read_keypoints
from harray.interchange.messages import messages_about
from harray.interchange.pickles import SkeletonFile, read_skeletons
from harray.interchange.sampled import SampledClip, sample_clip
from harray.schema import EXTRACTED, MANIFEST, MOVED
from harray.skeleton import GENERIC, LAYOUTS, SkeletonLayout, layout_named, layout_of_size, to_data
from harray.store import FeatureStore, StoreSettings
from harray.store.lock import writing
from harray.store.test_part import HeldOut, as_dealt, check_named, complete, hold_out_test
from harray.videos.files import stamp_of

DATASET = "skeleton"  # of manifest rows that come from a pickle
IMPORT_VERSION = 1  # raise it when the code gives other features for the same pickle
CLIPS_PER_SHARD = 256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How annotations become clips."""

    skeleton: str | None = None  # layout of a pickle that names none; None: the usual one of as many joints
    format: str | None = (
        None  # of the files, a name in `harray.interchange.formats`; None: told by their content
    )
    labels: Path | None = (
        None  # class names by number, a line each; or the labels of clips: csv, JSON, class folders
    )
    size_hw: tuple[int, int] | None = None  # px of the pictures, where files do not say
    num_frames: int = 32  # per clip, evenly spaced; short clips repeat some
    max_people: int = 2  # per clip, by how much is seen of them
    also: Path | None = None  # second pickle, with other keypoints of the same frame_dirs
    fps: float = 25.0  # of the source videos, for the times of frames that the pickle does not give


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a pickle. It is good or bad as a whole, so that no annotation is quarantined."""

    inputs: int
    extracted: int
    quarantined: int
    computed: int  # clips that the store did not have yet
    seconds: float
    skeleton: str
    keypoints_shape: tuple[int, ...]
    second_skeleton: str | None  # of the second pickle's keypoints
    messages: list[str]  # what the user should know
    held_out: HeldOut | None  # the store's own test part


def import_skeletons(
    pickle: Path,
    store_path: Path,
    options: ImportOptions,
    on_progress: Progress | None = None,
    test_share: float | None = None,
) -> Imported:
    """Bring a store up to date with a skeleton pickle; clips that it has already are not written again.

    Args:
        test_share: of the clips, to hold out where the pickle names no test split.

    Raises:
        InputError: the pickle, its layout, its class names or an option cannot be used, and then nothing is written;
            or the store was made with other settings, or cannot be written.
    """
    started = time.monotonic()
    if not 0 < options.fps < math.inf:
        raise InputError(f"--fps {options.fps}: expected the frame rate of the source videos, such as 25")
    pickle = pickle.absolute()
    file, labels = _read(pickle, options)
    layout = layout_of(pickle, file, options.skeleton)
    names = class_names(pickle, file, labels)
    classes, said = labels_of(pickle, file, names, labels or "label_map")
    rows = manifest_rows(pickle, file, classes)
    if test_share is not None:
        check_named(str(pickle), rows)
    second = None if options.also is None else second_file(options.also.absolute(), pickle, file)
    settings = _settings(file, layout, second, options)
    try:
        store = FeatureStore.open_or_create(store_path, settings)
        clips = _clip_rows(file, second, settings, options)
        with writing(store.path, "harray skeleton import"):
            rows = as_dealt(rows, store.path)
            computed = _write(store, rows, clips, stamp_of(str(pickle)), on_progress)
            num_retired = _retire(store, pickle, {row["path"] for row in rows})
        command = "harray skeleton import"
        if test_share is None:
            held_out = complete(store.path, command)
        else:
            held_out = hold_out_test(store.path, test_share, command)
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
        skeleton=layout.name,
        keypoints_shape=settings.keypoints_shape,
        second_skeleton=settings.second_skeleton,
        messages=said + _messages(file, layout, second, options, num_retired),
        held_out=held_out,
    )


def _read(path: Path, options: ImportOptions) -> tuple[SkeletonFile, Path | None]:
    """The clips with the labels that `--labels` gives them; and the file of class names where it is one."""
    reading = Reading(
        format=options.format, size_hw=options.size_hw, fps=options.fps, skeleton=options.skeleton
    )
    file = read_keypoints(path, reading)
    if options.labels is None or is_class_names(options.labels, file):
        return file, options.labels
    return with_labels(path, file, options.labels), None


def layout_of(pickle: Path, file: SkeletonFile, wanted: str | None) -> SkeletonLayout:
    """The layout that the pickle names, else the wanted one, else the usual one of as many joints and coordinates.

    A name that is not known here may be overruled, a known one may not. `generic` is the generic layout of as many
    joints as there are.

    Raises:
        InputError: an unknown layout, one with another number of joints, or two that contradict each other.
    """
    if file.layout is not None:  # read as its format says, and brought to what was wanted
        return file.layout
    named, wanted = (
        f"{GENERIC}{file.num_joints}" if name == GENERIC else name for name in (file.skeleton, wanted)
    )
    if named in LAYOUTS and wanted not in (None, named):
        raise InputError(f"{pickle}: its skeleton is {named}, not {wanted}; leave --skeleton out")
    usual = layout_of_size(file.num_joints, file.num_coordinates)
    try:
        name = wanted or named
        layout = layout_named(name) if name else usual
    except InputError as error:
        like = f"--skeleton {GENERIC}{file.num_joints}"
        raise InputError(f"{pickle}: {error}; {like} takes its joints without bones") from error
    if layout.num_joints != file.num_joints:
        raise InputError(
            f"{pickle}: its keypoints have {file.num_joints} joints, but skeleton {layout.name} has "
            f"{layout.num_joints}; such a layout is --skeleton {usual.name}"
        )
    return layout


def second_file(pickle: Path, first: Path, of_first: SkeletonFile) -> SkeletonFile:
    """The pickle with other keypoints of the first one's clips: 3D where those are 2D, or the reverse.

    Raises:
        InputError: it cannot be used, or has as many coordinates, a clip in common with the first under another
            label, or none in common.
    """
    file = read_skeletons(pickle)
    if file.num_coordinates == of_first.num_coordinates:
        raise InputError(
            f"{pickle}: its keypoints are {file.num_coordinates}D as those of {first}; "
            "--also takes 3D beside 2D, or the reverse"
        )
    labels = {annotation.frame_dir: annotation.label for annotation in of_first.annotations}
    common = [annotation for annotation in file.annotations if annotation.frame_dir in labels]
    if not common:
        raise InputError(f"{pickle}: no frame_dir in common with {first}; name the same clips alike in both")
    for annotation in common:
        if annotation.label != labels[annotation.frame_dir]:
            raise InputError(
                f"{pickle}: {annotation.frame_dir} has label {annotation.label}, but {labels[annotation.frame_dir]} in "
                f"{first}; mend one of them"
            )
    return file


def _settings(
    file: SkeletonFile, layout: SkeletonLayout, second: SkeletonFile | None, options: ImportOptions
) -> StoreSettings:
    size = options.max_people, options.num_frames
    shape = (*size, layout.num_joints, file.num_coordinates + 1)
    if second is None or options.also is None:
        return StoreSettings(skeleton=layout.name, keypoints_shape=shape, layout=to_data(layout))
    other = layout_of(options.also, second, None)
    return StoreSettings(
        skeleton=layout.name,
        keypoints_shape=shape,
        second_skeleton=other.name,
        second_shape=(*size, other.num_joints, second.num_coordinates + 1),
    )


def class_names(pickle: Path, file: SkeletonFile, labels: Path | None) -> tuple[str, ...] | None:
    """Names of the classes, from the pickle's own map or from the file; None where there are none.

    Raises:
        InputError: no such file, or a map too many.
    """
    if labels is None:
        return file.label_map
    if file.label_map is not None:
        raise InputError(f"{pickle}: it has a label_map of its own; leave --labels out")
    return tuple(_lines(labels))


def labels_of(
    pickle: Path, file: SkeletonFile, names: Sequence[str] | None, source: object = "label_map"
) -> tuple[list[str | None], list[str]]:
    """The label of every annotation as text: its name or, without names, its number; and what is to be said of it.

    Labels from 1 to the number of names count from 1. Annotations without a label have None.

    Raises:
        InputError: a label that the names, which are from `source`, do not reach.
    """
    given = [annotation.label for annotation in file.annotations]
    numbers = [label for label in given if isinstance(label, int)]
    if names is None or len(numbers) < len(given):
        texts = [None if label is None else str(label) for label in given]
        unlabelled = texts.count(None)
        says = f"{unlabelled} of {len(texts)} clips have no label; --labels takes a csv with name,label, or class folders"
        return texts, [says] if unlabelled else []
    messages, first = [], 0
    if min(numbers) == 1:
        if max(numbers) == len(names):
            first = 1
            messages = [f"labels run from 1 to {len(names)}, the number of class names: counted from 1"]
        else:
            messages = [f"no clip has label 0, {names[0]}; if labels count from 1, make them count from 0"]
    for number, annotation in enumerate(file.annotations):
        if numbers[number] - first >= len(names):
            raise InputError(
                f"{pickle}: annotation {number} ({annotation.frame_dir}): label: found {annotation.label}, expected "
                f"less than {len(names)}, the number of class names in {source}"
            )
    return [names[number - first] for number in numbers], messages


def manifest_rows(pickle: Path, file: SkeletonFile, labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """Manifest rows of the annotations, in their order; the splits of each sorted."""
    splits: dict[str, list[str]] = {annotation.frame_dir: [] for annotation in file.annotations}
    for name in sorted(file.splits):
        for frame_dir in set(file.splits[name]):
            splits[frame_dir].append(name)
    return [
        {
            "path": f"{pickle}#{annotation.frame_dir}",
            "label": label,
            "group": annotation.group,
            "dataset": DATASET,
            "splits": splits[annotation.frame_dir],
        }
        for annotation, label in zip(file.annotations, labels, strict=True)
    ]


def clip_row(
    clip: SampledClip,
    size_hw: tuple[int, int],
    skeleton: str,
    second_skeleton: str | None = None,
    second_PNVC1: np.ndarray | None = None,
) -> dict[str, Any]:
    """A row of the clips table; its clip_id is a digest of all the rest of it and of the layouts."""
    about = (IMPORT_VERSION, skeleton, size_hw, clip.keypoints_PNVC1.shape)
    arrays = [clip.keypoints_PNVC1, clip.frame_index_N, clip.frame_sec_N]
    beside = {}
    if second_PNVC1 is not None:
        about = (*about, second_skeleton, second_PNVC1.shape)
        arrays.append(second_PNVC1)
        beside = {"second_keypoints": second_PNVC1}
    identity = hashlib.blake2b(repr(about).encode(), digest_size=16)
    for array in arrays:
        identity.update(array.tobytes())
    return beside | {
        "clip_id": identity.hexdigest(),
        "frame_index": clip.frame_index_N,
        "frame_sec": clip.frame_sec_N,
        "height_px": size_hw[0],
        "width_px": size_hw[1],
        "keypoints": clip.keypoints_PNVC1,
    }


def _clip_rows(
    file: SkeletonFile, second: SkeletonFile | None, settings: StoreSettings, options: ImportOptions
) -> Iterator[dict[str, Any]]:
    others = {} if second is None else {each.frame_dir: each for each in second.annotations}
    for annotation in file.annotations:
        second_PNVC1 = None
        if second is not None:
            second_PNVC1 = np.zeros(settings.second_shape or (), np.float32)
            if other := others.get(annotation.frame_dir):
                second_PNVC1 = _sampled(other, second, options).keypoints_PNVC1
        clip = _sampled(annotation, file, options)
        yield clip_row(clip, annotation.size_hw, settings.skeleton, settings.second_skeleton, second_PNVC1)


def _sampled(annotation: Annotation, file: SkeletonFile, options: ImportOptions) -> SampledClip:
    return sample_clip(
        annotation,
        num_frames=options.num_frames,
        max_people=options.max_people,
        fps=options.fps,
        people_ranked=file.people_ranked,
        origin_joints=file.origin_joints,
    )


def _write(
    store: FeatureStore,
    rows: list[dict[str, Any]],
    clips: Iterator[dict[str, Any]],
    stamp: tuple[int, int] | None,
    on_progress: Progress | None,
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
        if on_progress:
            on_progress(done, len(rows))
    return len(known) - num_known


def _retire(store: FeatureStore, pickle: Path, paths: set[str]) -> int:
    """Retire what this pickle no longer holds, and rows of pickles that are gone whose clips it holds; how many.

    Else a clip that was moved from train to test would stand in both.
    """
    rows = [row for row in store.ledger().to_pylist() if row["status"] == EXTRACTED]
    here = {row["clip_id"] for row in rows if row["path"] in paths}
    others = [row for row in rows if row["dataset"] == DATASET and row["path"] not in paths]
    pickle_of = {row["path"]: row["path"].rpartition("#")[0] for row in others}
    gone = {name for name in set(pickle_of.values()) if stamp_of(name) is None}
    retired = [
        {name: value for name, value in row.items() if name != "time"} | {"status": MOVED}
        for row in others
        if pickle_of[row["path"]] == str(pickle)
        or (pickle_of[row["path"]] in gone and row["clip_id"] in here)
    ]
    store.append_ledger(retired)
    return len(retired)


def _is_recorded(row: dict[str, Any], before: dict[str, dict[str, Any]]) -> bool:
    recorded = before.get(row["path"], {})
    return all(recorded.get(name) == row[name] for name in (*MANIFEST.names, "clip_id", "status"))


def _lines(labels: Path) -> list[str]:
    try:
        names = [line.strip() for line in labels.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"labels {labels}: not a readable text file; expected one class name per line"
        ) from error
    if "" in names:
        raise InputError(
            f"labels {labels}: line {names.index('') + 1} is empty; expected one class name per line"
        )
    return names


def _messages(
    file: SkeletonFile,
    layout: SkeletonLayout,
    second: SkeletonFile | None,
    options: ImportOptions,
    num_retired: int,
) -> list[str]:
    messages = []
    if num_retired:
        messages.append(
            f"{num_retired} clips of earlier imports are retired: this pickle holds them, or no longer does"
        )
    if second is not None:
        there = {annotation.frame_dir for annotation in second.annotations}
        if alone := sum(annotation.frame_dir not in there for annotation in file.annotations):
            messages.append(f"{alone} of {len(file.annotations)} clips are not in {options.also}")
    if not (file.skeleton or options.skeleton):
        messages.append(
            f"skeleton {layout.name}, for its {layout.num_joints} joints in {file.num_coordinates}D; "
            "--skeleton says otherwise"
        )
    messages += messages_about(file, layout)
    if second is not None and options.also is not None:
        other = layout_of(options.also, second, None)
        if not second.skeleton:
            messages.append(
                f"{options.also}: skeleton {other.name}, for its {other.num_joints} joints in "
                f"{second.num_coordinates}D; its key `skeleton` would say otherwise"
            )
        messages += [f"{options.also}: {message}" for message in messages_about(second, other)]
    return messages
