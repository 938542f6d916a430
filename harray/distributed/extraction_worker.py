"""The actor that extracts: it holds the networks, takes batches of manifest rows, writes to the store itself.

Only small outcome rows go back through Ray; features go from the actor to a shard. The shard is written before
the ledger's rows: should the actor die in between, the next run finds the clips in the store.
"""

import contextlib
import dataclasses
import errno
import itertools
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from harray.errors import InputError
from harray.extraction.config import ExtractionConfig, needed_pictures, weights_digests
from harray.extraction.extractor import ClipExtractor
from harray.extraction.faults import ExtractionError, is_disk_full
from harray.extraction.provenance import Provenance
from harray.extraction.reader import VideoReading
from harray.schema import EXTRACTED, MANIFEST, QUARANTINED
from harray.store.feature_store import FeatureStore
from harray.store.ledger import notes_message
from harray.store.tries import MAX_TRIES, Tries
from harray.videos.files import Stamp, stamp_of

OUTCOMES = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("status", pa.string()),  # as in the ledger, or FAULT
        pa.field("computed", pa.int32()),  # clips whose features were computed
        pa.field("stage", pa.string()),  # of what was quarantined, as in the ledger
        pa.field("error", pa.string()),
        pa.field("message", pa.string()),  # as in the ledger, or of a fault
        pa.field("worker", pa.string()),  # which one it was: host and process
        pa.field("peak_mb", pa.float64()),  # of its memory so far
    ]
)
FAULT = "fault"  # the store cannot be written: the run must end, the batch is not recorded
MAX_UNWRITTEN = (
    64  # clips in memory before a shard is written; only videos that are cut into clips have so many
)


class WorkerDied(Exception):
    """Every worker that tried this input died."""


class ExtractionWorker:
    """Extracts batches of videos into a store.

    Args:
        config: the extraction; its named weights are looked up on the worker's own machine.
        store: path of the store.
        provenance: the store's; its digest is the part of a clip's identity that is not its bytes, and this
            machine's weights must have its digests.
        clip_ids: clips that the store has already.
        device: "cpu" or "cuda".
        num_threads: of the networks, on a CPU.

    Raises:
        InputError: the weights on this machine are missing or are others.
    """

    def __init__(
        self,
        *,
        config: ExtractionConfig,
        store: str,
        provenance: Provenance,
        clip_ids: set[str],
        device: str,
        num_threads: int,
    ):
        if weights_digests(config) != provenance.weights:
            raise InputError("a worker's machine has other weights than this one; give them by a shared path")
        use_threads(num_threads)
        self.videos = config.videos
        self.needed = needed_pictures(config)
        self.settings = provenance.digest
        self.clip_ids = set(clip_ids)
        self.store = FeatureStore.open(store)
        self.extractor = self._networks(config, device, num_threads)
        self.tries = Tries(self.store.path)
        self.name = f"{socket.gethostname()} {os.getpid()}"

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Extract a batch of manifest rows (with `attempts`); one outcome row per input, or one fault."""
        try:
            outcomes = self._extract(batch.to_pylist())
        except OSError as error:
            outcomes = [{"status": FAULT, "message": f"{error.strerror or error}"}]
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        worker = {"worker": self.name, "peak_mb": peak_mb}
        return pa.Table.from_pylist([row | worker for row in outcomes], schema=OUTCOMES)

    def _extract(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The next video is read while the networks work on a video's last clip; one after the other where a worker
        died on this batch, so that it is known on which video."""
        batch, name = _Batch(self.store), "\n".join(["batch", *(row["path"] for row in rows)])
        is_suspicious = self.tries.begin(name) > 0
        started: dict[str, _Started] = {}
        try:
            for row, following in itertools.zip_longest(rows, rows[1:]):
                path = row["path"]
                reading = started.pop(path, None) or self._start(path, is_suspicious)

                def start_next(following: dict[str, Any] | None = following) -> None:
                    if following is not None and not is_suspicious:
                        started[following["path"]] = self._start(following["path"], is_suspicious)

                batch.add_outcome(row, self._outcome(row, reading, batch, start_next))
                if is_suspicious:
                    self.tries.end(path)
            outcomes = batch.finish()
            self.tries.end(name)
            return outcomes
        except OSError:  # nothing of this batch is recorded
            self.clip_ids -= batch.clip_ids
            for begun in started.values():
                if begun.reading is not None:
                    begun.reading.close()
            raise

    def _networks(self, config: ExtractionConfig, device: str, num_threads: int) -> ClipExtractor:
        return ClipExtractor(config, device, num_threads).load()

    def _reading(self, path: str) -> VideoReading:
        return VideoReading(path, self.videos, self.settings, self.clip_ids.__contains__, self.needed)

    def _start(self, path: str, is_suspicious: bool) -> "_Started":
        begun = self.tries.begin(path) if is_suspicious else 0
        deaths = begun + 1 if begun else 0  # the first one's cause was not known: it was the batch's
        return _Started(deaths=deaths, reading=None if deaths >= MAX_TRIES else self._reading(path))

    def _outcome(
        self, row: dict[str, Any], started: "_Started", batch: "_Batch", start_next: Callable[[], None]
    ) -> dict[str, Any]:
        """The ledger's columns beside the manifest's; features of what was computed go to the batch."""
        columns: dict[str, Any] = {"status": EXTRACTED, "attempts": row["attempts"] + started.deaths}
        if started.reading is None:
            cause = WorkerDied(
                f"the worker died {started.deaths} times on it; `dmesg` may tell whether memory ran out"
            )
            return columns | _file_columns(stamp_of(row["path"])) | quarantine_columns("decode", cause)
        with contextlib.closing(started.reading) as reading:
            identity = reading.identity()
            columns |= {"clip_id": identity.clip_id, **_file_columns(identity.stamp)}
            columns["attempts"] += identity.attempts
            if identity.clip_id in self.clip_ids:  # the same bytes under another name, or a lost ledger row
                return columns
            try:
                notes = self._add_clips(reading, str(identity.clip_id), batch, start_next)
            except ExtractionError as error:
                _refuse_fault_of_machine(error)
                batch.drop_clips(identity.clip_id)
                return columns | quarantine_columns(error.stage, error.cause)
        self.clip_ids.add(str(identity.clip_id))
        batch.clip_ids.add(str(identity.clip_id))
        return columns | {"message": notes_message(notes)}

    def _add_clips(
        self, reading: VideoReading, clip_id: str, batch: "_Batch", start_next: Callable[[], None]
    ) -> dict[str, str]:
        """The notes on the video."""
        notes: dict[str, str] = {}
        for span, clip in enumerate(reading.clips()):
            if clip.is_last:
                notes = clip.notes
                start_next()
            features = self.extractor.extract_frames(clip.frames).row(clip_id)
            batch.add_clip({**features, "span": span, "is_last": clip.is_last})
        return notes


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Started:
    """A video at work: how many workers died of it, and its reading; None where it is given up."""

    deaths: int
    reading: VideoReading | None


class _Batch:
    """What a batch gave: features on their way to a shard, outcomes on their way to the ledger."""

    def __init__(self, store: FeatureStore):
        self.store = store
        self.clips: list[dict[str, Any]] = []
        self.clip_ids: set[str] = set()  # of videos that are done
        self.num_computed = 0  # since the last outcome
        self.ledger: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []

    def add_clip(self, clip: dict[str, Any]) -> None:
        self.clips.append(clip)
        self.num_computed += 1
        if len(self.clips) == MAX_UNWRITTEN:
            self.store.write_shard(self.clips)
            self.clips = []

    def drop_clips(self, clip_id: str | None) -> None:
        self.clips = [clip for clip in self.clips if clip["clip_id"] != clip_id]
        self.num_computed = 0

    def add_outcome(self, row: dict[str, Any], columns: dict[str, Any]) -> None:
        self.ledger.append({**{name: row[name] for name in MANIFEST.names}, **columns})
        told = {name: columns.get(name) for name in OUTCOMES.names}
        self.outcomes.append({**told, "path": row["path"], "computed": self.num_computed})
        self.num_computed = 0

    def finish(self) -> list[dict[str, Any]]:
        """Write what is left, the shard before the ledger's rows."""
        if self.clips:
            self.store.write_shard(self.clips)
        self.store.append_ledger(self.ledger)
        return self.outcomes


def _refuse_fault_of_machine(error: ExtractionError) -> None:
    """A full disk ends the run. A worker whose memory or accelerator failed ends itself: Ray starts another one in
    its place, and `Tries` counts, so that a video which does it every time is set aside.

    Raises:
        OSError: the disk is full.
    """
    if is_disk_full(error.cause):
        raise OSError(errno.ENOSPC, str(error.cause)) from error
    if error.stage in ("pose", "scene") and error.is_transient:
        print(f"this worker ends itself: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def quarantine_columns(stage: str, cause: Exception) -> dict[str, Any]:
    """The ledger's columns for an input that failed."""
    return {
        "status": QUARANTINED,
        "stage": stage,
        "error": type(cause).__name__,
        "message": str(cause)[:500],
    }


def _file_columns(stamp: Stamp | None) -> dict[str, Any]:
    return {"num_bytes": stamp and stamp[0], "modified_ns": stamp and stamp[1]}


def use_threads(num_threads: int) -> None:
    """Let the resizing of this process use so many threads; the networks are told theirs."""
    import cv2

    cv2.setNumThreads(num_threads)
