"""How long an epoch of training takes: beside the bare loop, over Ray Train, and beside per-sample augmentation.

Every round measures all ways, one after the other, so that whatever else the machine does falls on all of them.

    in_process            as `harray train`, one thread
    bare                  forward, losses, backward and step alone, on batches that lie ready: the limit
    ray_1, ray_2          Ray Train with one worker and with two, from the first epoch's end to the last's
    ray_1_2_threads       Ray Train with one worker of two threads
    small                 the recipe skeleton_small in one process, one thread, on all training clips
    small_2_threads       the same with two
    numpy_augmentation    the same clips, augmented by numpy one after another, and nothing else
"""

import dataclasses
import functools
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harray.bench.processes import equal_priority, new_process
from harray.bench.training_ways import (
    EpochClock,
    Taken,
    bare_seconds,
    harray_seconds,
    sample_loop_seconds,
)
from harray.config import with_overrides
from harray.distributed.training_demand import cluster_for
from harray.experiment import ExperimentConfig
from harray.files import Place, place
from harray.recipes import skeleton_small
from harray.reporting import Update, ignore
from harray.store import FeatureStore
from harray.training.loop import EpochReport
from harray.training.run import TrainingRequest, new_network, training_clips

IN_PROCESS, BARE = "in_process", "bare"
RAY_1, RAY_1_TWO_THREADS, RAY_2 = "ray_1", "ray_1_2_threads", "ray_2"
SMALL, SMALL_TWO_THREADS, NUMPY = "small", "small_2_threads", "numpy_augmentation"
RATIOS = (  # how many times as long the first takes as the second
    (IN_PROCESS, BARE),
    (RAY_1, IN_PROCESS),
    (RAY_2, RAY_1_TWO_THREADS),
    (SMALL, NUMPY),
    (SMALL_TWO_THREADS, NUMPY),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingBench:
    """What was measured.

    Attributes:
        num_clips: way -> clips that an epoch trains on; validation clips come on top, except in `bare`.
        measured: way -> seconds of an epoch in every round.
        peak_mb: way -> resident memory of its process, or of its largest worker, MB.
    """

    num_clips: dict[str, int]
    num_parameters: dict[str, int]
    measured: dict[str, list[float]]
    peak_mb: dict[str, float]

    @property
    def epoch_sec(self) -> dict[str, float]:
        """The median of each way's rounds."""
        return {way: statistics.median(seconds) for way, seconds in self.measured.items()}

    @property
    def samples_per_sec(self) -> dict[str, float]:
        return {way: self.num_clips[way] / seconds for way, seconds in self.epoch_sec.items()}

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as long an epoch takes, by medians."""
        seconds = self.epoch_sec
        return {f"{way}/{other}": seconds[way] / seconds[other] for way, other in RATIOS}

    def to_json(self) -> dict[str, Any]:
        derived = {
            "epoch_sec": self.epoch_sec,
            "samples_per_sec": self.samples_per_sec,
            "ratios": self.ratios,
        }
        return {**dataclasses.asdict(self), **derived}


def bench_training(
    store: str | Place,
    experiment: ExperimentConfig,
    rounds: int = 2,
    num_epochs: int = 3,
    update: Update = ignore,
) -> TrainingBench:
    """Measure.

    Args:
        num_epochs: counted in each round, after one that warms up.
        update: told of steps done, steps in all, and what comes next.

    Raises:
        InputError: a store that cannot be trained on.
    """
    request = timed_request(store, experiment, num_epochs)
    small = timed_request(store, skeleton_small(), num_epochs, val_share=0.0)
    with ExitStack() as stack:
        ways: dict[str, Callable[[], Taken]] = {}
        for way, measure, wanted, num_threads in (
            (IN_PROCESS, harray_seconds, request, 1),
            (BARE, bare_seconds, request, 1),
            (SMALL, harray_seconds, small, 1),
            (SMALL_TWO_THREADS, harray_seconds, small, 2),
            (NUMPY, sample_loop_seconds, small, 1),
        ):
            process = stack.enter_context(new_process())
            ways[way] = functools.partial(_elsewhere, process, measure, _with_threads(wanted, num_threads))
        ways[RAY_1] = functools.partial(_ray_seconds, _with_threads(request, 1), 1)
        ways[RAY_1_TWO_THREADS] = functools.partial(_ray_seconds, _with_threads(request, 2), 1)
        ways[RAY_2] = functools.partial(_ray_seconds, _with_threads(request, 1), 2)
        measured: defaultdict[str, list[float]] = defaultdict(list)
        peak_mb: defaultdict[str, float] = defaultdict(float)
        for index in range(rounds):
            for number, (way, measure) in enumerate(ways.items()):
                update(index * len(ways) + number, rounds * len(ways), way)
                seconds, peak = measure()
                measured[way].append(seconds)
                peak_mb[way] = max(peak_mb[way], peak)
    sizes = {name: _sizes(wanted) for name, wanted in (("small", small), ("recipe", request))}
    of_small = {SMALL, SMALL_TWO_THREADS, NUMPY}
    return TrainingBench(
        num_clips={way: sizes["small" if way in of_small else "recipe"][0] for way in ways},
        num_parameters={name: parameters for name, (_, parameters) in sizes.items()},
        measured=dict(measured),
        peak_mb=dict(peak_mb),
    )


def timed_request(
    store: str | Place, experiment: ExperimentConfig, num_epochs: int, **changes: float
) -> TrainingRequest:
    training = dataclasses.replace(
        experiment.training,
        num_epochs=num_epochs + 1,
        epoch_clips=1,  # every clip once, as in the bare loop
        patience=0,
        device="cpu",
        **changes,
    )
    return TrainingRequest(
        store=place(store).absolute(),
        out=Path("model"),
        learning=dataclasses.replace(experiment.learning, training=training),
    )


def _with_threads(request: TrainingRequest, num_threads: int) -> TrainingRequest:
    return with_overrides(request, {"learning.training.num_threads": num_threads})


def _elsewhere(
    process: ProcessPoolExecutor, measure: Callable[[TrainingRequest], Taken], request: TrainingRequest
) -> Taken:
    return process.submit(measure, request).result()


def _ray_seconds(request: TrainingRequest, num_workers: int) -> Taken:
    clock, peaks = EpochClock(), [0.0]

    def on_epoch(report: EpochReport) -> None:
        clock.tick()
        peaks.append(_worker_peak_mb())

    with equal_priority(), cluster_for(num_workers, "cpu"), tempfile.TemporaryDirectory() as folder:
        from harray.distributed.training import train_on_ray

        train_on_ray(dataclasses.replace(request, out=Path(folder, "model")), num_workers, on_epoch)
    return clock.seconds, max(peaks)


def _worker_peak_mb() -> float:
    """Of the largest Ray Train worker on this machine, by Linux's own mark; 0 elsewhere."""
    peaks = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "RayTrainWorker" in (process / "cmdline").read_text():
                lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
                peaks.append(int(lines["VmHWM"].split()[0]) / 1024)
        except (OSError, KeyError):
            continue  # it has just ended
    return max(peaks)


def _sizes(request: TrainingRequest) -> tuple[int, int]:
    """Training clips, and the network's parameters."""
    clips = training_clips(request.learning, FeatureStore.open(request.store))[0]
    return len(clips), sum(value.numel() for value in new_network(request.learning, clips).parameters())
