"""A sweep from end to end: its folder, its cluster, its trials, its runs in MLflow, its outcome."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harray.api.train import as_extracted, check_trainable, run_name
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.search_spaces import Search, first_point, moved, search_named, space_of
from harray.store import FeatureStore
from harray.tracking.location import check_answers, tracking_uri
from harray.tracking.runs import check_recording
from harray.tuning.demand import Places, cluster_for_sweep, demand_of
from harray.tuning.folder import ID_FILE, TRIALS_FOLDER, claimed_folder
from harray.tuning.outcome import SweepOutcome, finish
from harray.tuning.settings import ACCURACY, LATENCY, SweepSettings
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.tracking.sweeps import SweepLog
    from harray.tuning.study import Sweep

SAY_EVERY_SEC = 15.0
CHECK_SEC = 5.0  # for the tracking store to answer at all

Update = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What to search, and with how much."""

    store: Path
    experiment: ExperimentConfig  # where the search starts, and what it leaves as it is
    out: Path
    search: str = "all"
    fixed: tuple[str, ...] = ()  # keys of `experiment` that are not to be searched
    num_trials: int = 24
    time_budget_sec: float = math.inf  # of this start
    workers_per_trial: int = 0
    at_once: int | None = None  # trials; None for as many as the cluster holds
    objective: Literal["accuracy", "accuracy-latency"] = ACCURACY
    max_failed: float = 0.25
    resume: bool | None = False  # None: go on where there is something to go on with
    tracking: str | None = None
    recipe: str = ""  # that `experiment` started from, by name or as a file

    def cluster(self, on_message: Callable[[str], None]) -> AbstractContextManager[Places]:
        """As `cluster_for_sweep`."""
        num_bytes = FeatureStore.open(self.store).num_bytes_in_memory()
        device = self.experiment.training.device
        return cluster_for_sweep(self.workers_per_trial, self.at_once, device, num_bytes)

    def settings(self) -> SweepSettings:
        training = self.experiment.training
        return SweepSettings(
            store=str(self.store.absolute()),
            store_digest=FeatureStore.open(self.store).digest(),
            search=self.search,
            space=space_of(search_named(self.search), self.experiment, self.fixed),
            objective=self.objective,
            num_trials=self.num_trials,
            num_epochs=training.num_epochs,
            fixed=self.fixed,
            seed=training.seed,
            max_failed=self.max_failed,
        )


def tune_recorded(
    request: SweepRequest, on_progress: Update, on_message: Callable[[str], None] = lambda _: None
) -> SweepOutcome:
    """Run a sweep, or what is left of one.

    Args:
        on_progress: called with trials ended, trials in all, and a note.
        on_message: called with what must be said aloud, such as that the tracking server is away.

    Raises:
        InputError: a bad search or store, more than the cluster holds, an unfinished sweep without `resume`, none
            with it, a tracking store that cannot be recorded in, or no trial that finished.
        NotRecorded: the tracking store does not take the sweep's records; its `outcome` is a `SweepOutcome`.
    """
    started = time.monotonic()
    check_trainable(request.store, request.experiment)
    request = replace(request, experiment=as_extracted(request.experiment, request.store))
    search = search_named(request.search)
    first = first_point(search, request.experiment, request.fixed)
    for name, (asked, found) in moved(first, request.experiment).items():
        on_message(f"{name}: the search has no {asked}, so its first trial starts from {found}")
    uri = tracking_uri(Workspace(request.out, request.tracking))
    check_answers(uri, CHECK_SEC)
    check_recording(uri)
    settings = request.settings()
    with request.cluster(on_message) as places:
        from harray.tracking.sweeps import SweepLog

        with (
            claimed_folder(request.out, request.experiment, settings, resume=request.resume) as folder,
            SweepLog(folder, uri, (folder / ID_FILE).read_text()) as log,
        ):
            _begin(log, request, settings, folder)
            sweep = _run(request, settings, search, folder, log, places, on_progress, on_message)
            return finish(sweep, folder, log, uri, time.monotonic() - started, on_message)


def _begin(log: "SweepLog", request: SweepRequest, settings: SweepSettings, folder: Path) -> None:
    from harray.tracking.runs import RECIPE_TAG, parameter_texts

    params = parameter_texts(request.experiment)
    params |= {f"sweep.{name}": text for name, text in parameter_texts(settings).items()}
    title = f"{Path(request.search).stem} sweep from {run_name(request.recipe, request.store, settings.seed)}"
    tags = {**settings.tags(), "harray.folder": str(folder)}
    log.start(
        None, title, params=params, tags=tags | ({RECIPE_TAG: request.recipe} if request.recipe else {})
    )


def _run(
    request: SweepRequest,
    settings: SweepSettings,
    search: Search,
    folder: Path,
    log: "SweepLog",
    places: Places,
    on_progress: Update,
    on_message: Callable[[str], None],
) -> "Sweep":
    from harray.training.run import origin_of, training_clips
    from harray.tuning.search import run_sweep
    from harray.tuning.study import Sweep
    from harray.tuning.trial import TrialJob

    store = FeatureStore.open(request.store.absolute())
    experiment = request.experiment
    train, val = training_clips(experiment.learning, store)
    if val is None:
        raise InputError(
            f"store {store.path}: no clips to compare trials by; set training.val_share, or give it a val split"
        )
    demand = demand_of(places.num_workers, places.gpus_per_worker)
    sweep = Sweep(
        folder,
        settings,
        search,
        experiment,
        log,
        cpus=demand["CPU"],
        gpus=demand.get("GPU", 0.0),
        deadline=time.monotonic() + request.time_budget_sec,
    )
    job = TrialJob(
        folder=folder / TRIALS_FOLDER,
        store=store.path,
        base=experiment,
        origin=origin_of(store),
        measures_latency=settings.objective == LATENCY,
        num_workers=places.num_workers,
        gpus_per_worker=places.gpus_per_worker,
    )
    tell = _teller(sweep, on_progress, on_message)
    run_sweep(sweep, job, train, val, places.at_once, tell)
    return sweep


def _teller(sweep: "Sweep", on_progress: Update, on_message: Callable[[str], None]) -> Callable[[], None]:
    """What is called after every epoch: progress, and now and then that the tracking server is away."""
    said = time.monotonic()

    def tell() -> None:
        nonlocal said
        on_progress(sweep.num_ended(), sweep.settings.num_trials, _note(sweep))
        if sweep.log.trouble and time.monotonic() - said > SAY_EVERY_SEC:
            said = time.monotonic()
            sweep.log.say_trouble(on_message)

    return tell


def _note(sweep: "Sweep") -> str:
    best = sweep.best()
    said = [f"best {best[0].values[0]:.3f}"] if best else []
    said += [f"{failed} failed"] if (failed := sweep.num_failed()) else []
    return ", ".join(said)
