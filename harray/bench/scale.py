"""What harray adds to an input of a large extraction, and whether that grows: everything but videos and networks.

Empty files go through listing, planning, Ray Data, shards, ledger and reading, with an extractor that answers random
keypoints at once. Every size has processes of its own, so that the peak of memory is its own.

    list      a manifest.csv -> manifest
    plan      open a new store, decide what is to be done
    start     Ray and its actors, up to the first outcome; the same for any number of inputs, and left out of sums
    run       Ray Data -> shards and ledger -> outcomes, to the end
    again     the same extraction once more, in a new process: open, list clips, plan, nothing to do
    info      `harray store info`, in a new process
    read      all keypoints with labels
"""

import contextlib
import csv
import dataclasses
import hashlib
import math
import resource
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harray.bench.processes import equal_priority, new_process
from harray.distributed.extraction import Actors, extract
from harray.distributed.extraction_worker import ExtractionWorker
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import ClipFeatures, keypoints_shape
from harray.extraction.reader import ClipFrames, Identity
from harray.poses.config import EMBEDDED, PosesConfig
from harray.reporting import Reporter, Update
from harray.scenes.config import NONE, ScenesConfig
from harray.store import FeatureStore
from harray.videos.config import VideosConfig
from harray.videos.files import stamp_of
from harray.videos.sources import list_videos

SMALLEST = 1_000
REFERENCE = 10_000  # whose overhead per input the largest one's is compared with
COUNTED = (
    "list",
    "plan",
    "run",
    "info",
    "read",
)  # seconds that an input costs; once more and the start do not count
SHOWN = ("list", "plan", "start", "run", "again", "info", "read")
NUM_CLASSES, NUM_GROUPS, FILES_IN_FOLDER = 50, 200, 1_000
MB = 1 << 20

# A clip of one person and two frames: small, since it is the number of clips that matters here.
CONFIG = ExtractionConfig(
    videos=VideosConfig(num_frames=2),
    poses=PosesConfig(weights=EMBEDDED, max_people=1),
    scenes=ScenesConfig(weights=NONE),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScalePoint:
    """One size.

    Attributes:
        seconds: stage -> seconds, by the names above.
        driver_mb: peak memory of the processes that drive, not of Ray's actors.
        actor_mb: of the actor that had most.
        disk_mb: of the store.
        num_files: of the store.
    """

    num_inputs: int
    seconds: dict[str, float]
    driver_mb: float
    actor_mb: float
    disk_mb: float
    num_files: int

    @property
    def overhead_ms(self) -> float:
        """Milliseconds of this machine for an input."""
        return 1000 * sum(self.seconds[stage] for stage in COUNTED) / self.num_inputs

    def line(self) -> str:
        """What it needs, in words."""
        stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        return (
            f"{self.num_inputs:,} inputs would take: {stages}; driver {self.driver_mb / 1024:.1f} GB, actor "
            f"{self.actor_mb / 1024:.1f} GB, store {self.disk_mb / 1024:.1f} GB in {self.num_files:,} files"
        )

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "overhead_ms": self.overhead_ms}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleBench:
    """The curve, from the smallest number of inputs to the largest."""

    points: list[ScalePoint]

    def ratio(self, point: ScalePoint) -> float:
        """The overhead of an input, as a multiple of that at `REFERENCE` inputs, or at the fewest."""
        known = {each.num_inputs: each for each in self.points}
        return point.overhead_ms / known.get(REFERENCE, self.points[0]).overhead_ms

    def ten_times(self) -> ScalePoint | None:
        """What ten times the largest number would need, on the straight line through the last two sizes."""
        if len(self.points) < 2:
            return None
        before, last = self.points[-2:]
        steps = 9 * last.num_inputs / (last.num_inputs - before.num_inputs)

        def extended(earlier: float, later: float) -> float:
            return later + max(0.0, later - earlier) * steps

        return ScalePoint(
            num_inputs=10 * last.num_inputs,
            seconds={stage: extended(before.seconds[stage], last.seconds[stage]) for stage in SHOWN},
            driver_mb=extended(before.driver_mb, last.driver_mb),
            actor_mb=extended(before.actor_mb, last.actor_mb),
            disk_mb=extended(before.disk_mb, last.disk_mb),
            num_files=round(extended(before.num_files, last.num_files)),
        )

    def to_json(self) -> dict[str, Any]:
        ten_times = self.ten_times()
        return {
            "points": [{**point.to_json(), "ratio": self.ratio(point)} for point in self.points],
            "ten_times": None if ten_times is None else ten_times.to_json(),
        }


def sizes_up_to(largest: int) -> list[int]:
    """Powers of ten from `SMALLEST`, and the largest itself.

    >>> sizes_up_to(20_000)
    [1000, 10000, 20000]
    """
    powers = [10**power for power in range(round(math.log10(SMALLEST)), 1 + int(math.log10(largest)))]
    return sorted({*powers, largest})


def bench_scale(sizes: Sequence[int], update: Update) -> ScaleBench:
    """Measure every size, the smallest first."""
    points = []
    for number, num_inputs in enumerate(sizes):
        update(number, len(sizes), f"{num_inputs:,} inputs")
        with _inputs(num_inputs) as folder, equal_priority():
            with new_process() as writer:
                written = writer.submit(_write, folder).result()
            with new_process() as reader:
                read = reader.submit(_read, folder).result()
            files = [file for file in (folder / "store").rglob("*") if file.is_file()]
            points.append(
                ScalePoint(
                    num_inputs=num_inputs,
                    seconds={**written.seconds, **read.seconds},
                    driver_mb=max(written.driver_mb, read.driver_mb),
                    actor_mb=written.actor_mb,
                    disk_mb=sum(file.stat().st_size for file in files) / MB,
                    num_files=len(files),
                )
            )
    update(len(sizes), len(sizes))
    return ScaleBench(points=points)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Measured:
    seconds: dict[str, float]
    driver_mb: float
    actor_mb: float = 0.0


def _write(folder: Path) -> _Measured:
    """List, plan, start and run."""
    started = time.perf_counter()
    manifest = list_videos(folder / "manifest.csv")
    listed = time.perf_counter()
    moments = _Moments()
    summary = extract(
        manifest,
        CONFIG,
        folder / "store",
        on_outcomes=lambda outcomes: moments.pass_by("started"),
        reporter=moments,
        actors=ACTORS,
    )
    ended = time.perf_counter()
    assert summary.extracted == len(manifest), summary
    planned, running = (moments.at[name] for name in ("planned", "started"))
    seconds = {
        "list": listed - started,
        "plan": planned - listed,
        "start": running - planned,
        "run": ended - running,
    }
    return _Measured(seconds=seconds, driver_mb=_peak_mb(), actor_mb=summary.worker_peak_mb)


def _read(folder: Path) -> _Measured:
    """Ask for the store's info, extract again, read all."""
    started = time.perf_counter()
    FeatureStore.open(folder / "store").info()
    informed = time.perf_counter()
    manifest = list_videos(folder / "manifest.csv")
    listed = time.perf_counter()
    extract(manifest, CONFIG, folder / "store", actors=ACTORS)
    done = time.perf_counter()
    num_clips = len(FeatureStore.open(folder / "store").read(columns=["keypoints"]))
    ended = time.perf_counter()
    assert num_clips == len(manifest), num_clips
    seconds = {"info": informed - started, "again": done - listed, "read": ended - done}
    return _Measured(seconds=seconds, driver_mb=_peak_mb())


class _Moments(Reporter):
    """When planning ended, which is when progress is first told, and what else passes by for the first time."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def pass_by(self, name: str) -> None:
        self.at.setdefault(name, time.perf_counter())

    @contextlib.contextmanager
    def progress(self, title: str, unit: str) -> Generator[Update]:
        yield lambda done, total, note="": self.pass_by("planned")


class DoNothing(ExtractionWorker):
    """Extracts nothing: no file is opened, no network runs."""

    def _networks(self, config: ExtractionConfig, device: str, num_threads: int) -> Any:
        return _RandomFeatures(config)

    def _reading(self, path: str) -> Any:
        return _NoReading(path)


class _NoReading:
    """Stands for a video of one clip; its identity is its name's."""

    def __init__(self, path: str):
        self.path = path

    def identity(self) -> Identity:
        clip_id = hashlib.blake2b(self.path.encode(), digest_size=12).hexdigest()
        return Identity(stamp=stamp_of(self.path), clip_id=clip_id, attempts=1)

    def clips(self) -> Iterator[ClipFrames]:
        yield ClipFrames(frames=None, is_last=True)  # ty: ignore[invalid-argument-type]

    def close(self) -> None:
        pass


class _RandomFeatures:
    """Answers random keypoints at once."""

    def __init__(self, config: ExtractionConfig):
        self.shape_PTKC1 = keypoints_shape(config)
        self.random = np.random.default_rng()

    def extract_frames(self, frames: object) -> ClipFeatures:
        num_frames = self.shape_PTKC1[1]
        return ClipFeatures(
            frame_index_T=np.arange(num_frames, dtype=np.int32),
            frame_sec_T=np.arange(num_frames) / 25,
            height_px=240,
            width_px=320,
            keypoints_PTKC1=self.random.random(self.shape_PTKC1, dtype=np.float32),
            scene_tokens_FSD=None,
        )


ACTORS = Actors(worker=DoNothing)


@contextlib.contextmanager
def _inputs(num_inputs: int) -> Generator[Path]:
    """A folder of so many empty files with a manifest.csv; gone afterwards, with the store in it."""
    folder = Path(tempfile.mkdtemp(prefix="harray-scale-"))
    try:
        with open(folder / "manifest.csv", "w", newline="") as stream:
            lines = csv.writer(stream)
            lines.writerow(["path", "label", "group", "split"])
            for number in range(num_inputs):
                name = f"{number // FILES_IN_FOLDER:04d}/{number:08d}.mp4"
                if number % FILES_IN_FOLDER == 0:
                    (folder / name).parent.mkdir()
                (folder / name).touch()
                group = number % NUM_GROUPS
                split = "test" if group % 10 == 0 else "train"
                lines.writerow([name, f"action {number % NUM_CLASSES}", f"actor {group}", split])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
