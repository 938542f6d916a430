"""What MLflow is to show of a sweep, made of its study: a parent run, and a nested one for each trial.

The study and the configuration are all that it is made of, so it can be made at any time, and again.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from harray.config import load, with_overrides
from harray.files import place, remote_of
from harray.search_spaces import config_values
from harray.tracking.origin import origin_tags_of, run_name
from harray.tracking.runs import Measured, epoch_metrics, parameter_texts
from harray.tracking.sweeps import PARENT, RunRecord, SweepRuns
from harray.training.loop import report_from
from harray.tuning.config import SweepConfig
from harray.tuning.folder import BEST_FILE, CONFIG_FILE, ID_FILE, TABLE_FILE
from harray.tuning.study import (
    BEGUN_MS,
    FAILED,
    STANDING,
    STATES,
    best_rows,
    epochs_of,
    read_study,
    row_of,
)

RUNNING, INTERRUPTED = "running", "interrupted"  # states of a trial that is not over
STATE_TAG = "harray.state"


def runs_of(folder: Path, config: SweepConfig, study: optuna.Study, uri: str) -> SweepRuns:
    """A sweep's runs in a tracking store, to be kept as its study says.

    Args:
        uri: from `tracking_uri`.
    """
    name = (folder / ID_FILE).read_text()
    return SweepRuns(uri, name, partial(records_of, folder, config, study), kept_in=folder)


def sync(folder: Path, uri: str) -> None:
    """Let a tracking store show a sweep as its folder has it; what is there already stays as it is.

    Raises:
        InputError: no sweep in that folder.
        NotRecorded: the tracking store does not take it.
    """
    config = load(SweepConfig, folder / CONFIG_FILE)
    runs_of(folder, config, read_study(folder), uri).drain()


def records_of(folder: Path, config: SweepConfig, study: optuna.Study) -> Iterator[RunRecord]:
    """The parent's record, then the trials'."""
    standing = {"status": "RUNNING", "reason": "", "ms": None} | study.user_attrs.get(STANDING, {})
    yield _parent(folder, config, study, standing)
    for trial in study.get_trials(deepcopy=False):
        if trial.state != TrialState.WAITING:
            yield _nested(folder, config, trial, standing)


def _parent(folder: Path, config: SweepConfig, study: optuna.Study, standing: dict[str, Any]) -> RunRecord:
    is_over = standing["status"] != "RUNNING"
    files = [folder / BEST_FILE, folder / TABLE_FILE, *sorted(folder.glob("*.png"))]
    title = run_name(config.recipe, place(config.store), config.experiment.training.seed)
    ms = standing["ms"] if is_over else None
    return RunRecord(
        key=PARENT,
        name=f"{Path(config.search).stem} sweep from {title}",
        status=standing["status"],
        start_ms=study.user_attrs.get(BEGUN_MS, 0),
        end_ms=ms,
        tags=_tags(config) | {"harray.folder": str(remote_of(folder)), "harray.reason": standing["reason"]},
        files=tuple(file for file in files if is_over and file.exists()),
        params=partial(_parent_params, config),
        metrics=partial(_parent_metrics, folder, study, ms),
    )


def _nested(folder: Path, config: SweepConfig, trial: FrozenTrial, standing: dict[str, Any]) -> RunRecord:
    is_over, about = trial.state in STATES, trial.user_attrs
    state = STATES.get(trial.state, RUNNING)
    status, end_ms = "FAILED" if state == FAILED else "FINISHED", _ms(trial.datetime_complete)
    if not is_over:
        status, end_ms = "RUNNING", None
        if standing["status"] != "RUNNING":
            state, status, end_ms = INTERRUPTED, "KILLED", standing["ms"]
    said = {"reason": about.get("reason"), "went_on_after_epoch": about.get("resumed_after")}
    said["checkpoint"] = row_of(trial, folder).checkpoint if is_over else None
    return RunRecord(
        key=str(trial.number),
        name=f"trial-{trial.number:03d}",
        status=status,
        start_ms=_ms(trial.datetime_start) or 0,
        end_ms=end_ms,
        tags=_tags(config)
        | {STATE_TAG: state}
        | {f"harray.{name}": str(text) for name, text in said.items() if text},
        num_epochs=len(epochs_of(trial)),
        params=partial(_trial_params, config, trial),
        metrics=partial(_trial_metrics, folder, trial),
    )


def _tags(config: SweepConfig) -> dict[str, str]:
    """What identifies the data and the question."""
    seed = config.experiment.training.seed
    tags = origin_tags_of(place(config.store), config.store_digest, seed, config.recipe)
    return tags | {"harray.search": config.search, "harray.objective": config.objective}


def _parent_params(config: SweepConfig) -> dict[str, str]:
    prefix = "experiment."
    texts = parameter_texts(config)
    return {
        name.removeprefix(prefix) if name.startswith(prefix) else f"sweep.{name}": text
        for name, text in texts.items()
    }


def _parent_metrics(folder: Path, study: optuna.Study, ms: int | None) -> list[Measured]:
    """What was found, at the end."""
    best = best_rows(study, folder)
    if ms is None or not best:
        return []
    states = [STATES[trial.state] for trial in study.get_trials(deepcopy=False) if trial.state in STATES]
    values: dict[str, float] = dict(
        zip(("best.val.macro_f1", "best.latency_ms"), best[0].values, strict=False)
    )
    values |= {"best.trial": best[0].number, "trials.failed": states.count(FAILED), "trials": len(states)}
    return [Measured(name, value, ms, 0) for name, value in values.items()]


def _trial_params(config: SweepConfig, trial: FrozenTrial) -> dict[str, str]:
    values = config_values(trial.params, config.experiment)
    return parameter_texts(with_overrides(config.experiment, values))


def _trial_metrics(folder: Path, trial: FrozenTrial) -> list[Measured]:
    """Those of the epochs, in order; of a trial that is over also its account and the chosen epoch's scores."""
    measured = [
        Measured(name, value, epoch["ms"], epoch["report"]["epoch"])
        for epoch in epochs_of(trial)
        for name, value in epoch_metrics(report_from(epoch["report"])).items()
    ]
    if trial.state not in STATES:
        return measured
    row, about = row_of(trial, folder), trial.user_attrs
    held = about.get("held", {})
    values = {
        "trial.number": row.number,
        "trial.sec": row.seconds,
        "trial.cpu_sec": row.seconds * held.get("CPU", 0.0),
        "trial.gpu_sec": row.seconds * held.get("GPU", 0.0),
        "trial.num_epochs": row.num_epochs,
        "trial.best_epoch": row.best_epoch,
    }
    values |= {f"best.val.{name}": value for name, value in about.get("val", {}).items()}
    if len(row.values) > 1:
        values["best.latency_ms"] = row.values[1]
    ms = _ms(trial.datetime_complete) or 0
    return measured + [Measured(name, value, ms, 0) for name, value in values.items()]


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
