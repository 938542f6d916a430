"""How fast extraction is: beside a notebook's loop, beside ultralytics in batches, and beside what the hardware gives.

One round measures all on the same part of the clips, one after the other, so that whatever else the machine does
falls on all of them; the next round takes the next part.

    notebook             one process: decode all, then `predict` frame by frame
    ultralytics_batched  one process: decode all, then one `predict` for the clip's frames
    harray               extraction over Ray into a fresh store, while all its actors are at work
    harray_whole         the same with the start of the actors and with the last of them alone
    harray_one_core      as harray, on one core
    forward_limit        the networks' passes alone, in as many processes and threads as harray has
"""

import dataclasses
import functools
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import pyarrow as pa

from harray.bench.processes import equal_priority, new_process
from harray.bench.workers import BATCHED, NOTEBOOK, baseline_seconds, forward_seconds
from harray.distributed.extraction import ExtractionSummary, Pool, choose_pool, extract
from harray.distributed.resources import cluster_resources, start_ray
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import with_settled_precisions
from harray.networks.backends import choose_runtimes
from harray.reporting import Update, ignore
from harray.videos.frames import VideoError, read_frames

HARRAY, WHOLE, ONE_CORE, LIMIT = "harray", "harray_whole", "harray_one_core", "forward_limit"
RATIOS = (NOTEBOOK, BATCHED, LIMIT, ONE_CORE)  # what harray's rate is divided by


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractionBench:
    """What was measured.

    Attributes:
        backend, precision: of the pose network, the same for harray and the passes alone.
        measured: way -> clips/s of every round; a round without a rate (too few clips) is not in it.
        peak_mb: "driver" and "actor" -> resident memory, MB.
    """

    num_clips: int
    num_frames: int
    backend: str
    precision: str
    pool: Pool
    measured: dict[str, list[float]]
    peak_mb: dict[str, float]

    @property
    def clips_per_sec(self) -> dict[str, float]:
        """The median of each way's rounds."""
        return {way: statistics.median(rates) for way, rates in self.measured.items() if rates}

    @property
    def spread(self) -> dict[str, float]:
        """(fastest - slowest round) / median."""
        return {
            way: (max(self.measured[way]) - min(self.measured[way])) / median
            for way, median in self.clips_per_sec.items()
        }

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as fast harray is as each of `RATIOS`, by medians."""
        rates = self.clips_per_sec
        return {
            f"harray/{way}": rates[HARRAY] / rates[way] for way in RATIOS if {HARRAY, way} <= rates.keys()
        }

    def to_json(self) -> dict[str, Any]:
        derived = {"clips_per_sec": self.clips_per_sec, "spread": self.spread, "ratios": self.ratios}
        return {**dataclasses.asdict(self), **derived}


def bench_extraction(
    manifest: pa.Table,
    config: ExtractionConfig,
    rounds: int = 1,
    update: Update = ignore,
) -> ExtractionBench:
    """Measure.

    Args:
        manifest: of `schema.MANIFEST`; videos that cannot be read are left out.
        rounds: the clips are dealt into so many parts.
        update: told of steps done, steps in all, and what comes next.

    Raises:
        InputError: fewer clips than rounds, or as `extract`.
    """
    frames_hw = _frame_sizes(manifest)
    if len(frames_hw) < rounds:
        raise InputError(
            f"{len(frames_hw)} of {len(manifest)} videos can be read, expected at least one for each of {rounds} rounds"
        )
    with start_ray():
        pool = choose_pool(cluster_resources(), len(frames_hw), config.poses.gpus_per_actor)
        config = with_settled_precisions(config, pool.device, on_message=lambda message: None)
    with ExitStack() as stack:
        baseline, *limit = [stack.enter_context(new_process()) for _ in range(1 + pool.num_actors)]
        bench = _Rounds(config, pool, baseline, limit)
        for index in range(rounds):
            part = dict(list(frames_hw.items())[index::rounds])
            for number, (way, measure) in enumerate(bench.ways.items()):
                update(index * len(bench.ways) + number, rounds * len(bench.ways), way)
                measure(manifest, part)
    poses = config.poses
    runtime, *_ = choose_runtimes(poses.backend, poses.precision, pool.device, "poses")
    return ExtractionBench(
        num_clips=len(frames_hw),
        num_frames=config.videos.num_frames,
        backend=runtime.backend,
        precision=runtime.precision,
        pool=pool,
        measured=dict(bench.measured),
        peak_mb=bench.peak_mb,
    )


Sizes = dict[str, tuple[int, int]]  # path -> height and width of its frames, px


class _Rounds:
    """The ways, each measured on a part of the clips, and what they gave so far."""

    def __init__(
        self,
        config: ExtractionConfig,
        pool: Pool,
        baseline: ProcessPoolExecutor,
        limit: list[ProcessPoolExecutor],
    ):
        self.config = config
        self.pool = pool
        self.baseline = baseline
        self.limit = limit
        self.measured: defaultdict[str, list[float]] = defaultdict(list)
        self.peak_mb = {"driver": 0.0, "actor": 0.0}
        self.ways = {
            NOTEBOOK: functools.partial(self._baseline, NOTEBOOK),
            BATCHED: functools.partial(self._baseline, BATCHED),
            HARRAY: self._harray,
            LIMIT: self._limit,
            ONE_CORE: self._one_core,
        }

    def _baseline(self, way: str, manifest: pa.Table, part: Sizes) -> None:
        seconds = self.baseline.submit(baseline_seconds, way, self.config, list(part)).result()
        self.measured[way].append(len(part) / seconds)

    def _harray(self, manifest: pa.Table, part: Sizes) -> None:
        with equal_priority(), start_ray():
            finished, summary = self._extract(manifest, part)
        self.measured[WHOLE].append(len(part) / summary.seconds)
        self.measured[HARRAY] += steady_rate(finished)
        self.peak_mb["driver"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.peak_mb["actor"] = max(self.peak_mb["actor"], summary.worker_peak_mb)

    def _one_core(self, manifest: pa.Table, part: Sizes) -> None:
        with equal_priority(), start_ray(num_cpus=1) as ray:
            if ray.is_local and self.pool.device == "cpu":  # a cluster that was there has the cores it has
                self.measured[ONE_CORE] += steady_rate(self._extract(manifest, part)[0])

    def _extract(self, manifest: pa.Table, part: Sizes) -> tuple[list["Finished"], ExtractionSummary]:
        rows = manifest.filter(pa.array([path in part for path in manifest["path"].to_pylist()]))
        finished: list[Finished] = []

        def note(outcomes: pa.Table) -> None:
            clips = sum(outcomes["computed"].to_pylist())
            finished.append(Finished(outcomes["worker"][0].as_py(), time.perf_counter(), clips))

        with tempfile.TemporaryDirectory() as folder:
            summary = extract(rows, self.config, f"{folder}/store", on_outcomes=note)
        if summary.computed < len(rows):
            raise InputError(
                f"{summary.quarantined} videos were quarantined and {summary.computed} of {len(rows)} computed; "
                "measure with videos that can be read and are not copies of each other"
            )
        return finished, summary

    def _limit(self, manifest: pa.Table, part: Sizes) -> None:
        threads, device = self.pool.num_threads, self.pool.device
        count = len(self.limit)
        hands = [list(part.values())[i::count] for i in range(count)]
        running = [
            process.submit(forward_seconds, self.config, device, threads, hand)
            for process, hand in zip(self.limit, hands, strict=True)
        ]
        rates = [len(hand) / run.result() for hand, run in zip(hands, running, strict=True) if hand]
        self.measured[LIMIT].append(sum(rates))


class Finished(NamedTuple):
    """A batch that an actor finished."""

    worker: str
    end_sec: float
    num_clips: int


def steady_rate(finished: list[Finished]) -> list[float]:
    """Clips/s while all actors are at work: the sum of every actor's own rate.

    An actor's clock runs from the end of its first batch to the end of the last one that it finished before the
    first of the actors was done. Empty where an actor has no batch in that time.
    """
    ends: defaultdict[str, list[Finished]] = defaultdict(list)
    for batch in finished:
        ends[batch.worker].append(batch)
    first_done_sec = min((batches[-1].end_sec for batches in ends.values()), default=0.0)
    rates = []
    for first, *later in ends.values():
        counted = [batch for batch in later if batch.end_sec <= first_done_sec]
        if not counted:
            return []
        rates.append(sum(batch.num_clips for batch in counted) / (counted[-1].end_sec - first.end_sec))
    return [sum(rates)] if rates else []


def _frame_sizes(manifest: pa.Table) -> Sizes:
    """Of the videos that can be read."""
    sizes: Sizes = {}
    for path in manifest["path"].to_pylist():
        with suppress(VideoError):
            frames = read_frames(path, 1)
            sizes[path] = frames.height_px, frames.width_px
    return sizes
