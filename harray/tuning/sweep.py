"""What happens to a sweep's trials, written into its study, from which a killed sweep goes on as if nothing had been.

    ask()    -> a trial to run: one that was begun and is not over, else a new one from Optuna
    report() <- what a trial says after an epoch; answers whether the trial is to stop
    finish() <- what became of it

The study is the only truth: what MLflow shows is made of it (records.py), and a trial's state is on disk before its
epoch is reported (trial.py). So whatever a crash leaves undone is done at the next start. Neither Ray nor MLflow is
known here.
"""

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import optuna
from optuna.trial import FrozenTrial, TrialState

from harray.files import Place, local_of
from harray.search_spaces import Drawing, Search, config_values, first_point
from harray.tracking.runs import status_of
from harray.tuning.config import LATENCY, SweepConfig, TrialPlan
from harray.tuning.study import (
    BEGUN_MS,
    EPOCH,
    STANDING,
    STATES,
    TrialRow,
    best_rows,
    last_epoch,
    now_ms,
    row_of,
)
from harray.tuning.trial import TrialStep

WORKER_DIED = "its worker died again and again, as it does when memory runs out"


class StudySweep:
    """A sweep's study and how it goes on; inside `with` this process works on it.

    Args:
        study: from `open_study`.
        folder: of the study and the trials; the caller sees to it that nobody else works in it.
        held: CPUs and GPUs that a trial holds, by Ray's names, for the account.
        deadline: of time.monotonic(), when trials stop until the next start.
    """

    def __init__(
        self,
        study: optuna.Study,
        folder: Path,
        config: SweepConfig,
        search: Search,
        *,
        held: Mapping[str, float] | None = None,
        deadline: float = math.inf,
    ):
        self.study = study
        self.folder = folder
        self.config = config
        self.search = search
        self.held = held or {"CPU": 1.0}
        self.deadline = deadline
        self._trials: dict[int, optuna.Trial] = {}  # under way in this process
        self._paused: set[int] = set()  # of these, whose time is up; the next start goes on with them
        self._interrupted: list[FrozenTrial] = []

    def __enter__(self) -> Self:
        if BEGUN_MS not in self.study.user_attrs:
            self.study.set_user_attr(BEGUN_MS, now_ms())
        if not self.trials():
            self.study.enqueue_trial(first_point(self.search, self.config.experiment, self.config.fixed))
        self._interrupted = [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
        for trial in [trial for trial in self._interrupted if "stopped_by" in trial.user_attrs]:
            self._interrupted.remove(trial)
            self._adopt(trial)
            self.finish(trial.number, None)
        self.set_status("RUNNING")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.study.user_attrs[STANDING]["status"] == "RUNNING":
            self.set_status(status_of(error))

    def set_status(self, status: str, reason: str = "") -> None:
        """Write down how the sweep stands, in MLflow's words: RUNNING, FINISHED, FAILED or KILLED."""
        self.study.set_user_attr(STANDING, {"status": status, "reason": reason, "ms": now_ms()})

    def ask(self) -> TrialPlan | None:
        """The next trial; None when there is none to begin: all are, time is up, or too many failed."""
        if self.is_late():
            return None
        if self._interrupted:
            trial = self._adopt(self._interrupted.pop(0))
        elif self.num_begun() >= self.config.num_trials or self.has_failed():
            return None
        else:
            trial = self.study.ask()
        return self._plan(trial)

    def report(self, number: int, step: TrialStep) -> bool:
        """Take what a trial says after an epoch; True: it is to stop, for good or until the next start."""
        trial = self._record(number, step)
        if self.is_late():
            self._paused.add(number)
        elif self.config.prunes and trial.should_prune():
            said = f"not among the best after {last_epoch(self._frozen(number))} epochs"
            trial.set_user_attr("stopped_by", said)  # at once: the next start is not to let it run on
            return True
        return number in self._paused

    def finish(self, number: int, step: TrialStep | None) -> bool:
        """Take what became of a trial.

        Args:
            step: its last; None where its worker died and was not replaced, or is not asked.

        Returns:
            Whether it is over; False where it was paused, so that its state is still wanted.
        """
        trial = self._record(number, step) if step else self._trials[number]
        del self._trials[number]
        if number in self._paused and step and not step.is_last:
            self._paused.remove(number)
            return False
        about, state, values = {}, TrialState.FAIL, None
        if stopped_by := trial.user_attrs.get("stopped_by"):
            state, about["reason"] = TrialState.PRUNED, stopped_by
        elif step is None or step.outcome is None:
            about["reason"] = step.failure if step and step.failure else WORKER_DIED
        else:
            state, outcome = TrialState.COMPLETE, step.outcome
            about |= {"val": dataclasses.asdict(outcome.val), "best_epoch": step.best_epoch}
            about |= {"checkpoint": _inside(outcome.checkpoint, self.folder), "seconds": step.seconds}
            values = [outcome.val.macro_f1]
            values += [outcome.latency_ms] if self.config.objective == LATENCY else []
        for name, value in about.items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, values, state=state)
        return True

    def trials(self) -> list[FrozenTrial]:
        """All trials, those included that wait or run."""
        return self.study.get_trials(deepcopy=False)

    def num_begun(self) -> int:
        """Trials that are there, but for the one that only waits to be the first."""
        return sum(trial.state != TrialState.WAITING for trial in self.trials())

    def num_failed(self) -> int:
        return sum(trial.state == TrialState.FAIL for trial in self.trials())

    def num_under_way(self) -> int:
        """Trials that were begun and are not over, whether they run or wait for the next start."""
        return sum(trial.state == TrialState.RUNNING for trial in self.trials())

    def num_over(self) -> int:
        return sum(trial.state in STATES for trial in self.trials())

    def is_late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self.deadline

    def has_failed(self) -> bool:
        """Whether more trials failed than may."""
        return self.num_failed() > self.config.max_failed * self.config.num_trials

    def rows(self) -> list[TrialRow]:
        """Every trial that is over, by number."""
        return [row_of(trial, self.folder) for trial in self.trials() if trial.state in STATES]

    def best(self) -> list[TrialRow]:
        """The best complete trial, or with two objectives those that no other surpasses, by the first objective."""
        return best_rows(self.study, self.folder)

    def _adopt(self, old: FrozenTrial) -> optuna.Trial:
        """Take over a trial that another process began."""
        self._trials[old.number] = optuna.Trial(self.study, old._trial_id)
        return self._trials[old.number]

    def _plan(self, trial: optuna.Trial) -> TrialPlan:
        self._trials[trial.number] = trial
        experiment = self.config.experiment
        self.search(Drawing(trial, experiment, self.config.fixed))  # what was drawn before is drawn again
        trial.set_user_attr("held", dict(self.held))
        return TrialPlan(number=trial.number, overrides=config_values(trial.params, experiment))

    def _record(self, number: int, step: TrialStep) -> optuna.Trial:
        """Write down what a trial says of its epochs, unless it is written."""
        trial, known = self._trials[number], self._frozen(number)
        if step.resumed_after:
            trial.set_user_attr("resumed_after", step.resumed_after)
        for report in step.reports:
            if f"{EPOCH}{report.epoch}" not in known.user_attrs:
                said = {"ms": now_ms(), "seconds": step.seconds, "best_epoch": step.best_epoch}
                trial.set_user_attr(f"{EPOCH}{report.epoch}", said | {"report": dataclasses.asdict(report)})
            is_new = report.epoch not in known.intermediate_values
            if self.config.prunes and report.val is not None and is_new:
                trial.report(report.val.macro_f1, report.epoch)
        return trial

    def _frozen(self, number: int) -> FrozenTrial:
        return self.trials()[number]


def _inside(path: Place, folder: Path) -> str:
    """A path as it stands in a folder that may be moved, or renamed."""
    path = local_of(path)
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
