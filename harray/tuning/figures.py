"""Optuna's own figures of a study, as PNG files."""

import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from harray.tuning.config import LATENCY, SweepConfig

FEWEST_COMPLETE = 3  # trials, before importances say anything
SCORE = "val macro F1"


def write_figures(study: optuna.Study, config: SweepConfig, folder: Path) -> list[Path]:
    """Optimisation history, parameter importances and, with two objectives, the Pareto front; what the trials do not
    give is left out."""
    import matplotlib

    matplotlib.use("Agg")
    with warnings.catch_warnings(), matplotlib.rc_context():  # Optuna's style sheet is not to stay
        warnings.simplefilter(
            "ignore", optuna.exceptions.ExperimentalWarning
        )  # as all its figures are, since 2.2
        return _drawn(study, config.objective == LATENCY, folder)


def _drawn(study: optuna.Study, has_two: bool, folder: Path) -> list[Path]:
    from optuna.visualization import matplotlib as figures

    complete = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    written: list[Path] = []
    if complete and has_two:
        front = figures.plot_pareto_front(study, target_names=[SCORE, "latency (ms)"])
        written.append(_saved(front, folder / "pareto.png"))
    if complete:
        target = _score if has_two else None
        history = figures.plot_optimization_history(study, target=target, target_name=SCORE)
        written.append(_saved(history, folder / "history.png"))
    if len(complete) >= FEWEST_COMPLETE and len({_score(trial) for trial in complete}) > 1:
        target = _shortfall if has_two else None  # Optuna asks what makes a target of one's own low
        importances = figures.plot_param_importances(study, target=target, target_name=SCORE)
        written.append(_saved(importances, folder / "importances.png"))
    return written


def _score(trial: FrozenTrial) -> float:
    return trial.values[0] if trial.values else 0.0


def _shortfall(trial: FrozenTrial) -> float:
    return -_score(trial)


def _saved(axes: Any, file: Path) -> Path:
    import matplotlib.pyplot as plt

    figure = axes.figure
    figure.set_size_inches(9, 6)
    figure.savefig(file, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return file
