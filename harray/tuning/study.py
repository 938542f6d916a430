"""A sweep's truth: an Optuna study in a file, from which a killed sweep goes on as if nothing had been.

    Sweep.next()  -> a trial to run: one that was begun and not ended, else a new one from Optuna
    Sweep.told()  -> epochs of a trial, to MLflow's journal and to Optuna; answers whether the trial is to stop
    Sweep.ended() -> what became of it

It knows no Ray. The order of writing is such that whatever a crash leaves undone is done at the next start: first
the journal, which passes over what it knows, then the study.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.search_spaces import Drawing, Search, config_values, first_point
from harray.tracking.runs import epoch_metrics, parameter_texts
from harray.tracking.sweeps import STATE_TAG, SweepLog
from harray.training.loop import report_from
from harray.tuning.settings import LATENCY, STUDY_FILE, SweepSettings, TrialPlan

FINISHED, STOPPED, FAILED = "finished", "stopped early", "failed"
_STATES = {TrialState.COMPLETE: FINISHED, TrialState.PRUNED: STOPPED, TrialState.FAIL: FAILED}
_RUN_STATUS = {FINISHED: "FINISHED", STOPPED: "FINISHED", FAILED: "FAILED"}
_FIGURES = ("seconds", "num_epochs", "best_epoch", "went_on_after")  # of a result, kept as they were last
WORKER_DIED = "its worker died again and again, as it does when memory runs out"


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """What became of a trial."""

    number: int
    state: str  # finished, stopped early, failed
    values: tuple[
        float, ...
    ]  # of the objectives; the last epoch's where it was stopped, empty where it failed
    params: dict[str, Any]
    seconds: float
    num_epochs: int
    best_epoch: int
    reason: str
    checkpoint: str


@dataclass(kw_only=True)
class _Live:
    """A trial under way."""

    trial: optuna.Trial
    epochs: set[int]  # that the study knows
    last: dict[str, Any] = field(default_factory=dict)  # the last result's plain figures
    stopped_by: str = ""
    is_paused: bool = False  # time was up; a successor goes on with it


class Sweep:
    """Args:
    folder: of the study and the trials; the caller sees to it that nobody else works in it.
    log: open.
    cpus, gpus: that a trial holds, for the account.
    """

    def __init__(
        self,
        folder: Path,
        settings: SweepSettings,
        search: Search,
        base: ExperimentConfig,
        log: SweepLog,
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        deadline: float = math.inf,
    ):
        self.folder = folder
        self.settings = settings
        self.search = search
        self.base = base
        self.log = log
        self.cpus = cpus
        self.gpus = gpus
        self.deadline = deadline  # of time.monotonic()
        self.study = open_study(folder / STUDY_FILE, settings)
        self.live: dict[int, _Live] = {}
        trials = self.study.get_trials(deepcopy=False)
        if not trials:
            self.study.enqueue_trial(first_point(search, base, settings.fixed))
        self._interrupted = [trial for trial in trials if trial.state == TrialState.RUNNING]
        for trial in trials:
            if trial.state in _STATES:
                self._end_run(trial)
            elif "stopped_by" in trial.user_attrs:
                self._interrupted.remove(trial)
                self._adopt(trial).stopped_by = trial.user_attrs["stopped_by"]
                self.ended(trial.number, None)

    def next(self) -> TrialPlan | None:
        """The next trial; None when there is none to begin: all are, time is up, or too many failed."""
        if self.is_late():
            return None
        if self._interrupted:
            trial = self._adopt(self._interrupted.pop(0)).trial
        elif self.num_begun() >= self.settings.num_trials or self.is_over():
            return None
        else:
            trial = self.study.ask()
            self.live[trial.number] = _Live(trial=trial, epochs=set())
        self.search(Drawing(trial, self.base, self.settings.fixed))  # what was drawn before is drawn again
        plan = TrialPlan(number=trial.number, overrides=config_values(trial.params, self.base))
        config = with_overrides(self.base, plan.overrides)
        self.log.start(
            plan.number,
            f"trial-{plan.number:03d}",
            params=parameter_texts(config),
            tags={"harray.seed": str(config.training.seed), **self.settings.tags()},
        )
        return plan

    def told(self, number: int, result: dict[str, Any]) -> bool:
        """Take what a trial tells after an epoch; True: it is to stop, for good or until a successor goes on."""
        live = self._record(number, result)
        if self.is_late():
            live.is_paused = True
        elif self.settings.prunes and live.epochs and live.trial.should_prune():
            live.stopped_by = f"not among the best after {max(live.epochs)} epochs"
        if live.stopped_by:  # written down at once: a successor is not to let it run on
            for name, value in {**live.last, "stopped_by": live.stopped_by}.items():
                live.trial.set_user_attr(name, value)
        return live.is_paused or bool(live.stopped_by)

    def ended(self, number: int, result: dict[str, Any] | None) -> bool:
        """Take what became of a trial: its last result, or None where its worker died and was not replaced.

        Returns:
            Whether it is over; False where it was paused, so that its state is still wanted.
        """
        live = self._record(number, result or {})
        if live.is_paused and result is not None and {"outcome", "failed"}.isdisjoint(result):
            for name, value in live.last.items():
                live.trial.set_user_attr(name, value)
            del self.live[number]
            self.log.pause(number)
            return False
        about, state, values = live.last, TrialState.FAIL, None
        if live.stopped_by:
            state = TrialState.PRUNED
            about |= {"reason": live.stopped_by}
        elif result is None or "outcome" not in result:
            about |= {"reason": (result or {}).get("failed", WORKER_DIED)}
        else:
            outcome = result["outcome"]
            about |= {key: outcome[key] for key in ("val", "latency_ms")}
            about |= {"checkpoint": _inside(Path(outcome["checkpoint"]), self.folder)}
            state = TrialState.COMPLETE
            values = [outcome["val"]["macro_f1"]]
            values += [outcome["latency_ms"]] if self.settings.objective == LATENCY else []
        for name, value in about.items():
            live.trial.set_user_attr(name, value)
        self.study.tell(live.trial, values, state=state)
        del self.live[number]
        self._end_run(self.study.get_trials(deepcopy=False)[number])
        return True

    def num_begun(self) -> int:
        """Trials that are there, but for the one that only waits to be the first."""
        return sum(trial.state != TrialState.WAITING for trial in self.study.get_trials(deepcopy=False))

    def num_failed(self) -> int:
        return sum(trial.state == TrialState.FAIL for trial in self.study.get_trials(deepcopy=False))

    def num_under_way(self) -> int:
        """Trials that were begun and are not over, whether they run or wait for a successor."""
        return sum(trial.state == TrialState.RUNNING for trial in self.study.get_trials(deepcopy=False))

    def num_ended(self) -> int:
        return sum(trial.state in _STATES for trial in self.study.get_trials(deepcopy=False))

    def is_over(self) -> bool:
        """Whether nothing new is to begin, though trials are left."""
        return self.has_failed() or self.is_late()

    def is_late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self.deadline

    def has_failed(self) -> bool:
        """Whether more trials failed than may."""
        return self.num_failed() > self.settings.max_failed * self.settings.num_trials

    def rows(self) -> list[TrialRow]:
        """Every trial that ended, by number."""
        return rows_of(self.study, self.folder)

    def best(self) -> list[TrialRow]:
        """As `best_rows`."""
        return best_rows(self.study, self.folder)

    def _adopt(self, old: FrozenTrial) -> _Live:
        """Take over a trial that another driver began."""
        trial = optuna.Trial(self.study, old._trial_id)
        last = {name: old.user_attrs[name] for name in _FIGURES if name in old.user_attrs}
        self.live[old.number] = _Live(trial=trial, epochs=set(old.intermediate_values), last=last)
        return self.live[old.number]

    def _record(self, number: int, result: dict[str, Any]) -> _Live:
        """Write down what a trial says of its epochs, unless it is written."""
        live = self.live[number]
        live.last |= {key: result[key] for key in _FIGURES if key in result}
        for values in result.get("reports", ()):
            report = report_from(values)
            self.log.metrics(number, report.epoch, epoch_metrics(report))
            if self.settings.prunes and report.val is not None and report.epoch not in live.epochs:
                live.trial.report(report.val.macro_f1, report.epoch)
            live.epochs.add(report.epoch)
        return live

    def _end_run(self, trial: FrozenTrial) -> None:
        """Say in the journal how a trial ended, unless that was said."""
        row, state = row_of(trial, self.folder), _STATES[trial.state]
        about = trial.user_attrs
        tags = {STATE_TAG: state, "harray.reason": row.reason, "harray.checkpoint": row.checkpoint}
        if "went_on_after" in about:
            tags["harray.went_on_after_epoch"] = str(about["went_on_after"])
        values = {
            "trial.number": trial.number,
            "trial.sec": row.seconds,
            "trial.cpu_sec": row.seconds * self.cpus,
            "trial.gpu_sec": row.seconds * self.gpus,
            "trial.num_epochs": row.num_epochs,
            "trial.best_epoch": row.best_epoch,
        }
        values |= {f"best.val.{name}": value for name, value in (about.get("val") or {}).items()}
        if about.get("latency_ms") is not None:
            values["best.latency_ms"] = about["latency_ms"]
        said = {name: text for name, text in tags.items() if text}
        self.log.end(trial.number, _RUN_STATUS[state], tags=said, values=values)


def open_study(file: Path, settings: SweepSettings) -> optuna.Study:
    """The study in that file, made where it is not there; whoever calls holds the sweep's lock."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _mend(file)
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = optuna.create_study(
        storage=storage,
        study_name="sweep",
        directions=settings.directions,
        load_if_exists=True,
        pruner=pruner_for(settings),
    )
    # A sampler's stream starts at its seed: a successor must not draw once more what was drawn.
    study.sampler = sampler_for(settings, len(study.get_trials(deepcopy=False)))
    return study


def sampler_for(settings: SweepSettings, num_drawn: int) -> optuna.samplers.BaseSampler:
    """TPE (Bergstra et al., 2011), which takes one objective or several; a third of the trials at random first."""
    num_random = max(2, min(10, settings.num_trials // 3))
    return optuna.samplers.TPESampler(
        seed=settings.seed + num_drawn, n_startup_trials=num_random, constant_liar=True
    )


def pruner_for(settings: SweepSettings) -> optuna.pruners.BasePruner:
    """ASHA (Li et al., 2020) in Optuna's form, whose memory is the study; none for two objectives."""
    if not settings.prunes:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=settings.first_rung, reduction_factor=settings.reduction
    )


def rows_of(study: optuna.Study, folder: Path) -> list[TrialRow]:
    """Every trial that ended, by number."""
    return [row_of(trial, folder) for trial in study.get_trials(deepcopy=False) if trial.state in _STATES]


def row_of(trial: FrozenTrial, folder: Path) -> TrialRow:
    """What the study says of a trial; `folder` is where the sweep is now."""
    about = trial.user_attrs
    return TrialRow(
        number=trial.number,
        state=_STATES[trial.state],
        values=tuple(trial.values or ()),
        params=trial.params,
        seconds=about.get("seconds", 0.0),
        num_epochs=about.get("num_epochs", 0),
        best_epoch=about.get("best_epoch", 0),
        reason=about.get("reason", ""),
        checkpoint=str(folder / about["checkpoint"]) if about.get("checkpoint") else "",
    )


def ranking(rows: Iterable[TrialRow], directions: Sequence[str]) -> list[TrialRow]:
    """Trials from best to worst: the finished by their first objective, then the stopped, then the failed."""
    order = (FINISHED, STOPPED, FAILED)
    sign = -1 if directions[0] == "maximize" else 1
    return sorted(
        rows, key=lambda row: (order.index(row.state), [sign * v for v in row.values[:1]], row.number)
    )


def best_rows(study: optuna.Study, folder: Path) -> list[TrialRow]:
    """The best finished trial, or with two objectives those that no other surpasses, by the first objective."""
    finished = any(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False))
    if not finished:
        return []
    best = [study.best_trial] if len(study.directions) == 1 else study.best_trials
    return ranking([row_of(trial, folder) for trial in best], ["maximize"])


def _inside(path: Path, folder: Path) -> str:
    """A path as it stands in a folder that may be moved, or renamed."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _mend(file: Path) -> None:
    """Undo what a killed process leaves: Optuna's lock, and a last line without its end."""
    Path(f"{file}.lock").unlink(missing_ok=True)
    if file.exists() and not (content := file.read_bytes()).endswith(b"\n") and content:
        with file.open("r+b") as journal:
            journal.truncate(content.rfind(b"\n") + 1)
