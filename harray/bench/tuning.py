"""What a sweep costs beside its trainings: the same short trials as a bare Optuna loop, and by `harray tune`."""

import dataclasses
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from harray.api.tune import sweep_config, tune_recorded
from harray.bench.processes import equal_priority
from harray.experiment import ExperimentConfig
from harray.files import Place
from harray.reporting import SILENT, Reporter
from harray.tuning.config import SweepConfig
from harray.workspace import Workspace

ALLOWED_RATIO, ALLOWED_START_SEC, ALLOWED_OVERHEAD_SEC = 1.25, 20.0, 0.5
SEARCH = "optimisation"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningBench:
    """What was measured; `bare` is the loop, `tune` is harray with one warm actor, everything included.

    Attributes:
        beyond_epochs_sec: of a trial's wall time, what is not its epochs: the median of all but the first.
        same_configs: whether both ran the same trials for as many epochs; else nothing is comparable.
    """

    num_trials: int
    num_epochs: int
    bare_sec: float
    tune_sec: float
    first_trial_after_sec: (
        float  # of harray's time: until its first trial ended, less what that trial cost the loop
    )
    beyond_epochs_sec: dict[str, float]
    longest_beyond_epochs_sec: dict[str, float]
    same_configs: bool

    @property
    def overhead_sec(self) -> float:
        """What harray adds to a trial after the first."""
        return self.beyond_epochs_sec["tune"] - self.beyond_epochs_sec["bare"]

    @property
    def allowed_sec(self) -> float:
        return ALLOWED_RATIO * self.bare_sec + ALLOWED_START_SEC

    def to_json(self) -> dict[str, Any]:
        derived = {
            "overhead_sec": self.overhead_sec,
            "ratio": self.tune_sec / self.bare_sec,
            "allowed_sec": self.allowed_sec,
            "within": self.tune_sec <= self.allowed_sec and self.overhead_sec <= ALLOWED_OVERHEAD_SEC,
        }
        return {**dataclasses.asdict(self), **derived}


def bench_tuning(
    store: str | Place, experiment: ExperimentConfig, num_trials: int, reporter: Reporter = SILENT
) -> TuningBench:
    """Measure, the loop first, each in a fresh process or cluster."""
    asked = SweepConfig(search=SEARCH, num_trials=num_trials, at_once=1)
    config = sweep_config(asked, store, experiment)
    with tempfile.TemporaryDirectory(prefix="bench-tuning-") as folder:
        with (
            reporter.progress("bare loop", "trials") as update,
            ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process,
        ):
            process.submit(_warm).result()
            update(0, num_trials)
            bare_sec, bare = process.submit(_bare, config).result()
        started = time.perf_counter()
        with equal_priority():
            outcome = tune_recorded(config, Workspace(folder), reporter)
        tune_sec = time.perf_counter() - started
        from harray.bench.bare_optuna import sweep_times

        tune = sweep_times(outcome.folder)
    beyond = {
        name: [trial.wall_sec - trial.train_sec for trial in trials[1:]]
        for name, trials in (("bare", bare), ("tune", tune))
    }
    ran_sec = sum(trial.wall_sec for trial in tune[1:])
    return TuningBench(
        num_trials=num_trials,
        num_epochs=sum(trial.num_epochs for trial in tune),
        bare_sec=bare_sec,
        tune_sec=tune_sec,
        first_trial_after_sec=tune_sec - ran_sec - bare[0].wall_sec,
        beyond_epochs_sec={name: statistics.median(values) for name, values in beyond.items()},
        longest_beyond_epochs_sec={name: max(values) for name, values in beyond.items()},
        same_configs=[(t.params, t.num_epochs) for t in bare] == [(t.params, t.num_epochs) for t in tune],
    )


def _warm() -> None:
    """Import before the clock starts."""
    import harray.bench.bare_optuna  # noqa: F401


def _bare(config: SweepConfig) -> Any:
    from harray.bench.bare_optuna import bare_times

    return bare_times(config)
