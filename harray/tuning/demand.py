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

SHARING = "a sweep, whose trials share the store's features,"
SLACK = 1.2  # a local cluster's object store, beside the features that it must hold


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where trials run."""

    at_once: int
    num_workers: int  # of Ray Train in each; 0 where a trial is one process
    gpus_per_worker: float


@contextmanager
def cluster_for_sweep(
    num_workers: int,
    at_once: int | None,
    device: str,
    num_bytes: int,
    reporter: Reporter = SILENT,
) -> Generator[Places]:
    """The cluster that holds the trials, reached and asked before anything heavy is imported or recorded.

    Args:
        num_workers: of each trial; 0 for a process without Ray Train.
        at_once: trials at the same time; None for as many as there is place for.
        device: of `gpus_for`.
        num_bytes: of the features, which trials share by the object store.
        reporter: told what is being waited for, where nodes are to be added.

    Raises:
        InputError: the cluster, or the machine that is to be one, does not hold them.
    """
    count = at_once or 1
    purpose = f"a sweep with {count} trial{'s' * (count > 1)} at once of {max(1, num_workers)} CPU each"
    advice = "lower --at-once or --workers-per-trial,"
    trials = Demand(purpose=purpose, remedy=advice, cpus=max(1, num_workers) * count)
    check_machine(trials)
    shared = Demand(purpose=SHARING, remedy="select fewer clips,", memory=num_bytes)
    check_machine(shared)
    with start_ray(object_store_bytes=max(OBJECT_STORE_BYTES, int(SLACK * num_bytes))):
        there = cluster_resources()
        gpus = gpus_for(device, max(1, num_workers), there)
        check_possible(replace(shared, remedy="start its nodes with more --object-store-memory"))
        check_demand(replace(trials, gpus=trials.cpus * gpus), reporter)
        places = at_once or max(1, places_for(demand_of(num_workers, gpus), there))
        yield Places(at_once=places, num_workers=num_workers, gpus_per_worker=gpus)


def demand_of(num_workers: int, gpus_per_worker: float, at_once: int = 1) -> dict[str, float]:
    """CPUs and GPUs that trials hold: one process's each, or those of its Ray Train workers."""
    count = max(1, num_workers) * at_once
    return {"CPU": float(count)} | ({"GPU": count * gpus_per_worker} if gpus_per_worker else {})


def places_for(demand: Mapping[str, float], there: Mapping[str, float]) -> int:
    """How many trials of this demand the cluster holds at the same time; 0 where not even one.

    >>> places_for({"CPU": 2.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 4.0})
    4
    """
    return int(min(there.get(name, 0) // amount for name, amount in demand.items()))
