"""What a sweep asks of the cluster. Light: it is asked before anything heavy is imported or started."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harray.distributed.resources import (
    OBJECT_STORE_BYTES,
    Demand,
    check_demand,
    check_machine,
    check_possible,
    cluster_resources,
    gpus_for,
    start_ray,
)
from harray.reporting import SILENT, Reporter
from harray.tuning.config import SweepConfig

SHARING = "a sweep, whose trials share the store's features,"
SLACK = 1.2  # a local cluster's object store, beside the features that it must hold


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where trials run."""

    at_once: int
    gpus_per_worker: float
    per_trial: dict[str, float]
    """CPUs and GPUs that a trial holds, by Ray's names."""


@contextmanager
def cluster_for_sweep(config: SweepConfig, num_bytes: int, reporter: Reporter = SILENT) -> Generator[Places]:
    """The cluster that holds the trials, reached and asked before anything heavy is imported or recorded.

    Args:
        num_bytes: of the features, which trials share by the object store.

    Raises:
        InputError: the cluster, or the machine that is to be one, does not hold them.
    """
    workers, count = config.workers_per_trial, config.at_once or 1
    trials = Demand(
        purpose=f"a sweep with {count} trial{'s' * (count > 1)} at once of {max(1, workers)} CPU each",
        remedy="lower --at-once or --workers-per-trial,",
        cpus=max(1, workers) * count,
    )
    shared = Demand(purpose=SHARING, remedy="select fewer clips,", memory=num_bytes)
    check_machine(trials)
    check_machine(shared)
    with start_ray(object_store_bytes=max(OBJECT_STORE_BYTES, int(SLACK * num_bytes))):
        there = cluster_resources()
        gpus = gpus_for(config.experiment.training.device, max(1, workers), there)
        check_possible(replace(shared, remedy="start its nodes with more --object-store-memory"))
        check_demand(replace(trials, gpus=trials.cpus * gpus), reporter)
        per_trial = demand_of(workers, gpus)
        at_once = config.at_once or max(1, places_for(per_trial, there))
        yield Places(at_once=at_once, gpus_per_worker=gpus, per_trial=per_trial)


def demand_of(num_workers: int, gpus_per_worker: float) -> dict[str, float]:
    """CPUs and GPUs that a trial holds: one process's, or those of its Ray Train workers."""
    count = max(1, num_workers)
    return {"CPU": float(count)} | ({"GPU": count * gpus_per_worker} if gpus_per_worker else {})


def places_for(demand: Mapping[str, float], there: Mapping[str, float]) -> int:
    """How many trials of this demand the cluster holds at the same time; 0 where not even one.

    >>> places_for({"CPU": 2.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 4.0})
    4
    """
    return int(min(there.get(name, 0) // amount for name, amount in demand.items()))
