"""What training over a cluster needs, compared with what there is; asked before Ray Train is even imported."""

from collections.abc import Generator
from contextlib import contextmanager

from harray.distributed.resources import (
    Demand,
    check_demand,
    check_machine,
    cluster_resources,
    gpus_for,
    start_ray,
)
from harray.reporting import SILENT, Reporter


@contextmanager
def cluster_for(num_workers: int, device: str, reporter: Reporter = SILENT) -> Generator[None]:
    """The cluster that holds so many workers, reached and asked before anything heavy is imported or recorded.

    Args:
        num_workers: 0 wants no cluster.
        device: of `gpus_for`.

    Raises:
        InputError: the cluster, or the machine that is to be one, does not hold them.
    """
    if not num_workers:
        yield
        return
    check_machine(training_demand(num_workers, 0.0))
    with start_ray():
        gpus_per_worker = gpus_for(device, num_workers, cluster_resources())
        check_demand(training_demand(num_workers, gpus_per_worker), reporter)
        yield


def training_demand(num_workers: int, gpus_per_worker: float) -> Demand:
    """So many workers, of one CPU each."""
    remedy = "use fewer --workers"
    return Demand(
        purpose=f"training with {num_workers} workers",
        remedy=f"{remedy} or training.device=cpu" if gpus_per_worker else remedy,
        cpus=num_workers,
        gpus=num_workers * gpus_per_worker,
    )
