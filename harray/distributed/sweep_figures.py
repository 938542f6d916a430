"""Optuna's own figures of a study, as PNG files."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from harray.distributed.sweep_settings import LATENCY, SweepSettings

FEWEST_FINISHED = 2  # trials, before importances say anything


def write_figures(study: optuna.Study, settings: SweepSettings, folder: Path) -> list[Path]:
    """Optimisation history and parameter importances, or the Pareto front; what the trials do not give is left out."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as figures

    finished = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    written: list[Path] = []
    if not finished:
        return written
    name = "val macro F1"
    if settings.objective == LATENCY:
        front = figures.plot_pareto_front(study, target_names=[name, "latency (ms)"])
        written.append(_saved(front, folder / "pareto.png"))
        target: Callable[..., Any] | None = lambda trial: trial.values[0]  # noqa: E731
    else:
        target = None
    history = figures.plot_optimization_history(study, target=target, target_name=name)
    written.append(_saved(history, folder / "history.png"))
    if len(finished) >= FEWEST_FINISHED and len({tuple(t.values or ()) for t in finished}) > 1:
        importances = figures.plot_param_importances(study, target=target, target_name=name)
        written.append(_saved(importances, folder / "importances.png"))
    return written


def _saved(axes: Any, file: Path) -> Path:
    """Write a figure; Optuna's style sheet is not to stay."""
    import matplotlib.pyplot as plt

    figure = axes.figure
    figure.set_size_inches(9, 6)
    figure.savefig(file, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return file


def quiet_optuna() -> None:
    """No notices of features that Optuna calls experimental."""
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
