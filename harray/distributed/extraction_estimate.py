"""What an extraction would do and how long it would take: its plan, and a probe of a few videos in this process."""

import contextlib
import dataclasses
import time

import pyarrow as pa

from harray.distributed.extraction import Pool, check_weights, pool_for, settled, store_settings
from harray.distributed.extraction_plan import plan_extraction
from harray.distributed.extraction_worker import use_threads
from harray.distributed.resources import start_ray
from harray.extraction.config import ExtractionConfig, needed_pictures
from harray.extraction.extractor import ClipExtractor
from harray.extraction.faults import ExtractionError
from harray.extraction.reader import VideoReading
from harray.files import Place, place
from harray.networks.backends import choose_runtimes
from harray.reporting import SILENT, Update, ignore
from harray.schema import EXTRACTED, LEDGER, QUARANTINED
from harray.store.feature_store import FeatureStore
from harray.store.settings import FILE_NAME
from harray.videos.files import stamps_of

PROBED = 4  # videos; the first warms up and is not timed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What `harray extract` would do.

    Attributes:
        todo: inputs that would be read.
        probe_sec: seconds per video in this process with the threads of one actor; None where no probe could be
            made: nothing to do, too few videos that can be read, or GPUs that are elsewhere.
        expected_sec: of extraction once the actors run; None as `probe_sec`.
    """

    inputs: int
    extracted: int
    quarantined: int
    todo: int
    pool: Pool
    backend: str  # of the pose network
    precision: str  # of the same
    probe_sec: float | None
    expected_sec: float | None


def estimate(
    manifest: pa.Table,
    config: ExtractionConfig,
    store_path: Place | str,
    num_actors: int | None = None,
    retry: bool = False,
    update: Update = ignore,
) -> Estimate:
    """Plan an extraction, probe it, write nothing.

    Args:
        update: told of videos tried, and how many there are to try.

    Raises:
        InputError: as `extract`, of weights, store and cluster.
    """
    check_weights(config)
    with start_ray():
        config = settled(config, store_path, SILENT)
        settings = store_settings(config)
        ledger, clip_ids = LEDGER.empty_table(), set()
        if (place(store_path) / FILE_NAME).is_file():
            store = FeatureStore.open_or_create(store_path, settings)
            ledger, clip_ids = store.ledger(), store.clip_ids()
        plan = plan_extraction(manifest, ledger, clip_ids, stamps_of, retry)
        pool = pool_for(len(plan.todo) or 1, num_actors, config.poses.gpus_per_actor, "extraction")
    poses, digest = config.poses, settings.provenance.digest
    runtime, *_ = choose_runtimes(poses.backend, poses.precision, pool.device, "poses")
    probe_sec = probe(plan.todo["path"].to_pylist(), config, digest, pool, update)
    return Estimate(
        inputs=len(manifest),
        extracted=plan.kept.get(EXTRACTED, 0),
        quarantined=plan.kept.get(QUARANTINED, 0),
        todo=len(plan.todo),
        pool=pool,
        backend=runtime.backend,
        precision=runtime.precision,
        probe_sec=probe_sec,
        expected_sec=None if probe_sec is None else probe_sec * len(plan.todo) / pool.num_actors,
    )


def probe(
    paths: list[str],
    config: ExtractionConfig,
    settings: str,
    pool: Pool,
    update: Update = ignore,
) -> float | None:
    """Seconds per video, over some that are spread over the list; None where they cannot be had."""
    import torch

    if pool.device == "cuda" and not torch.cuda.is_available():
        return None
    use_threads(pool.num_threads)
    tried = paths[:: max(1, len(paths) // PROBED)][:PROBED]
    update(0, len(tried))
    extractor = ClipExtractor(config, pool.device, pool.num_threads)
    seconds = []
    for number, path in enumerate(tried):
        update(number, len(tried))
        started = time.monotonic()
        try:
            with contextlib.closing(
                VideoReading(path, config.videos, settings, lambda clip_id: False, needed_pictures(config))
            ) as reading:
                reading.identity()
                for clip in reading.clips():
                    extractor.extract_frames(clip.frames)
        except ExtractionError:
            continue
        seconds.append(time.monotonic() - started)
    timed = seconds[1:]
    return sum(timed) / len(timed) if timed else None
