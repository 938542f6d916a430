"""One trial: a training that tells after each epoch and can go on from its state file, whoever was killed.

Every step yields plain values: `reports` of epochs, `seconds` of work so far, and at the end an `outcome`.
"""

import dataclasses
import queue
import statistics
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
from harray.experiment import ExperimentConfig
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, normalised
from harray.model.network import FusionNetwork
from harray.training.checkpoint import save_checkpoint
from harray.training.evaluate import predict_probabilities
from harray.training.loop import EpochReport, Trainer
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
from harray.tuning.settings import TrialPlan

STATE_FILE, CHECKPOINT_FOLDER, RAY_FOLDER = "state.pt", "checkpoint", "ray"
LATENCY_PASSES, WARM_UP_PASSES = 30, 5


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """What all trials of a sweep share."""

    folder: Path  # trials' folders; every node sees it
    store: Path
    base: ExperimentConfig
    origin: StoreOrigin
    measures_latency: bool = False
    num_workers: int = 0  # of Ray Train within a trial; 0 trains in the trial's own process
    gpus_per_worker: float = 0.0

    def request(self, plan: TrialPlan) -> TrainingRequest:
        config = with_overrides(self.base, plan.overrides)
        return TrainingRequest(
            store=self.store,
            out=self.folder_of(plan.number) / CHECKPOINT_FOLDER,
            learning=config.learning,
        )

    def folder_of(self, number: int) -> Path:
        return self.folder / f"{number:04d}"


def trial_steps(
    job: TrialJob, plan: TrialPlan, train: ClipTensors, val: ClipTensors, device: torch.device
) -> Iterator[dict[str, Any]]:
    """Train in this process; the state is kept after each epoch, before it is told.

    Raises:
        Diverged: the loss is no longer a number.
    """
    started = time.perf_counter()
    request, state_file = job.request(plan), job.folder_of(plan.number) / STATE_FILE
    mark = digest([*parts_of(request.learning), to_dict(job.origin)])
    state = load_state(state_file, mark) if state_file.exists() else None
    with threads(request.learning.training.num_threads, device):
        trainer = new_trainer(request.learning, train, val, device)
        before = 0.0
        if state is not None:
            told = state["progress"]["history"]
            before = sum(report["seconds"] for report in told)
            yield {**_step(told, before, state["progress"]["best_epoch"]), "went_on_after": told[-1]["epoch"]}
        for report in trainer.epochs(state):
            save_state(trainer.state(), state_file, mark)
            seconds = before + time.perf_counter() - started
            yield _step([dataclasses.asdict(report)], seconds, trainer.progress.best_epoch)
        outcome = _outcome(job, request, trainer, train, val)
    seconds = before + time.perf_counter() - started
    yield {**_step([], seconds, trainer.progress.best_epoch, trainer.progress.epoch), "outcome": outcome}


def team_steps(job: TrialJob, plan: TrialPlan, val: ClipTensors) -> Iterator[dict[str, Any]]:
    """Train with Ray Train's workers; what was interrupted goes on from their last checkpoint."""
    from harray.distributed.training import train_on_ray

    started = time.perf_counter()
    request, told = job.request(plan), queue.SimpleQueue[EpochReport | TrainingResult | BaseException]()

    def work() -> None:
        try:
            storage = job.folder_of(plan.number) / RAY_FOLDER
            gpus = job.gpus_per_worker
            told.put(train_on_ray(request, job.num_workers, told.put, storage=storage, gpus_per_worker=gpus))
        except BaseException as error:  # raised again in the trial's thread
            told.put(error)

    threading.Thread(target=work, daemon=True).start()
    while not isinstance(said := told.get(), TrainingResult):
        if isinstance(said, BaseException):
            raise said
        yield _step([dataclasses.asdict(said)], time.perf_counter() - started, 0)
    from harray.training.checkpoint import load_checkpoint

    network = load_checkpoint(said.checkpoint).network
    outcome = {
        "val": said.val and dataclasses.asdict(said.val),
        "checkpoint": str(said.checkpoint),
        "latency_ms": latency_ms(network, request.learning.features, val) if job.measures_latency else None,
    }
    reports = [dataclasses.asdict(report) for report in said.history]
    seconds = time.perf_counter() - started
    yield {**_step(reports, seconds, said.best_epoch, said.num_epochs), "outcome": outcome}


def reason_of(error: BaseException) -> str:
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


def _step(
    reports: list[dict[str, Any]], seconds: float, best_epoch: int, num_epochs: int | None = None
) -> dict[str, Any]:
    num_epochs = reports[-1]["epoch"] if num_epochs is None else num_epochs
    return {"reports": reports, "seconds": seconds, "num_epochs": num_epochs, "best_epoch": best_epoch}


def _outcome(
    job: TrialJob, request: TrainingRequest, trainer: Trainer, train: ClipTensors, val: ClipTensors
) -> dict[str, Any]:
    network = trainer.chosen()
    scores = trainer.progress.history[trainer.progress.best_epoch - 1].val
    assert scores is not None, "a sweep has val clips"
    return {
        "val": dataclasses.asdict(scores),
        "checkpoint": str(
            save_checkpoint(checkpoint_of(network, request.learning, train, val, job.origin), request.out)
        ),
        "latency_ms": latency_ms(network, request.learning.features, val) if job.measures_latency else None,
    }
