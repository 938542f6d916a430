"""Ray Tune around a sweep: warm actors that run one trial after another.

    Tuner -- suggest / result / complete --> _Bridge --> StudySweep (Optuna's study)
      |
      +--> TrialActor x at_once: features mapped from Ray's object store, `trial_steps` epoch by epoch

Tune places actors, keeps them between trials and replaces those that die. It remembers nothing: a killed driver's
successor starts a Tuner anew, and the study hands it what is left.
"""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from ray import tune
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from harray.features.tensors import ClipTensors
from harray.files import fetch, local_of, remove_tree
from harray.tuning.config import TrialPlan
from harray.tuning.trial import (
    RAY_FOLDER,
    STATE_FILE,
    TrialJob,
    TrialStep,
    failure_of,
    from_arrays,
    steps_on_workers,
    to_arrays,
    trial_steps,
)

if TYPE_CHECKING:
    from harray.tuning.sweep import StudySweep  # and with it Optuna, which workers do not need

WAITING_BYTES = 1e6  # that the actor of a trial with workers holds
REPLACEMENTS = 2  # of a trial's dead actor before the trial counts as failed
# Tune reads these when a Tuner starts: no log files of its own, no signal handler, no pauses to save its state.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def run_trials(
    sweep: "StudySweep",
    job: TrialJob,
    train: ClipTensors,
    val: ClipTensors,
    at_once: int,
    on_result: Callable[[], None] = lambda: None,
) -> None:
    """Run what is left of a sweep on the running cluster.

    Args:
        at_once: trials at the same time, from `places_for`.
        on_result: called after every epoch and every end.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    left = sweep.config.num_trials - sweep.num_over()
    if left <= 0:
        return
    storage = job.folder.parent / "tune"
    remove_tree(storage)
    actor: Any = tune.with_parameters(TrialActor, job=job, train=to_arrays(train), val=to_arrays(val))
    bridge = _Bridge(sweep, job, on_result)
    tuner = tune.Tuner(
        tune.with_resources(actor, _held_by_actor(job)),
        tune_config=tune.TuneConfig(
            search_alg=bridge,
            num_samples=left,
            max_concurrent_trials=at_once,
            reuse_actors=not job.config.workers_per_trial,  # workers go with the actor that started them
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(storage),
            verbose=0,
            stop=_Stopper(bridge),
            failure_config=tune.FailureConfig(max_failures=REPLACEMENTS),
        ),
    )
    tuner.fit()
    if bridge.error:
        raise bridge.error
    remove_tree(storage)


class TrialActor(tune.Trainable):
    """A warm process that runs trials; one step is an epoch, and the last one tells the outcome."""

    def setup(self, config: dict[str, Any], **shared: Any) -> None:
        self.job: TrialJob = shared["job"]
        self.train_clips, self.val_clips = from_arrays(shared["train"]), from_arrays(shared["val"])
        self.begin(config["plan"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.begin(new_config["plan"])
        return True

    def begin(self, plan: TrialPlan) -> None:
        self.steps: Iterator[TrialStep]
        if self.job.config.workers_per_trial:
            self.steps = steps_on_workers(self.job, plan, self.val_clips)
        else:
            device = torch.device("cuda" if self.job.gpus_per_worker else "cpu")
            self.steps = trial_steps(self.job, plan, self.train_clips, self.val_clips, device)

    def step(self) -> dict[str, Any]:
        try:
            step = next(self.steps)
        except Exception as error:  # whatever it is: it is this trial's end, not the sweep's
            step = TrialStep(failure=failure_of(error))
            self.steps = iter(())
            torch.cuda.empty_cache()
        return {"step": step, "done": step.is_last}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: trials keep their state themselves."""

    def load_checkpoint(self, checkpoint: dict | None) -> None:
        """Nothing, as above."""


class _Bridge(Searcher):
    """Trials from the sweep, between Tune's ids and its numbers. An error of ours ends the sweep: Tune would go on."""

    def __init__(self, sweep: "StudySweep", job: TrialJob, on_result: Callable[[], None]):
        super().__init__(metric="training_iteration", mode="max")  # asked for and never used: the sweep ranks
        self.sweep = sweep
        self.job = job
        self.on_result = on_result
        self.numbers: dict[str, int] = {}
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes down what it was given, to restore it; we never do."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        plan = None if self.error else self._safely(self.sweep.ask)
        if plan is None:
            return Searcher.FINISHED
        self.numbers[trial_id] = plan.number
        return {"plan": plan}

    def has_to_stop(self, trial_id: str, step: TrialStep) -> bool:
        """Hand on what a trial says after an epoch."""
        if step.is_last:
            return True
        stops = self._safely(self.sweep.report, self.numbers[trial_id], step)
        self._safely(self.on_result)
        return bool(stops) or self.error is not None

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        number = self.numbers.pop(trial_id, None)
        if number is None or self.error:
            return
        if self._safely(self.sweep.finish, number, None if error or result is None else result["step"]):
            folder = self.job.folder_of(number)
            (folder / STATE_FILE).unlink(missing_ok=True)
            remove_tree(folder / RAY_FOLDER)
            fetch(local_of(folder))
        self._safely(self.on_result)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is in its file."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as above."""

    def _safely(self, do: Callable[..., Any], *values: Any) -> Any:
        try:
            return do(*values)
        except Exception as error:
            self.error = self.error or error
            return None


class _Stopper(Stopper):
    """Early stopping as the sweep says."""

    def __init__(self, bridge: _Bridge):
        self.bridge = bridge

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.bridge.has_to_stop(trial_id, result["step"])

    def stop_all(self) -> bool:
        return False


def _held_by_actor(job: TrialJob) -> tune.PlacementGroupFactory:
    """What the trial's own actor holds; with workers, these hold CPUs and GPUs, and the actor only waits."""
    if job.config.workers_per_trial:
        return tune.PlacementGroupFactory([{"memory": WAITING_BYTES}])  # Tune wants it to hold something
    gpus = {"GPU": job.gpus_per_worker} if job.gpus_per_worker else {}
    return tune.PlacementGroupFactory([{"CPU": 1.0, **gpus}])
