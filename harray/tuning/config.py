"""What a sweep is asked to do, and a trial. Plain values: they stand in files and travel to workers, which need no
Optuna for them."""

from dataclasses import dataclass, field
from typing import Any, Literal

from harray.config import digest, flatten
from harray.experiment import ExperimentConfig

ACCURACY, LATENCY = "accuracy", "accuracy-latency"


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """What a sweep is asked to do; `sweep.yaml` in its folder."""

    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)
    """Where the search starts: the first trial, and all that no trial changes."""
    recipe: str = ""
    """What `experiment` started from: a recipe's name, or a file."""
    store: str = ""
    """Absolute path of the feature store."""
    store_digest: str = ""
    """Stands for the store's clips, wherever it lies."""
    search: str = "all"
    """A named search space, or the user's own as FILE.py:NAME."""
    space: tuple[str, ...] = ()
    """What `search` draws from, a line per key, by which a changed file is told from a moved one."""
    fixed: tuple[str, ...] = ()
    """Keys of `experiment` that are not searched."""
    objective: Literal["accuracy", "accuracy-latency"] = ACCURACY
    """Val macro F1, alone or against the time to recognise a clip."""
    reduction: int = 2
    """Of pruning (ASHA): one trial in so many goes on from rung to rung."""
    num_trials: int = 24
    """Trials in all, those of earlier starts included."""
    max_failed: float = 0.25
    """Share of `num_trials` that may fail before the sweep stops."""
    time_budget_sec: float | None = None
    """Of this start; None for no limit."""
    at_once: int | None = None
    """Trials at the same time; None for as many as the cluster holds."""
    workers_per_trial: int = 0
    """Ray Train workers in each trial; 0 trains in the trial's own process."""
    resume: bool | None = False
    """Whether to go on with the same sweep, begun earlier; None for where there is one."""

    @property
    def prunes(self) -> bool:
        """Whether trials that fall behind are pruned; with two objectives nothing says which do."""
        return self.objective == ACCURACY

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Of the objectives, in Optuna's words."""
        return ["maximize"] if self.objective == ACCURACY else ["maximize", "minimize"]

    @property
    def first_rung(self) -> int:
        """Epochs before a trial is judged for the first time."""
        return max(1, self.experiment.training.num_epochs // 4)

    @property
    def digest(self) -> str:
        """Stands for all that makes it the same sweep."""
        return digest(self.identity())

    def identity(self) -> dict[str, Any]:
        """All that makes it the same sweep, by name; with more trials, or on a moved store, it still is."""
        own = ("store_digest", "objective", "reduction", "fixed")
        values = {name: getattr(self, name) for name in own}
        space = dict(line.partition(": ")[::2] for line in self.space)
        values |= {f"search of {name}": text for name, text in space.items()}
        values |= flatten(self.experiment)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def differences(self, now: "SweepConfig") -> list[str]:
        """What this sweep was asked, and what is asked now, where it is not the same."""
        before, after = self.identity(), now.identity()
        return [
            f"{name} was {_short(before.get(name))}, is {_short(after.get(name))}"
            for name in sorted(before | after)
            if before.get(name) != after.get(name)
        ]


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """A trial to run."""

    number: int
    overrides: dict[str, Any]
    """Of the sweep's `experiment`, typed."""


def _short(value: Any) -> str:
    text = "not there" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
