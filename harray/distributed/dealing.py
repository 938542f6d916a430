"""Tasks dealt out to actors: each exactly once, whatever is killed meanwhile.

The driver deals the tasks out itself: what an actor was at when it died is known, is given to another one, and is
given up when it has cost as many actors as extraction allows. A new actor takes the place of a dead one wherever the
cluster has room; where it has none, the others go on without.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from harray.distributed.resources import Demand, check_possible
from harray.errors import InputError
from harray.store.tries import MAX_TRIES

Task = TypeVar("Task")
Result = TypeVar("Result")
LOOK_SEC = 30.0  # without a result, before the cluster is checked again


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Actors to be hired.

    Attributes:
        hire: makes one, which has the methods `load()` and `work(task)`.
        demand: what they need of the cluster.
    """

    hire: Callable[[], Any]
    num_actors: int
    demand: Demand


def deal(
    tasks: Sequence[Task], crew: Crew, give_up: Callable[[Task, str], Result]
) -> Iterator[tuple[int, Result]]:
    """Index and result of each task as it is done.

    Args:
        give_up: the result of a task that cost too many actors, and why; may raise.

    Raises:
        InputError: as an actor raised it, or actors die while they load.
    """
    todo = deque(range(len(tasks)))
    deaths: Counter[int | None] = Counter()  # of actors by the task they were at; None: while loading
    at_work: dict[Any, tuple[Any, int | None]] = {}

    def take_on() -> None:
        actor = crew.hire()
        at_work[actor.load.remote()] = actor, None

    for _ in range(crew.num_actors):
        take_on()
    while at_work:
        done, actor, index = _next_done(at_work, crew.demand)
        try:
            result = _result(done)
        except (RayActorError, OutOfMemoryError) as error:
            deaths[index] += 1
            if index is None:
                _refuse_endless_deaths(deaths[None], crew, error)
            elif deaths[index] < MAX_TRIES:
                todo.appendleft(index)
            else:
                yield index, give_up(tasks[index], f"the worker died {deaths[index]} times on it")
            if todo:
                take_on()
            continue
        if index is not None:
            yield index, result
        if todo:
            following = todo.popleft()
            at_work[actor.work.remote(tasks[following])] = actor, following
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


def _result(done: Any) -> Any:
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


def _refuse_endless_deaths(deaths: int, crew: Crew, error: Exception) -> None:
    if deaths > MAX_TRIES * crew.num_actors:
        raise InputError(
            f"{crew.demand.purpose}: {deaths} workers died while they loaded the networks, the last because: "
            f"{str(error).splitlines()[0]}; give each more memory by a smaller --actors"
        ) from error
