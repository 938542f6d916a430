"""Trials of a cross-validation over a Ray cluster: a task each, as many at once as the CPUs hold.

A trial trains on one CPU by `training.num_threads` threads. Clips are read once per worker process, which Ray
keeps from trial to trial.
"""

from collections.abc import Generator, Sequence
from typing import Any

import ray
from ray.exceptions import RayTaskError

from harray.distributed.resources import check_demand, cluster_resources, trials_demand
from harray.errors import InputError
from harray.validation.cross_validation import Outcome, Trial, run_trial

TRIALS_PER_GPU = 8  # so small a network leaves a GPU idle; more processes share it


def run_trials(trials: Sequence[Trial], num_workers: int | None = None) -> Generator[tuple[Trial, Outcome]]:
    """Run trials on the running cluster and yield each with its outcome as it ends.

    Args:
        trials: at least one.
        num_workers: trials at once; None for as many as fit.

    Raises:
        InputError: the cluster cannot hold so many, or a trial's store cannot be trained on.
    """
    training = trials[0].learning.training
    gpus = 0.0
    if training.device == "cuda" or (training.device == "auto" and cluster_resources().get("GPU", 0)):
        gpus = 1 / TRIALS_PER_GPU
    at_once = min(num_workers or 1, len(trials))
    check_demand(trials_demand(at_once, training.num_threads, gpus))
    work = ray.remote(num_cpus=training.num_threads, num_gpus=gpus)(run_trial)
    waiting, running = list(reversed(trials)), {}
    try:
        while waiting or running:
            while waiting and len(running) < (num_workers or len(trials)):
                trial = waiting.pop()
                running[work.remote(trial)] = trial
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _outcome(done)
    finally:
        for task in running:
            ray.cancel(task, force=True)


def _outcome(done: Any) -> Outcome:
    try:
        return ray.get(done)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
