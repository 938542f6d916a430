"""Extraction over a cluster: Ray Data hands batches of the manifest to a pool of actors.

    manifest --plan--> rows to do --Ray Data--> ExtractionWorker x num_actors --> shards and ledger (the store)
                                                            \\--> outcome rows --> progress

The input is a table in memory, which takes no Ray task, and the pool may shrink to one actor: it starts on one
free CPU and goes on when a node is lost.
"""

import contextlib
import dataclasses
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harray.config import with_overrides
from harray.distributed.extraction_plan import moved_rows, plan_extraction
from harray.distributed.extraction_tally import ExtractionTally, QuarantineLimit
from harray.distributed.extraction_worker import FAULT, OUTCOMES, ExtractionWorker
from harray.distributed.resources import (
    actors_demand,
    check_demand,
    check_machine,
    cluster_resources,
    cpus_of_one_task,
    start_ray,
)
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import (
    SKELETON,
    clip_scene_shape,
    keypoints_shape,
    make_networks_ready,
    with_settled_precisions,
)
from harray.extraction.provenance import Provenance
from harray.files import Place, place
from harray.networks.precision import AUTO, FP32
from harray.poses.config import EMBEDDED
from harray.poses.weights import check_pose_weights
from harray.reporting import SILENT, Reporter
from harray.scenes.config import RANDOM
from harray.scenes.weights import check_scene_weights
from harray.schema import EXTRACTED, QUARANTINED
from harray.store.compact import MANY_FILES, compact
from harray.store.feature_store import FeatureStore
from harray.store.ledger import noted
from harray.store.lock import writing
from harray.store.settings import FILE_NAME, StoreSettings, load_settings
from harray.store.tries import Tries
from harray.videos.files import stamps_of

MAX_BATCH = 16  # videos; a killed actor loses less than this ...
MANY_BATCHES = 10_000  # ... or than such a part of all; more batches would only be more work for the driver

# By default glibc gives every thread an arena of memory, and each grows to the largest clip. One for all: a third
# less memory, and a tenth of the page faults.
ACTOR_ENVIRONMENT = {"env_vars": {"MALLOC_ARENA_MAX": "1"}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractionSummary:
    """What became of a manifest; inputs = extracted + quarantined."""

    inputs: int
    extracted: int
    quarantined: int
    computed: int  # clips whose features this run computed
    seconds: float
    worker_peak_mb: float  # the most memory that any worker had; 0 where none started
    messages: list[str]  # what the user should know of the weights, and of this run's videos


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actors:
    """What is asked for."""

    number: int | None = None
    """So many, or one per video where those are fewer; None for one per core, or as many as the GPUs hold."""
    worker: type[ExtractionWorker] = ExtractionWorker
    """What they run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pool:
    """How extraction uses the cluster."""

    num_actors: int
    num_threads: int
    device: str  # "cpu" or "cuda"
    gpus_per_actor: float  # 0 on CPUs


def extract(
    manifest: pa.Table,
    config: ExtractionConfig,
    store_path: Place | str,
    actors: Actors = Actors(),
    limit: QuarantineLimit = QuarantineLimit(),
    retry: bool = False,
    on_outcomes: Callable[[pa.Table], None] = lambda outcomes: None,
    reporter: Reporter = SILENT,
) -> ExtractionSummary:
    """Bring a store up to date with a manifest; what it has, an interrupted run's part too, is not computed again.

    Args:
        manifest: of `schema.MANIFEST`.
        limit: when so many inputs of this run are quarantined, it stops.
        retry: whether to take again what was quarantined, changed or not.
        on_outcomes: called with the `OUTCOMES` rows of every batch as it is finished.
        reporter: told of inputs done after every batch, and what the user should know, of the weights at the start and
            of the videos in the end; that is in the summary too.

    Raises:
        InputError: weights, store, or cluster are not what the extraction needs, another command writes to the
            store, the store cannot be written, or more is quarantined than `limit` allows.
    """
    started = time.monotonic()
    messages: list[str] = []
    told = _Kept(reporter, messages)
    check_weights(config)
    with contextlib.ExitStack() as held:
        if not (place(store_path) / FILE_NAME).exists():  # then it depends on the cluster's devices
            check_machine(actors_demand("extraction", min(actors.number or 0, len(manifest))))
            held.enter_context(start_ray())
        config = settled(config, store_path, told)
        store = FeatureStore.open_or_create(store_path, store_settings(config))
        for message in weights_messages(config, manifest):
            told.say(message)
        check_held = held.enter_context(writing(store.path, "harray extract"))
        Tries(store.path).clear()
        clip_ids = store.clip_ids()
        plan = plan_extraction(manifest, store.ledger(), clip_ids, stamps_of, retry)
        store.append_ledger(plan.relabelled)
        tally = ExtractionTally(len(manifest), plan.kept, limit)
        with reporter.progress("extracting", "clips") as update:
            update(tally.done, tally.total)
            if len(plan.todo):
                check_machine(actors_demand("extraction", min(actors.number or 0, len(plan.todo))))
                with start_ray():
                    for outcomes in _run(plan.todo, config, store, clip_ids, actors, told):
                        check_held()
                        on_outcomes(outcomes)
                        tally.add(outcomes)
                        update(tally.done, tally.total, tally.note())
        for kind, count, path, text in noted(pa.concat_tables([OUTCOMES.empty_table(), *tally.noted])):
            told.say(f"{kind}, {count} of {tally.total} videos, such as {path}: {text}")
        store.append_ledger(moved_rows(store.ledger(), manifest, stamps_of))
        check_held()
        compact(store, least=MANY_FILES)
        final = recorded_outcomes(store, manifest)
    return _summary(final, tally, seconds=time.monotonic() - started, messages=messages)


class _Kept(Reporter):
    """Passes notices on, and keeps them."""

    def __init__(self, reporter: Reporter, messages: list[str]) -> None:
        self.reporter = reporter
        self.messages = messages

    def say(self, message: str) -> None:
        self.messages.append(message)
        self.reporter.say(message)


def _summary(
    final: Counter[str], tally: ExtractionTally, *, seconds: float, messages: list[str]
) -> ExtractionSummary:
    return ExtractionSummary(
        inputs=tally.total,
        extracted=final[EXTRACTED],
        quarantined=final[QUARANTINED],
        computed=tally.counts["computed"],
        seconds=seconds,
        worker_peak_mb=tally.worker_peak_mb,
        messages=messages,
    )


def check_weights(config: ExtractionConfig) -> None:
    """Refuse weights before anything heavy starts.

    Raises:
        InputError: weights that are nowhere, or are not what they should be.
    """
    check_pose_weights(config.poses.weights)
    check_scene_weights(config.scenes.weights)


def settled(config: ExtractionConfig, store_path: Place | str, reporter: Reporter) -> ExtractionConfig:
    """The config with `auto` precisions replaced: by those of the store that there is, so that all its features are
    made alike, else by the fastest on the devices of the cluster, to which the process is connected then.

    Raises:
        InputError: as `store_settings`, or no store can be read.
    """
    path = place(store_path).absolute()
    if (path / FILE_NAME).exists():
        made = load_settings(path).provenance.precisions
        rooms = {"poses": config.poses.precision, "scenes": config.scenes.precision}
        as_made = {
            f"{room}.precision": made.get(room, FP32) for room, asked in rooms.items() if asked == AUTO
        }
        return with_overrides(config, as_made)
    device = choose_pool(cluster_resources(), 1, config.poses.gpus_per_actor).device
    return with_settled_precisions(config, device, reporter.say)


def store_settings(config: ExtractionConfig) -> StoreSettings:
    """The settings of a store for this extraction.

    Raises:
        InputError: weights that are nowhere, or are not what they should be.
    """
    check_weights(config)
    return StoreSettings(
        skeleton=SKELETON,
        keypoints_shape=keypoints_shape(config),
        scene_shape=clip_scene_shape(config),
        provenance=Provenance.of(config),
    )


def weights_messages(config: ExtractionConfig, manifest: pa.Table) -> list[str]:
    """Warnings about the weights."""
    messages = []
    if config.scenes.weights == RANDOM:
        messages.append(
            f"scene weights are random (seed {config.scenes.seed}): they tell colours and textures apart, "
            "not objects; use scenes.weights=imagenet for real videos"
        )
    if config.poses.weights == EMBEDDED and manifest["dataset"].unique().to_pylist() != ["procedural"]:
        messages.append(
            "the embedded pose weights know drawn figures only, and these videos are not all procedural: "
            "expect wrong keypoints; use poses.weights=yolov8n-pose.pt"
        )
    return messages


def choose_pool(
    resources: dict[str, float], num_actors: int, gpus_per_actor: float, max_threads: int = sys.maxsize
) -> Pool:
    """How many actors, `num_actors` at most, and what each takes of a cluster with these resources.

    On GPUs as many as their shares allow, a CPU each; on CPUs one per core, or fewer with more threads each.

    Args:
        max_threads: CPUs that one task may ask for (`cpus_of_one_task`).
    """
    cpus = max(1, int(resources.get("CPU", 1)))
    if resources.get("GPU", 0) >= gpus_per_actor > 0:
        gpus = resources["GPU"]
        fitting = (
            int(gpus) * int(1 / gpus_per_actor + 1e-6)
            if gpus_per_actor < 1 <= gpus
            else gpus / gpus_per_actor
        )
        actors = min(num_actors, max(1, min(cpus, int(fitting + 1e-6))))
        return Pool(num_actors=actors, num_threads=1, device="cuda", gpus_per_actor=gpus_per_actor)
    actors = min(num_actors, cpus)
    threads = min(max_threads, cpus // actors)
    return Pool(num_actors=actors, num_threads=threads, device="cpu", gpus_per_actor=0.0)


def pool_for(num_videos: int, num_actors: int | None, gpus_per_actor: float, purpose: str) -> Pool:
    """The pool for so many videos on the running cluster.

    Args:
        num_actors: None for as many as it holds.
        purpose: what for, such as "extraction".

    Raises:
        InputError: the cluster does not hold `num_actors`, or none of its GPUs the share that an actor takes.
    """
    there = cluster_resources()
    wanted = min(num_actors or num_videos, num_videos)
    cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
    if gpus_per_actor > gpus > 0:
        raise InputError(
            f"{purpose} needs {gpus_per_actor:g} GPU an actor (there are {gpus:g}); lower poses.gpus_per_actor"
        )
    pool = choose_pool(there, wanted, gpus_per_actor, cpus_of_one_task())
    if num_actors and pool.num_actors < wanted:
        share = f" and {pool.gpus_per_actor:g} GPU" if pool.gpus_per_actor else ""
        lower = "--actors or poses.gpus_per_actor" if share else "--actors"
        raise InputError(
            f"{purpose} with {wanted} actors needs {wanted} times 1 CPU{share}; there are {cpus:g} CPU and "
            f"{gpus:g} GPU, which hold {pool.num_actors}; lower {lower}, or use a larger cluster"
        )
    return pool


def batch_size_for(num_videos: int, num_actors: int) -> int:
    """Videos per batch: at least four batches for every actor, so that all finish at about the same time."""
    return max(1, min(max(MAX_BATCH, num_videos // MANY_BATCHES), num_videos // (4 * num_actors)))


def recorded_outcomes(store: FeatureStore, manifest: pa.Table) -> Counter[str]:
    """How many of the manifest's inputs the ledger has with each status.

    Raises:
        RuntimeError: it lacks some; inputs = extracted + quarantined must hold.
    """
    ledger = store.ledger()
    found = pc.index_in(manifest["path"], ledger["path"])
    counts = Counter(ledger["status"].take(found).fill_null("missing").to_pylist())
    if counts[EXTRACTED] + counts[QUARANTINED] != len(manifest):
        raise RuntimeError(f"{len(manifest)} inputs, but the ledger accounts for {dict(counts)}")
    return counts


def _refuse_fault(outcomes: pa.Table, store: FeatureStore) -> None:
    if FAULT in outcomes["status"].to_pylist():
        raise InputError(
            f"store {store.path}: cannot be written ({outcomes['message'][0]}); what was finished is kept, "
            "run the same command again when it can be"
        )


def _run(
    todo: pa.Table,
    config: ExtractionConfig,
    store: FeatureStore,
    clip_ids: set[str],
    actors: Actors,
    reporter: Reporter,
) -> Iterator[pa.Table]:
    """Outcome rows of each batch as it is finished.

    Raises:
        InputError: the cluster is too small, or the store cannot be written.
    """
    pool = pool_for(len(todo), actors.number, config.poses.gpus_per_actor, "extraction")
    check_demand(actors_demand("extraction", pool.num_threads, pool.gpus_per_actor, todo.nbytes), reporter)
    for message in make_networks_ready(config, pool.device):
        reporter.say(message)
    import ray.data  # takes seconds, so only after all checks
    from ray.exceptions import ActorDiedError

    rows = batch_size_for(len(todo), pool.num_actors)
    batches = [todo.slice(start, rows) for start in range(0, len(todo), rows)]
    arguments: dict[str, Any] = {
        "config": config,
        "store": str(store.path),
        "provenance": store.settings.provenance,
        "clip_ids": clip_ids,
        "device": pool.device,
        "num_threads": pool.num_threads,
    }
    with _quiet_data():
        outcomes = ray.data.from_arrow(batches).map_batches(
            actors.worker,
            fn_constructor_kwargs=arguments,
            batch_size=rows,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=pool.num_actors,
                initial_size=pool.num_actors,
                max_tasks_in_flight_per_actor=2,
            ),
            num_cpus=pool.num_threads,
            num_gpus=pool.gpus_per_actor or None,
            runtime_env=ACTOR_ENVIRONMENT,
        )
        try:
            for batch in outcomes.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                _refuse_fault(batch, store)
                yield batch
        except ActorDiedError as error:
            raise _as_refusal(error) from error


def _as_refusal(error: Exception) -> Exception:
    """What a worker refused as it started, such as a bucket that it has no credentials for; Ray hands on its text."""
    said = re.findall(r"^\S*(?:InputError|BucketError): (.+)$", str(error), flags=re.MULTILINE)
    return InputError(f"a worker could not start: {said[-1]}") if said else error


@contextmanager
def _quiet_data() -> Generator[None]:
    """Ray Data without its progress bars and without asking the workers' memory every second; harray shows its own
    bar, and a worker tells its memory with each batch."""
    from ray.data import DataContext

    context = DataContext.get_current()
    before = context.enable_progress_bars, context.memory_usage_poll_interval_s
    context.enable_progress_bars, context.memory_usage_poll_interval_s = False, None
    try:
        yield
    finally:
        context.enable_progress_bars, context.memory_usage_poll_interval_s = before
