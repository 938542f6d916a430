"""Ray Train around the training loop: workers, checkpoints, and going on after a worker died.

    driver: TrainingRequest -> TorchTrainer -> N workers, each `fit` on its share of the store
    worker 0 keeps the state every `training.state_sec`; the last checkpoint also holds the model
    driver: copies the model out of the last checkpoint, so no worker needs to reach the output folder

Every worker reports equally often, as Ray Train demands; only worker 0's reports carry files.
"""

import dataclasses
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.train import (
    Checkpoint,
    CheckpointConfig,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    UserCallback,
    get_checkpoint,
    get_context,
    report,
)
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from harray.distributed.resources import cluster_resources, gpus_for
from harray.errors import InputError
from harray.files import Place, remote_of
from harray.metrics import Scores
from harray.training.checkpoint import save_checkpoint
from harray.training.divergence import Diverged
from harray.training.loop import EpochReport, report_from
from harray.training.run import TrainingRequest, TrainingResult, fit, result_of
from harray.training.state import load_state, save_state
from harray.videos.files import is_uri, remote

LISTED_FILE = "checkpoint_manager_snapshot.json"  # Ray Train's list of a run's checkpoints
STATE_FILE, MODEL_FOLDER, RESULT_FILE, DIVERGED_FILE = "state.pt", "model", "result.json", "diverged"


def train_on_ray(
    request: TrainingRequest,
    num_workers: int,
    on_epoch: Callable[[EpochReport], None] | None = None,
    *,
    storage: Place | str | None = None,
    gpus_per_worker: float | None = None,
    max_failures: int = 3,
    min_workers: int | None = None,
) -> TrainingResult:
    """Train on `num_workers` workers of a running cluster that holds them (`cluster_for`); the result is that of
    `train_store` with this seed.

    It is so on any number of workers, also where that changes on the way.

    Args:
        on_epoch: called in this process, in a thread of its own, once per epoch.
        storage: where Ray keeps this run's checkpoints, as of `ray_storage`. What was interrupted there is gone on
            with, and what was finished is not done again, until `remove_storage`.
        gpus_per_worker: None for one each where the cluster has so many and `training.device` allows it, else 0.
        max_failures: how many times dead workers are replaced before giving up.
        min_workers: with so few it goes on when nodes are lost, until others come; None waits for all.

    Raises:
        InputError: a store that cannot be trained on.
        Diverged: the loss is no longer a number.
    """
    started = time.perf_counter()
    request = dataclasses.replace(request, store=request.store.absolute(), out=request.out.absolute())
    storage = ray_storage(request, storage)
    if gpus_per_worker is None:
        gpus_per_worker = gpus_for(request.learning.training.device, num_workers, cluster_resources())
    name = run_name(request, num_workers)
    rescued = None if is_uri(storage) else rescued_state(Path(storage, name), request.digest)
    with _epochs_reported(on_epoch) as log:
        trainer = TorchTrainer(
            _work,
            train_loop_config={"request": request, "state": rescued},
            torch_config=TorchConfig(backend="nccl" if gpus_per_worker else "gloo"),
            scaling_config=_scaling(min_workers or num_workers, num_workers, gpus_per_worker),
            run_config=_run_config(name, storage, max_failures, _EpochLog(log)),
        )
        result = trainer.fit()
    if result.checkpoint is None:
        raise RuntimeError(f"Ray Train ended without a checkpoint under {storage}")
    with result.checkpoint.as_directory() as folder:
        if Path(folder, DIVERGED_FILE).exists():
            reason = Path(folder, DIVERGED_FILE).read_text()
            remove_storage(storage)  # Ray Train would take it for a training that is over
            raise Diverged(reason)
        shutil.copytree(Path(folder, MODEL_FOLDER), request.out, dirs_exist_ok=True)
        values = json.loads(Path(folder, RESULT_FILE).read_text())
    return TrainingResult(
        checkpoint=request.out,
        val=None if values["val"] is None else Scores(**values["val"]),
        train_sec=time.perf_counter() - started,
        num_epochs=values["num_epochs"],
        best_epoch=values["best_epoch"],
        history=[report_from(value) for value in values["history"]],
        decisions=values["decisions"],
    )


def ray_storage(request: TrainingRequest, storage: Place | str | None = None) -> str:
    """A folder of this training alone, or a URI, that all nodes reach; by default `request.out` with `.ray` added."""
    return f"{remote_of(request.out.absolute())}.ray" if storage is None else str(storage)


def remove_storage(storage: str) -> None:
    """Remove what `train_on_ray` kept there, when the result is where it belongs."""
    if not is_uri(storage):
        shutil.rmtree(storage)
        return
    filesystem, inner = remote(storage)
    filesystem.delete_dir(inner)


def rescued_state(run: Path, fingerprint: str) -> Path | None:
    """The newest state of a run whose controller was killed while it wrote down which one that is; None otherwise.

    What it left half-written is removed: Ray Train would not start on it. On a bucket nothing is half-written.
    """
    listed = run / LISTED_FILE
    if not listed.exists():
        return None
    try:
        json.loads(listed.read_bytes())
        return None
    except ValueError:
        listed.unlink()
    for file in sorted(run.glob(f"checkpoint_*/{STATE_FILE}"), reverse=True):
        try:
            load_state(file, fingerprint)
        except InputError:  # half-written itself
            continue
        return file
    return None


def run_name(request: TrainingRequest, num_workers: int) -> str:
    """A name of its own for every outcome: Ray Train silently goes on with a run of the same name."""
    return f"train-{request.digest}-{num_workers}"


def _scaling(min_workers: int, num_workers: int, gpus_per_worker: float) -> Any:
    per_worker = {"CPU": 1.0} | ({"GPU": gpus_per_worker} if gpus_per_worker else {})
    workers: Any = num_workers if min_workers == num_workers else (min_workers, num_workers)
    return ScalingConfig(num_workers=workers, use_gpu=gpus_per_worker > 0, resources_per_worker=per_worker)


def _run_config(name: str, storage: str, max_failures: int, log: "_EpochLog") -> Any:
    failures: Any = FailureConfig(max_failures=max_failures)
    checkpoints: Any = CheckpointConfig(num_to_keep=1)
    callbacks: Any = [log]
    return RunConfig(
        name=name,
        storage_path=storage,
        failure_config=failures,
        checkpoint_config=checkpoints,
        callbacks=callbacks,
    )


def _work(config: dict[str, Any]) -> None:
    """One worker's part, from the beginning or from the last state."""
    request: TrainingRequest = config["request"]
    leads = get_context().get_world_rank() == 0
    fingerprint, state, last = request.digest, None, get_checkpoint()
    if last is not None:
        with last.as_directory() as folder:
            state = load_state(Path(folder, STATE_FILE), fingerprint)
    elif config["state"]:
        state = load_state(config["state"], fingerprint)
    started = saved = time.perf_counter()

    def keep(state: dict[str, Any], epoch: EpochReport) -> None:
        nonlocal saved
        due = leads and time.perf_counter() - saved >= request.learning.training.state_sec
        with _files(due) as folder:
            if due:
                save_state(state, folder / STATE_FILE, fingerprint)
                saved = time.perf_counter()
            report({"epoch": dataclasses.asdict(epoch)}, checkpoint=Checkpoint(folder) if due else None)

    try:
        fitted = fit(request, get_device(), on_state=keep, state=state)
    except Diverged as error:  # on all workers at once; reported, not raised: Ray Train would try it again
        with _files(leads) as folder:
            if leads:
                (folder / DIVERGED_FILE).write_text(str(error))
            report({}, checkpoint=Checkpoint(folder) if leads else None)
        return
    with _files(leads) as folder:
        if leads:
            save_checkpoint(fitted.checkpoint, folder / MODEL_FOLDER, request.experiment_yaml)
            save_state(fitted.trainer.state(), folder / STATE_FILE, fingerprint)
            outcome = dataclasses.asdict(
                result_of(fitted.trainer, Path(MODEL_FOLDER), time.perf_counter() - started)
            )
            (folder / RESULT_FILE).write_text(json.dumps(outcome, default=str))
        report({}, checkpoint=Checkpoint(folder) if leads else None)


@contextmanager
def _files(wanted: bool) -> Generator[Path]:
    """A folder for a checkpoint's files, gone afterwards: Ray copies it while it reports."""
    if not wanted:
        yield Path()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


class _EpochLog(UserCallback):
    """Writes epoch reports to a file of the driver's machine, where Ray's controller runs too."""

    def __init__(self, log: Path):
        self.log = log

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        if "epoch" in metrics[0]:
            with self.log.open("a") as file:
                file.write(json.dumps(metrics[0]["epoch"]) + "\n")


@contextmanager
def _epochs_reported(on_epoch: Callable[[EpochReport], None] | None) -> Generator[Path]:
    """A file to log epochs to, each of which is reported once; epochs repeated after a failure are not."""
    with tempfile.TemporaryDirectory() as folder:
        log, done = Path(folder, "epochs.jsonl"), threading.Event()
        log.touch()
        thread = threading.Thread(target=_follow, args=(log, on_epoch or (lambda _: None), done), daemon=True)
        thread.start()
        try:
            yield log
        finally:
            done.set()
            thread.join()


def _follow(log: Path, on_epoch: Callable[[EpochReport], None], done: threading.Event) -> None:
    """Report logged epochs until `done`; an error of the listener ends the reports, not the training."""
    num_reported = 0
    with log.open() as file:
        while True:
            ending = done.is_set()  # asked before reading: what is written until then is still reported
            for line in file.readlines():
                num_reported = _report_new(line, num_reported, on_epoch)
            if ending:
                return
            done.wait(0.2)


def _report_new(line: str, num_reported: int, on_epoch: Callable[[EpochReport], None]) -> int:
    epoch = report_from(json.loads(line))
    if epoch.epoch > num_reported:
        on_epoch(epoch)
    return max(num_reported, epoch.epoch)
