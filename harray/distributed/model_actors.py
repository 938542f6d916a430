"""Actors that hold a model, which they get as files by Ray's object store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import ray

from harray.distributed.dealing import Crew
from harray.distributed.extraction import pool_for
from harray.distributed.extraction_worker import use_threads
from harray.distributed.resources import actors_demand, check_demand
from harray.extraction.extractor import make_networks_ready
from harray.inference import Predictor
from harray.reporting import Reporter


class ModelActor:
    """A predictor on one of the cluster's nodes.

    Args:
        files: name -> bytes of the checkpoint folder.
        device: "cpu" or "cuda".
        num_threads: of the networks, on a CPU.
    """

    def __init__(self, files: dict[str, bytes], assignments: list[str], device: str, num_threads: int):
        self.files = files
        self.assignments = assignments
        self.device = device
        self.num_threads = num_threads

    def load(self) -> None:
        """Load everything now.

        Raises:
            InputError: this node lacks the weights for extraction.
        """
        use_threads(self.num_threads)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.files.items():
                Path(folder, name).write_bytes(content)
            self.predictor = Predictor.load(folder, self.assignments, self.device, self.num_threads)
        self.predictor.extractor.load()


def crew_of(
    actor: type[ModelActor],
    checkpoint: Path,
    assignments: Sequence[str],
    num_tasks: int,
    num_actors: int,
    reporter: Reporter,
) -> Crew:
    """Actors with the model for so many tasks on the running cluster, whose nodes get its networks ready.

    Raises:
        InputError: the cluster does not hold so many actors.
    """
    predictor = Predictor.load(checkpoint, assignments, device="cpu")
    extractor = predictor.extractor
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    pool = pool_for(num_tasks, num_actors, extractor.config.poses.gpus_per_actor, "prediction")
    demand = actors_demand("prediction", pool.num_threads, pool.gpus_per_actor, sum(map(len, files.values())))
    check_demand(demand, reporter)
    provenance = (
        predictor.checkpoint.provenance
    )  # the actors' device may have another precision than this process's
    config = provenance.config_for_prediction(predictor.overrides, pool.device)
    for message in make_networks_ready(config, pool.device):
        reporter.say(message)
    remote = ray.remote(num_cpus=pool.num_threads, num_gpus=pool.gpus_per_actor)(actor)
    given = ray.put(files), list(assignments), pool.device, pool.num_threads
    return Crew(hire=lambda: remote.remote(*given), num_actors=pool.num_actors, demand=demand)
