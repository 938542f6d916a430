"""A sweep from end to end: its folder, its trials, its runs in MLflow, its figures, and the winner's training.

OUT/sweeps/NAME/  sweep.yaml base.yaml   what was asked
                  optuna.jsonl           Optuna's study: the truth
                  journal.jsonl sent     what MLflow is told, and how far it was
                  trials/0003/           a trial's state while it runs, its checkpoint when it is finished
                  best.yaml trials.csv *.png summary.json    at the end
"""

import csv
import dataclasses
import json
import math
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from harray.config import digest, dump, load, to_dict, with_overrides
from harray.distributed.sweep_demand import Places, cluster_for_sweep, demand_of
from harray.distributed.sweep_settings import ACCURACY, LATENCY, SweepSettings
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.searches import Search, config_values, first_point, search_named
from harray.store import FeatureStore
from harray.tracking.location import probe, tracking_uri
from harray.workflows.training import check_trainable, train_recorded

if TYPE_CHECKING:
    from harray.distributed.sweep import Sweep, TrialRow
    from harray.evaluation.report import EvaluationReport
    from harray.tracking.sweeps import SweepLog
    from harray.training.loop import EpochReport

SETTINGS_FILE, BASE_FILE, ID_FILE, LOCK_FILE = "sweep.yaml", "base.yaml", "id", ".lock"
BEST_FILE, TABLE_FILE, SUMMARY_FILE, TRIALS_FOLDER = "best.yaml", "trials.csv", "summary.json", "trials"
LOCK_PATIENCE_SEC = 2.0

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
    resume: bool = False
    tracking: str | None = None

    def cluster(self, on_message: Callable[[str], None]) -> AbstractContextManager[Places]:
        """As `cluster_for_sweep`."""
        device = self.experiment.training.device
        return cluster_for_sweep(self.workers_per_trial, self.at_once, device, on_message)

    def settings(self) -> SweepSettings:
        training = self.experiment.training
        return SweepSettings(
            store=str(self.store.absolute()),
            store_digest=FeatureStore.open(self.store).digest(),
            search=self.search,
            objective=self.objective,
            num_trials=self.num_trials,
            num_epochs=training.num_epochs,
            fixed=self.fixed,
            seed=training.seed,
            max_failed=self.max_failed,
        )


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What a sweep found."""

    folder: Path
    run_id: str
    tracking_uri: str
    rows: "list[TrialRow]"  # best first
    best: "list[TrialRow]"  # the best, or the Pareto front
    best_config: Path
    figures: list[Path]
    seconds: float  # of this start
    stopped_by: str  # why not all trials began; empty where they did

    @property
    def experiment(self) -> ExperimentConfig:
        """The winner's configuration."""
        return load(ExperimentConfig, self.best_config)

    def to_json(self) -> dict[str, Any]:
        states = [row.state for row in self.rows]
        return {
            "folder": str(self.folder),
            "run_id": self.run_id,
            "tracking_uri": self.tracking_uri,
            "num_trials": len(self.rows),
            "states": {state: states.count(state) for state in dict.fromkeys(states)},
            "best": [dataclasses.asdict(row) for row in self.best],
            "trials": [dataclasses.asdict(row) for row in self.rows],
            "best_config": str(self.best_config),
            "figures": [str(figure) for figure in self.figures],
            "seconds": self.seconds,
            "stopped_by": self.stopped_by,
        }


def tune_recorded(
    request: SweepRequest, on_progress: Update, on_message: Callable[[str], None] = lambda _: None
) -> SweepOutcome:
    """Run a sweep, or what is left of one.

    Args:
        on_progress: called with trials ended, trials in all, and a note.
        on_message: called with what must be said aloud, such as that the tracking server is away.

    Raises:
        InputError: a bad search or store, more than the cluster holds, an unfinished sweep without `resume`, no
            trial that finished, or a tracking server that stayed away.
    """
    started = time.monotonic()
    check_trainable(request.store, request.experiment)
    search = search_named(request.search)
    first_point(search, request.experiment, request.fixed)
    uri = tracking_uri(request.out, request.tracking)
    if probe(request.out, request.tracking).reachable is False:
        raise InputError(f"tracking store {uri}: nothing answers; start the server, or name another")
    settings = request.settings()
    with request.cluster(on_message) as places:
        from harray.tracking.sweeps import SweepLog

        with (
            _folder(request, settings) as folder,
            SweepLog(folder, uri, (folder / ID_FILE).read_text()) as log,
        ):
            _begin(log, request, settings, folder.name)
            sweep = _run(request, settings, search, folder, log, places, on_progress, on_message)
            return _finish(sweep, folder, log, uri, time.monotonic() - started, on_message)


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The winner, trained on train and val, registered, and scored on test."""

    name: str
    model: str
    model_version: int
    run_id: str
    num_epochs: int
    report: "EvaluationReport | None"  # None where the store has no such split


def train_winner(
    outcome: SweepOutcome,
    store: Path,
    out: Path,
    name: str,
    *,
    split: str = "test",
    tracking: str | None = None,
    on_epoch: "Callable[[EpochReport], None] | None" = None,
) -> Winner:
    """Train the winner on train and val with the number of epochs that was found, register it, and only then look
    at the test split, once.

    Raises:
        InputError: a bad name.
    """
    experiment = winner_on_all(outcome, store)
    tags = {"harray.sweep_run": outcome.run_id, "harray.trial": str(outcome.best[0].number)}
    trained = train_recorded(
        store, experiment, out, name=name, tracking=tracking, on_epoch=on_epoch, tags=tags
    )
    assert trained.registered is not None
    report = None
    if split in FeatureStore.open(store).splits():
        from harray.workflows.evaluation import evaluate_recorded

        report, _ = evaluate_recorded(trained.model_version, store, split, out, outcome.tracking_uri)
    return Winner(
        name=name,
        model=trained.model_version,
        model_version=trained.registered.version,
        run_id=trained.run_id,
        num_epochs=experiment.training.num_epochs,
        report=report,
    )


def winner_on_all(outcome: SweepOutcome, store: Path) -> ExperimentConfig:
    """The winner's configuration for its last training: on train and val, for as many epochs as it took."""
    winner = outcome.experiment
    splits, training = FeatureStore.open(store).splits(), winner.training
    has_val = training.val_split in splits
    return with_overrides(
        winner,
        {
            "training.train_split": f"{training.train_split}+{training.val_split}"
            if has_val
            else training.train_split,
            "training.val_split": "",
            "training.val_share": 0.0,
            "training.num_epochs": outcome.best[0].best_epoch,
            "training.patience": 0,
        },
    )


def _begin(log: "SweepLog", request: SweepRequest, settings: SweepSettings, name: str) -> None:
    from harray.tracking.runs import parameters

    params = {param.key: param.value for param in parameters(request.experiment)}
    params |= {f"sweep.{param.key}": param.value for param in parameters(settings)}
    log.start(None, name, params=params, tags=settings.tags())


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
    from harray.distributed.sweep import Sweep
    from harray.distributed.trial import TrialJob
    from harray.distributed.tuning import run_sweep
    from harray.training.run import TrainingRequest, origin_of, training_clips

    store = FeatureStore.open(request.store.absolute())
    experiment = request.experiment
    asked = TrainingRequest(
        store=store.path, out=folder, features=experiment.features, training=experiment.training
    )
    train, val = training_clips(asked, store)
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
    said = time.monotonic()

    def progress() -> None:
        nonlocal said
        on_progress(sweep.num_ended(), settings.num_trials, _note(sweep))
        if log.trouble and time.monotonic() - said > 15:
            said = time.monotonic()
            log.say_trouble(on_message)

    run_sweep(sweep, job, train, val, places.at_once, progress)
    return sweep


def _note(sweep: "Sweep") -> str:
    from harray.distributed.sweep import best_rows

    best = best_rows(sweep.study)
    said = [f"best {best[0].values[0]:.3f}"] if best else []
    said += [f"{failed} failed"] if (failed := sweep.num_failed()) else []
    return ", ".join(said)


def _finish(
    sweep: "Sweep",
    folder: Path,
    log: "SweepLog",
    uri: str,
    seconds: float,
    on_message: Callable[[str], None],
) -> SweepOutcome:
    """Table, figures and best configuration, all in MLflow too."""
    from harray.distributed.sweep import best_rows, ranking
    from harray.distributed.sweep_figures import write_figures

    settings = sweep.settings
    rows, best = ranking(sweep.rows(), settings.directions), best_rows(sweep.study)
    stopped_by = _stopped_by(sweep)
    if not best:
        log.end(None, "FAILED", tags={"harray.reason": stopped_by or "no trial finished"})
        log.drain(on_message)
        reasons = list(dict.fromkeys(row.reason for row in rows))[:3]
        raise InputError(
            f"sweep {folder}: no trial finished; {stopped_by or 'all ended otherwise'} ({'; '.join(reasons)}); "
            "give it more time or a narrower search"
        )
    for row in best:
        values = config_values(row.params, sweep.base)
        dump(with_overrides(sweep.base, values), folder / f"trial-{row.number:03d}.yaml")
    dump(load(ExperimentConfig, folder / f"trial-{best[0].number:03d}.yaml"), folder / BEST_FILE)
    _write_table(rows, folder / TABLE_FILE)
    figures = write_figures(sweep.study, settings, folder)
    log.files(None, [folder / BEST_FILE, folder / TABLE_FILE, *figures])
    values = {
        f"best.{name}": value
        for name, value in zip(("val.macro_f1", "latency_ms"), best[0].values, strict=False)
    }
    values |= {"best.trial": best[0].number, "trials.failed": sweep.num_failed(), "trials": len(rows)}
    status = "FAILED" if sweep.has_failed() else "FINISHED"
    log.end(None, status, tags={"harray.reason": stopped_by} if stopped_by else {}, values=values)
    log.drain(on_message)
    run_id = log.run_ids[None]
    outcome = SweepOutcome(
        folder=folder,
        run_id=run_id,
        tracking_uri=uri,
        rows=rows,
        best=best,
        best_config=folder / BEST_FILE,
        figures=figures,
        seconds=seconds,
        stopped_by=stopped_by,
    )
    if not stopped_by:
        (folder / SUMMARY_FILE).write_text(json.dumps(outcome.to_json(), default=str))
    return outcome


def _stopped_by(sweep: "Sweep") -> str:
    settings = sweep.settings
    if sweep.has_failed():
        return f"{sweep.num_failed()} trials failed, more than {settings.max_failed:.0%} of {settings.num_trials}"
    left = settings.num_trials - sweep.num_ended()
    return f"time was up with {left} trials to go" if left > 0 else ""


def _write_table(rows: "list[TrialRow]", file: Path) -> None:
    names = sorted({name for row in rows for name in row.params})
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["trial", "state", "value", "latency_ms", "epochs", "seconds", "reason", *names])
        for row in rows:
            values = [*row.values, "", ""][:2]
            about = [row.number, row.state, *values, row.num_epochs, f"{row.seconds:.2f}", row.reason]
            writer.writerow([*about, *(row.params.get(name, "") for name in names)])


@contextmanager
def _folder(request: SweepRequest, settings: SweepSettings) -> Generator[Path]:
    """The sweep's folder, which nobody else works in: a new one, or the one that is gone on with.

    Raises:
        InputError: an unfinished sweep of these settings without `resume`, or another process at work in it.
    """
    same = dataclasses.replace(settings, num_trials=0, max_failed=0)
    parent = request.out.absolute() / "sweeps"
    stem = Path(request.search.rpartition(":")[0]).stem or request.search
    name = f"{stem}-{digest([to_dict(same), to_dict(request.experiment)])[:8]}"
    number = max((int(path.name.rpartition("-")[2]) for path in parent.glob(f"{name}-*")), default=0)
    last = parent / f"{name}-{number}"
    goes_on = number > 0 and (request.resume or not (last / SUMMARY_FILE).exists())
    folder = last if goes_on else parent / f"{name}-{number + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=LOCK_PATIENCE_SEC)
    except Timeout:
        raise InputError(f"sweep {folder}: another `harray tune` works on it; wait for its end") from None
    try:
        if goes_on and not request.resume:
            raise InputError(
                f"sweep {folder}: the same search is unfinished; go on with it by --resume, or remove the folder"
            )
        if not (folder / ID_FILE).exists():
            (folder / ID_FILE).write_text(f"{folder.name}-{uuid.uuid4().hex[:12]}")
        dump(settings, folder / SETTINGS_FILE)
        dump(request.experiment, folder / BASE_FILE)
        yield folder
    finally:
        lock.release()
