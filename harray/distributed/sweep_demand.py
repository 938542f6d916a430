"""What a sweep asks of the cluster. Light: it is asked before anything heavy is imported or started."""

from collections.abc import Mapping

from harray.distributed.resources import check_demand, cluster_resources


def demand_of_trial(num_workers: int, gpus_per_worker: float) -> dict[str, float]:
    """CPUs and GPUs that a trial holds: one worker's, or those of its Ray Train workers."""
    count = max(1, num_workers)
    return {"CPU": float(count)} | ({"GPU": count * gpus_per_worker} if gpus_per_worker else {})


def places_for(demand: Mapping[str, float], there: Mapping[str, float]) -> int:
    """How many trials of this demand the cluster holds at the same time; 0 where not even one.

    >>> places_for({"CPU": 2.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 4.0})
    4
    """
    return int(min(there.get(name, 0) // amount for name, amount in demand.items()))


def check_sweep(num_workers: int, gpus_per_worker: float, at_once: int | None) -> int:
    """How many trials are to run at the same time; refuses what the cluster cannot run.

    Raises:
        InputError: it cannot hold one trial, or not as many as asked for.
    """
    demand = demand_of_trial(num_workers, gpus_per_worker)
    count = at_once or 1
    wanted = {name: amount * count for name, amount in demand.items()}
    purpose = f"a sweep with {count} trial{'s' * (count > 1)} at once of {max(1, num_workers)} workers each"
    check_demand(wanted, purpose, "lower --workers-per-trial or --at-once,")
    return at_once or max(1, places_for(demand, cluster_resources()))
