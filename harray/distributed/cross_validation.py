"""Trainings of a cross-validation over a Ray cluster: a task each, as many at once as the CPUs hold.

A training runs on one CPU by `training.num_threads` threads. Clips are read once per worker process, which Ray
keeps from training to training.
"""

from collections.abc import Generator, Sequence
from typing import Any

import ray
from ray.exceptions import RayTaskError

from harray.distributed.resources import check_demand, cluster_resources, trainings_demand
from harray.errors import InputError
from harray.validation.cross_validation import FoldOutcome, FoldTraining, train_fold

TRAININGS_PER_GPU = 8  # so small a network leaves a GPU idle; more processes share it


def train_folds(
    trainings: Sequence[FoldTraining], num_workers: int | None = None
) -> Generator[tuple[FoldTraining, FoldOutcome]]:
    """Run trainings on the running cluster and yield each with its outcome as it ends.

    Args:
        trainings: at least one.
        num_workers: trainings at once; None for as many as fit.

    Raises:
        InputError: the cluster cannot hold so many, or a training's store cannot be trained on.
    """
    config = trainings[0].learning.training
    gpus = 0.0
    if config.device == "cuda" or (config.device == "auto" and cluster_resources().get("GPU", 0)):
        gpus = 1 / TRAININGS_PER_GPU
    at_once = min(num_workers or 1, len(trainings))
    check_demand(trainings_demand(at_once, config.num_threads, gpus))
    work = ray.remote(num_cpus=config.num_threads, num_gpus=gpus)(train_fold)
    waiting, running = list(reversed(trainings)), {}
    try:
        while waiting or running:
            while waiting and len(running) < (num_workers or len(trainings)):
                training = waiting.pop()
                running[work.remote(training)] = training
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _outcome(done)
    finally:
        for task in running:
            ray.cancel(task, force=True)


def _outcome(done: Any) -> FoldOutcome:
    try:
        return ray.get(done)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
