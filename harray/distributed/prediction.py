"""Prediction over a cluster: every video exactly once and in order, whatever is killed meanwhile.

    checkpoint --its files, by Ray's object store--> PredictionActor x num_actors
    videos --one at a time, to whoever is free-----> PredictionActor --> entry --> the list, in the videos' order

The driver deals the videos out itself: what an actor was at when it died is known, is given to another one, and is
given up when it has cost as many actors as extraction allows. A new actor takes the place of a dead one wherever the
cluster has room; where it has none, the others go on without.
"""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from harray.distributed.extraction import pool_for
from harray.distributed.extraction_worker import use_threads
from harray.distributed.resources import Demand, actors_demand, check_demand, check_possible
from harray.errors import InputError
from harray.extraction.extractor import make_networks_ready
from harray.inference import Predictor
from harray.inference.entries import VideoTask, failed_entry, video_entry
from harray.names import is_uri
from harray.reporting import SILENT, Reporter
from harray.store.tries import MAX_TRIES

LOOK_SEC = 30.0  # without a result, before the cluster is checked again

VideoEntry = dict[str, Any]


def predict_on_ray(
    checkpoint: Path,
    tasks: Sequence[VideoTask],
    assignments: Sequence[str],
    num_actors: int,
    on_entry: Callable[[VideoEntry], None] = lambda entry: None,
    reporter: Reporter = SILENT,
) -> list[VideoEntry]:
    """The entry of every task (of `video_entry`), in their order, computed on the running cluster.

    Args:
        checkpoint: folder on this machine; its files travel to the actors.
        assignments: as for `Predictor.load`; paths in them must be known to every node.
        on_entry: called with each entry as it is done, in any order.
        reporter: told what the user should know, such as what is being waited for.

    Raises:
        InputError: the cluster does not hold so many actors, or a node lacks the weights for extraction.
    """
    extractor = Predictor.load(checkpoint, assignments, device="cpu").extractor
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    pool = pool_for(len(tasks), num_actors, extractor.config.poses.gpus_per_actor, "prediction")
    files_bytes = sum(map(len, files.values()))
    demand = actors_demand("prediction", pool.num_threads, pool.gpus_per_actor, files_bytes)
    check_demand(demand, reporter)
    for message in make_networks_ready(extractor.config, pool.device):
        reporter.say(message)
    actor_class = ray.remote(num_cpus=pool.num_threads, num_gpus=pool.gpus_per_actor)(PredictionActor)
    given = ray.put(files), list(assignments), pool.device, pool.num_threads
    entries: dict[int, VideoEntry] = {}
    found = [replace(task, video=_absolute(task.video)) for task in tasks]  # actors stand in other folders
    for index, entry in _deal(found, lambda: actor_class.remote(*given), pool.num_actors, demand):
        entries[index] = entry | {"video": tasks[index].video}
        on_entry(entries[index])
    return [entries[index] for index in range(len(tasks))]


class PredictionActor:
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

    def predict(self, task: VideoTask) -> VideoEntry:
        return video_entry(self.predictor, task)


def _absolute(video: str) -> str:
    return video if is_uri(video) else str(Path(video).absolute())


def _deal(
    tasks: Sequence[VideoTask], hire: Callable[[], Any], num_actors: int, demand: Demand
) -> Iterator[tuple[int, VideoEntry]]:
    """Index and entry of each task as it is done."""
    todo = deque(range(len(tasks)))
    deaths: Counter[int | None] = Counter()  # of actors by the task they were at; None: while loading
    at_work: dict[Any, tuple[Any, int | None]] = {}

    def take_on() -> None:
        actor = hire()
        at_work[actor.load.remote()] = actor, None

    for _ in range(num_actors):
        take_on()
    while at_work:
        done, actor, index = _next_done(at_work, demand)
        try:
            entry = _result(done)
        except (RayActorError, OutOfMemoryError) as error:
            deaths[index] += 1
            if index is None:
                _refuse_endless_deaths(deaths[None], num_actors, error)
            elif deaths[index] < MAX_TRIES:
                todo.appendleft(index)
            else:
                yield index, failed_entry(tasks[index], f"the worker died {deaths[index]} times on it")
            if todo:
                take_on()
            continue
        if index is not None:
            yield index, entry
        if todo:
            following = todo.popleft()
            at_work[actor.predict.remote(tasks[following])] = actor, following
        elif not any(busy is not None for _, busy in at_work.values()):
            return  # actors that are still loading are not needed any more


def _next_done(at_work: dict[Any, tuple[Any, int | None]], demand: Demand) -> tuple[Any, Any, Any]:
    """The next reference that has a result or a failure, its actor and task; gone from `at_work`."""
    while True:
        done, _ = ray.wait(list(at_work), num_returns=1, timeout=LOOK_SEC)
        if done:
            return done[0], *at_work.pop(done[0])
        if all(
            index is None for _, index in at_work.values()
        ):  # no actor is at work: is anything left to do?
            check_possible(demand)


def _result(done: Any) -> VideoEntry:
    """
    Raises:
        InputError: as the actor raised it, without Ray's traceback.
    """
    try:
        return ray.get(done)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause)) from error
        raise


def _refuse_endless_deaths(deaths: int, num_actors: int, error: Exception) -> None:
    if deaths > MAX_TRIES * num_actors:
        raise InputError(
            f"prediction: {deaths} workers died while they loaded the networks, the last because: "
            f"{str(error).splitlines()[0]}; give each more memory by a smaller --actors"
        ) from error
