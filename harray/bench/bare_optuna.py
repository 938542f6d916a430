"""The yardstick of a sweep's cost: the same trials in a loop as anyone would write it, in one process, on tensors that
lie ready; no Ray, no MLflow, nothing kept.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.features.tensors import ClipTensors
from harray.search_spaces import config_values, first_point, search_named
from harray.store import FeatureStore
from harray.tracking.sweeps import JOURNAL_FILE, Journal
from harray.training.run import device_named, new_trainer, threads, training_clips
from harray.tuning.settings import STUDY_FILE, SweepSettings
from harray.tuning.study import pruner_for, sampler_for


@dataclass(frozen=True, kw_only=True)
class TrialTime:
    """What a trial was, and what it cost."""

    params: dict[str, Any]
    num_epochs: int
    train_sec: float  # of its epochs
    wall_sec: float  # since the trial before it ended; of the first, since it began


def bare_times(store: Path, base: ExperimentConfig, settings: SweepSettings) -> tuple[float, list[TrialTime]]:
    """Wall time of the loop, and its trials; reading the clips is not in it."""
    train, val = training_clips(base.learning, FeatureStore.open(store))
    assert val is not None, "the sweep that this is compared with has refused such a store"
    started = time.perf_counter()
    study = optuna.create_study(
        sampler=sampler_for(settings, 0), pruner=pruner_for(settings), directions=settings.directions
    )
    search = search_named(settings.search)
    study.enqueue_trial(first_point(search, base))
    times: list[TrialTime] = []

    def objective(trial: optuna.Trial) -> float:
        before = time.perf_counter()
        search(trial)
        config = with_overrides(base, config_values(trial.params, base))
        value, num_epochs, train_sec, pruned = _train(trial, config, train, val)
        times.append(
            TrialTime(
                params=trial.params,
                num_epochs=num_epochs,
                train_sec=train_sec,
                wall_sec=time.perf_counter() - before,
            )
        )
        if pruned:
            raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=settings.num_trials)
    return time.perf_counter() - started, times


def _train(
    trial: optuna.Trial,
    config: ExperimentConfig,
    train: ClipTensors,
    val: ClipTensors,
) -> tuple[float, int, float, bool]:
    """Value, epochs, their seconds, and whether it was stopped early."""
    device = device_named(config.training.device)
    seconds, value, epoch = 0.0, 0.0, 0
    with threads(config.training.num_threads, device):
        trainer = new_trainer(config.learning, train, val, device)
        for report in trainer.epochs():
            assert report.val is not None
            seconds, epoch = seconds + report.seconds, report.epoch
            trial.report(report.val.macro_f1, report.epoch)
            if trial.should_prune():
                return report.val.macro_f1, epoch, seconds, True
        best = trainer.progress.history[trainer.progress.best_epoch - 1].val
        value = best.macro_f1 if best else value
    return value, epoch, seconds, False


def sweep_times(folder: Path) -> list[TrialTime]:
    """The same of a finished sweep's folder, trial after trial, as one actor ran them."""
    storage = JournalStorage(JournalFileBackend(str(folder / STUDY_FILE)))
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    epochs: dict[int, list[float]] = {}
    journal = Journal(folder / JOURNAL_FILE)
    journal.close()
    for _, event in journal.events:
        if event["event"] == "metrics":
            epochs.setdefault(event["trial"], []).append(event["metrics"]["train.epoch_sec"])
    times: list[TrialTime] = []
    before = None
    for trial in trials:
        assert trial.datetime_start is not None and trial.datetime_complete is not None
        begun = before or trial.datetime_start
        times.append(
            TrialTime(
                params=trial.params,
                num_epochs=len(epochs[trial.number]),
                train_sec=sum(epochs[trial.number]),
                wall_sec=(trial.datetime_complete - begun).total_seconds(),
            )
        )
        before = trial.datetime_complete
    return times
