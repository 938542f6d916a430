"""The actor that extracts: it holds the networks, takes batches of manifest rows, writes to the store itself.

Only small outcome rows go back through Ray; features go from the actor to a shard. The shard is written before
the ledger's rows: should the actor die in between, the next run finds the clips in the store.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from harray.distributed.extraction_plan import stamp_of
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig, clip_id, weights_digests
from harray.extraction.extractor import ClipExtractor, ExtractionError
from harray.schema import EXTRACTED, MANIFEST, QUARANTINED
from harray.store.feature_store import FeatureStore
from harray.store.tries import MAX_TRIES, Tries
from harray.videos.frames import Frames

OUTCOMES = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("status", pa.string()),  # as in the ledger, or FAULT
        pa.field("computed", pa.bool_()),
        pa.field("message", pa.string()),  # of a fault
    ]
)
FAULT = "fault"  # the store cannot be written: the run must end, the batch is not recorded


class WorkerDied(Exception):
    """Whoever worked on this input died of it, again and again."""


class ExtractionWorker:
    """Extracts batches of videos into a store.

    Args:
        config: the extraction; its named weights are looked up on the worker's own machine.
        store: path of the store.
        settings: of `settings_digest`, the part of a clip's identity that is not its bytes.
        weights: digests that this machine's weights must have.
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
        settings: str,
        weights: dict[str, str],
        clip_ids: set[str],
        device: str,
        num_threads: int,
    ):
        if weights_digests(config) != weights:
            raise InputError("a worker's machine has other weights than this one; give them by a shared path")
        use_threads(num_threads)
        self.settings = settings
        self.clip_ids = set(clip_ids)
        self.store = FeatureStore.open(store)
        self.extractor = ClipExtractor(config, device, num_threads).load()
        self.tries = Tries(self.store.path)
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Extract a batch of manifest rows (with `attempts`); one outcome row per input, or one fault."""
        features, ledger, outcomes = [], [], []
        for row, reading in self._readings(batch.to_pylist()):
            outcome, feature = self._extracted(row, reading)
            self.tries.end(row["path"])
            ledger.append({**{name: row[name] for name in MANIFEST.names}, **outcome})
            outcomes.append(
                {"path": row["path"], "status": outcome["status"], "computed": feature is not None}
            )
            if feature is not None:
                features.append(feature)
                self.clip_ids.add(feature["clip_id"])
        try:
            if features:
                self.store.write_shard(features)
            self.store.append_ledger(ledger)
        except OSError as error:
            outcomes = [{"status": FAULT, "message": f"{error.strerror or error}"}]
        return pa.Table.from_pylist(outcomes, schema=OUTCOMES)

    def _readings(self, rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], "Future[Taken]"]]:
        """Each row with its reading, while the next row's is under way; one after the other where a worker died on
        one of them, so that it is known on which."""
        if any(self.tries.count(row["path"]) for row in rows):
            yield from ((row, self.reader.submit(self._take, row["path"])) for row in rows)
            return
        ahead = None
        for row in rows:
            reading = self.reader.submit(self._take, row["path"])
            if ahead is not None:
                yield ahead
            ahead = row, reading
        if ahead is not None:
            yield ahead

    def _take(self, path: str) -> "Taken":
        """The file's identity and, if its features are not known yet, its frames."""
        stamp = stamp_of(path)
        if (deaths := self.tries.begin(path)) >= MAX_TRIES:
            cause = WorkerDied(
                f"the worker died {deaths} times on it; `dmesg` may tell whether memory ran out"
            )
            return Taken(stamp, None, ExtractionError("decode", cause))
        try:
            identity = clip_id(path, self.settings)
        except OSError as error:
            return Taken(stamp, None, ExtractionError("open", error))
        if identity in self.clip_ids:
            return Taken(stamp, identity, None)
        try:
            return Taken(stamp, identity, self.extractor.read(path))
        except ExtractionError as error:
            return Taken(stamp, identity, error)

    def _extracted(
        self, row: dict[str, Any], reading: "Future[Taken]"
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The ledger's columns beside the manifest's, and the features where they were computed."""
        taken = reading.result()
        outcome = {
            "clip_id": taken.clip_id,
            "status": EXTRACTED,
            "attempts": row["attempts"] + 1,
            "num_bytes": taken.stamp and taken.stamp[0],
            "modified_ns": taken.stamp and taken.stamp[1],
        }
        if taken.clip_id in self.clip_ids:  # the same bytes under another name, or a ledger row that was lost
            return outcome, None
        try:
            return outcome, self._features(taken)
        except ExtractionError as error:
            return {**outcome, **quarantine_columns(error)}, None

    def _features(self, taken: "Taken") -> dict[str, Any]:
        if isinstance(taken.content, ExtractionError):
            raise taken.content
        assert taken.content is not None
        assert taken.clip_id is not None
        return self.extractor.extract_frames(taken.content).row(taken.clip_id)


class Taken:
    """What reading a file gave: its stamp, its identity, and frames, an error, or None where none are needed."""

    def __init__(
        self, stamp: tuple[int, int] | None, clip_id: str | None, content: Frames | ExtractionError | None
    ):
        self.stamp = stamp
        self.clip_id = clip_id
        self.content = content


def quarantine_columns(error: ExtractionError) -> dict[str, Any]:
    """The ledger's columns for an input that failed."""
    return {
        "status": QUARANTINED,
        "stage": error.stage,
        "error": type(error.cause).__name__,
        "message": str(error.cause)[:500],
    }


def use_threads(num_threads: int) -> None:
    """Let the resizing of this process use so many threads; the networks are told theirs."""
    import cv2

    cv2.setNumThreads(num_threads)
