"""One trial: a training that says after each epoch how it stands, and that goes on from its state file when whoever
ran it was killed."""

import dataclasses
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harray.config import digest, to_dict, with_overrides
from harray.errors import InputError
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, normalised
from harray.files import Place, place, remove_tree, send_tree
from harray.metrics import Scores
from harray.model.network import FusionNetwork
from harray.training.checkpoint import load_checkpoint, save_checkpoint
from harray.training.evaluate import predict_probabilities
from harray.training.loop import EpochReport, Trainer, report_from
from harray.training.run import (
    StoreOrigin,
    TrainingRequest,
    TrainingResult,
    checkpoint_of,
    new_trainer,
    parts_of,
    threads,
)
from harray.training.state import load_state, save_state
from harray.tuning.config import LATENCY, SweepConfig, TrialPlan

STATE_FILE, CHECKPOINT_FOLDER, RAY_FOLDER = "state.pt", "checkpoint", "ray"
LATENCY_PASSES, WARM_UP_PASSES = 30, 5


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """What all trials of a sweep share."""

    config: SweepConfig
    folder: Place
    """The trials' folders are in it; every node reaches it."""
    origin: StoreOrigin
    gpus_per_worker: float = 0.0
    """Or of the trial's own process, where it has no workers."""

    def folder_of(self, number: int) -> Place:
        """Where a trial keeps its state while it runs, and its checkpoint."""
        return self.folder / f"{number:04d}"


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """What a complete trial leaves."""

    val: Scores
    checkpoint: Place
    latency_ms: float
    """To recognise a clip; 0 where the sweep does not ask."""


@dataclass(frozen=True, kw_only=True)
class TrialStep:
    """What a trial says after an epoch, and when it ends."""

    reports: tuple[EpochReport, ...] = ()
    """Of the epochs since the last step; after an interruption, of all until then."""
    seconds: float = 0.0
    """Of the trial's work until now, also before an interruption."""
    best_epoch: int = 0
    resumed_after: int = 0
    """The epoch that an interrupted trial goes on after; 0 of other steps."""
    outcome: TrialOutcome | None = None
    """Of the last step of a trial that is complete."""
    failure: str = ""
    """Of the last step of a trial that failed: why, in a line."""

    @property
    def is_last(self) -> bool:
        return self.outcome is not None or bool(self.failure)


def request_of(job: TrialJob, plan: TrialPlan) -> TrainingRequest:
    """The training that a trial is; where the trials' folder is a bucket's, its checkpoint is made on this machine."""
    kept = job.folder_of(plan.number) / CHECKPOINT_FOLDER
    return TrainingRequest(
        store=place(job.config.store),
        out=kept if isinstance(kept, Path) else Path(tempfile.mkdtemp(prefix="harray-trial-")),
        learning=with_overrides(job.config.experiment, plan.overrides).learning,
    )


def trial_steps(
    job: TrialJob, plan: TrialPlan, train: ClipTensors, val: ClipTensors, device: torch.device
) -> Iterator[TrialStep]:
    """Train in this process; the state is on disk before an epoch is reported.

    Raises:
        Diverged: the loss is no longer a number.
    """
    started, before = time.perf_counter(), 0.0
    request, state_file = request_of(job, plan), job.folder_of(plan.number) / STATE_FILE
    mark, training = digest([*parts_of(request.learning), to_dict(job.origin)]), request.learning.training
    state = load_state(state_file, mark) if state_file.exists() else None
    with threads(training.num_threads, device):
        trainer = new_trainer(request.learning, train, val, device)
        if state is not None:
            reports = tuple(report_from(values) for values in state["progress"]["history"])
            before = sum(report.seconds for report in reports)
            yield TrialStep(
                reports=reports,
                seconds=before,
                best_epoch=state["progress"]["best_epoch"],
                resumed_after=reports[-1].epoch,
            )
        for report in trainer.epochs(state):
            save_state(trainer.state(), state_file, mark)
            seconds = before + time.perf_counter() - started
            yield TrialStep(reports=(report,), seconds=seconds, best_epoch=trainer.progress.best_epoch)
        outcome = _outcome(job, plan, request, trainer, train, val)
    seconds = before + time.perf_counter() - started
    yield TrialStep(seconds=seconds, best_epoch=trainer.progress.best_epoch, outcome=outcome)


def steps_on_workers(job: TrialJob, plan: TrialPlan, val: ClipTensors) -> Iterator[TrialStep]:
    """Train with Ray Train's workers; what was interrupted goes on from their last checkpoint."""
    from harray.distributed.training import train_on_ray

    started = time.perf_counter()
    request, told = request_of(job, plan), queue.SimpleQueue[EpochReport | TrainingResult | BaseException]()

    def work() -> None:
        try:
            storage, workers = job.folder_of(plan.number) / RAY_FOLDER, job.config.workers_per_trial
            gpus = job.gpus_per_worker
            told.put(train_on_ray(request, workers, told.put, storage=storage, gpus_per_worker=gpus))
        except BaseException as error:  # raised again in the trial's thread
            told.put(error)

    threading.Thread(target=work, daemon=True).start()
    while not isinstance(said := told.get(), TrainingResult):
        if isinstance(said, BaseException):
            raise said
        yield TrialStep(reports=(said,), seconds=time.perf_counter() - started)
    assert said.val is not None, "a sweep has val clips"
    network = load_checkpoint(said.checkpoint).network
    yield TrialStep(
        reports=tuple(said.history),
        seconds=time.perf_counter() - started,
        best_epoch=said.best_epoch,
        outcome=TrialOutcome(
            val=said.val,
            checkpoint=_kept(job, plan, request),
            latency_ms=_latency_ms(job, network, request, val),
        ),
    )


def failure_of(error: BaseException) -> str:
    """Why a trial failed, in a line."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, InputError):
        return text
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def latency_ms(network: FusionNetwork, features: FeaturesConfig, clips: ClipTensors) -> float:
    """Median time of recognising one clip whose features are there, in milliseconds."""
    one = normalised(clips.looked_at(features.keypoints).select([0]), features)
    times = []
    for _ in range(WARM_UP_PASSES + LATENCY_PASSES):
        started = time.perf_counter()
        predict_probabilities(network, one)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[WARM_UP_PASSES:])


def to_arrays(clips: ClipTensors) -> dict[str, Any]:
    """Clips for Ray's object store: arrays are mapped into every process of a node, tensors would be copied."""

    def array(x: Any) -> Any:
        if isinstance(x, ClipTensors):
            return to_arrays(x)  # a second kind of keypoints
        return x.numpy() if isinstance(x, torch.Tensor) else x

    return {field.name: array(getattr(clips, field.name)) for field in dataclasses.fields(clips)}


def from_arrays(fields: dict[str, Any]) -> ClipTensors:
    """The clips again, without a copy; nothing may write into them."""
    import warnings

    def tensor(x: Any) -> Any:
        if isinstance(x, dict):
            return from_arrays(x)
        return torch.from_numpy(x) if isinstance(x, np.ndarray) else x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch knows no read-only tensors, and says so
        return ClipTensors(**{name: tensor(x) for name, x in fields.items()})


def _kept(job: TrialJob, plan: TrialPlan, request: TrainingRequest) -> Place:
    """Where the trial's checkpoint is kept; it is there now."""
    kept = job.folder_of(plan.number) / CHECKPOINT_FOLDER
    if kept != request.out:
        send_tree(request.out, kept)
        remove_tree(request.out)
    return kept


def _outcome(
    job: TrialJob,
    plan: TrialPlan,
    request: TrainingRequest,
    trainer: Trainer,
    train: ClipTensors,
    val: ClipTensors,
) -> TrialOutcome:
    network = trainer.chosen()
    scores = trainer.progress.history[trainer.progress.best_epoch - 1].val
    assert scores is not None, "a sweep has val clips"
    checkpoint = checkpoint_of(network, request.learning, train, val, job.origin)
    save_checkpoint(checkpoint, request.out)
    return TrialOutcome(
        val=scores,
        checkpoint=_kept(job, plan, request),
        latency_ms=_latency_ms(job, network, request, val),
    )


def _latency_ms(job: TrialJob, network: FusionNetwork, request: TrainingRequest, val: ClipTensors) -> float:
    return latency_ms(network, request.learning.features, val) if job.config.objective == LATENCY else 0.0
