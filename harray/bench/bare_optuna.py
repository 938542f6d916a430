"""The yardstick of a sweep's cost: the same trials in a loop as anyone would write it, in one process, on tensors that
lie ready; no Ray, no MLflow, nothing kept.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.features.tensors import ClipTensors
from harray.search_spaces import config_values, first_point, search_named
from harray.store import FeatureStore
from harray.training.run import device_named, new_trainer, threads, training_clips
from harray.tuning.config import SweepConfig
from harray.tuning.study import epochs_of, pruner_for, read_study, sampler_for


@dataclass(frozen=True, kw_only=True)
class TrialTime:
    """What a trial was, and what it cost."""

    params: dict[str, Any]
    num_epochs: int
    train_sec: float  # of its epochs
    wall_sec: float  # since the trial before it ended; of the first, since it began


def bare_times(asked: SweepConfig) -> tuple[float, list[TrialTime]]:
    """Wall time of the loop, and its trials; reading the clips is not in it."""
    base = asked.experiment
    train, val = training_clips(base.learning, FeatureStore.open(asked.store))
    assert val is not None, "the sweep that this is compared with has refused such a store"
    started = time.perf_counter()
    study = optuna.create_study(
        sampler=sampler_for(asked, 0), pruner=pruner_for(asked), directions=asked.directions
    )
    search = search_named(asked.search)
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

    study.optimize(objective, n_trials=asked.num_trials)
    return time.perf_counter() - started, times


def _train(
    trial: optuna.Trial,
    config: ExperimentConfig,
    train: ClipTensors,
    val: ClipTensors,
) -> tuple[float, int, float, bool]:
    """Value, epochs, their seconds, and whether it was pruned."""
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
    times: list[TrialTime] = []
    before = None
    for trial in read_study(folder).trials:
        assert trial.datetime_start is not None and trial.datetime_complete is not None
        begun = before or trial.datetime_start
        epochs = [epoch["report"] for epoch in epochs_of(trial)]
        times.append(
            TrialTime(
                params=trial.params,
                num_epochs=len(epochs),
                train_sec=sum(report["seconds"] for report in epochs),
                wall_sec=(trial.datetime_complete - begun).total_seconds(),
            )
        )
        before = trial.datetime_complete
    return times
