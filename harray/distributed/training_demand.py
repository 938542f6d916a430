"""What training over a cluster needs, compared with what there is; asked before Ray Train is even imported."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from harray.distributed.resources import check_demand, check_machine, cluster_resources, gpus_for, start_ray

ADVICE = "use fewer --workers"


@contextmanager
def cluster_for(
    num_workers: int, device: str, on_message: Callable[[str], None] = lambda message: None
) -> Generator[None]:
    """The cluster that holds so many workers, reached and asked before anything heavy is imported or recorded.

    Args:
        num_workers: 0 wants no cluster.
        device: of `gpus_for`.
        on_message: called with what is being waited for, where nodes are to be added.

    Raises:
        InputError: the cluster, or the machine that is to be one, does not hold them.
    """
    if not num_workers:
        yield
        return
    check_machine({"CPU": num_workers}, _purpose(num_workers), ADVICE)
    with start_ray():
        check_training(num_workers, gpus_for(device, num_workers, cluster_resources()), on_message)
        yield


def check_training(
    num_workers: int, gpus_per_worker: float, on_message: Callable[[str], None] = lambda message: None
) -> None:
    """Compare so many workers of one CPU each with the running cluster.

    Args:
        on_message: called with what is being waited for, where nodes are to be added.

    Raises:
        InputError: the cluster does not hold them.
    """
    demand = {"CPU": num_workers, "GPU": num_workers * gpus_per_worker}
    advice = f"{ADVICE} or training.device=cpu" if gpus_per_worker else ADVICE
    check_demand(demand, _purpose(num_workers), advice, on_message)


def _purpose(num_workers: int) -> str:
    return f"training with {num_workers} workers"
