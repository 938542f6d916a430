"""A sweep's study in its file, and what it says: trials, their epochs, and which of them are best."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harray.tuning.config import SweepConfig
from harray.tuning.folder import STUDY_FILE

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
STATES = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}
EPOCH = "epoch."  # and its number: the attribute of a trial that holds what it reported then
BEGUN_MS, STANDING = "begun_ms", "standing"  # attributes of the study


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """What became of a trial."""

    number: int
    state: str
    """complete, pruned or failed"""
    values: tuple[float, ...]
    """Of the objectives; the last epoch's where it was pruned, empty where it failed."""
    params: dict[str, Any]
    """What was drawn, by dotted key."""
    seconds: float
    """Of work, all starts together."""
    num_epochs: int
    best_epoch: int
    reason: str
    """Why it was pruned or failed."""
    checkpoint: str
    """Its folder; empty where it is not complete."""


def open_study(folder: Path, config: SweepConfig) -> optuna.Study:
    """The study in that folder, made where it is not there; whoever calls holds the folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _mend(folder / STUDY_FILE)
    study = optuna.create_study(
        storage=_storage(folder),
        study_name="sweep",
        directions=config.directions,
        load_if_exists=True,
        pruner=pruner_for(config),
    )
    # A sampler's stream starts at its seed: a successor must not draw once more what was drawn.
    study.sampler = sampler_for(config, len(study.get_trials(deepcopy=False)))
    return study


def read_study(folder: Path) -> optuna.Study:
    """The study of a sweep to look at, though another process may be at work on it.

    Raises:
        KeyError: it is not begun yet.
    """
    if not (folder / STUDY_FILE).exists():
        raise KeyError(f"{folder}: no {STUDY_FILE} yet")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name="sweep", storage=_storage(folder))


def sampler_for(config: SweepConfig, num_drawn: int) -> optuna.samplers.BaseSampler:
    """TPE (Bergstra et al., 2011), which takes one objective or several; a third of the trials at random first."""
    num_random = max(2, min(10, config.num_trials // 3))
    seed = config.experiment.training.seed + num_drawn
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=num_random, constant_liar=True)


def pruner_for(config: SweepConfig) -> optuna.pruners.BasePruner:
    """ASHA (Li et al., 2020) in Optuna's form, whose memory is the study; none for two objectives."""
    if not config.prunes:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=config.first_rung, reduction_factor=config.reduction
    )


def epochs_of(trial: FrozenTrial) -> list[dict[str, Any]]:
    """What was reported of a trial's epochs, in order.

    Each has `report` (the fields of an EpochReport), `ms` (when it was reported), `seconds` (the trial's work until
    then) and `best_epoch`.
    """
    numbers = sorted(int(name.removeprefix(EPOCH)) for name in trial.user_attrs if name.startswith(EPOCH))
    return [trial.user_attrs[f"{EPOCH}{number}"] for number in numbers]


def last_epoch(trial: FrozenTrial) -> int:
    """The last epoch that a trial reported; 0 where it reported none."""
    return max((epoch["report"]["epoch"] for epoch in epochs_of(trial)), default=0)


def row_of(trial: FrozenTrial, folder: Path) -> TrialRow:
    """What the study says of a trial; `folder` is where the sweep is now."""
    epochs = epochs_of(trial)
    about = (epochs[-1] if epochs else {}) | trial.user_attrs
    return TrialRow(
        number=trial.number,
        state=STATES[trial.state],
        values=tuple(trial.values or ()),
        params=trial.params,
        seconds=about.get("seconds", 0.0),
        num_epochs=last_epoch(trial),
        best_epoch=about.get("best_epoch", 0),
        reason=about.get("reason", ""),
        checkpoint=str(folder / about["checkpoint"]) if "checkpoint" in about else "",
    )


def ranking(rows: Iterable[TrialRow], directions: Sequence[str]) -> list[TrialRow]:
    """Trials from best to worst: the complete by their first objective, then the pruned, then the failed."""
    order = (COMPLETE, PRUNED, FAILED)
    sign = -1 if directions[0] == "maximize" else 1
    return sorted(
        rows, key=lambda row: (order.index(row.state), [sign * v for v in row.values[:1]], row.number)
    )


def best_rows(study: optuna.Study, folder: Path) -> list[TrialRow]:
    """As `StudySweep.best`."""
    if not any(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        return []
    best = [study.best_trial] if len(study.directions) == 1 else study.best_trials
    return ranking([row_of(trial, folder) for trial in best], ["maximize"])


def now_ms() -> int:
    """The time as MLflow writes it."""
    return time.time_ns() // 1_000_000


def _storage(folder: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(folder / STUDY_FILE)))


def _mend(file: Path) -> None:
    """Undo what a killed process leaves: Optuna's lock, and a last line without its end."""
    Path(f"{file}.lock").unlink(missing_ok=True)
    if file.exists() and not (content := file.read_bytes()).endswith(b"\n") and content:
        with file.open("r+b") as journal:
            journal.truncate(content.rfind(b"\n") + 1)
