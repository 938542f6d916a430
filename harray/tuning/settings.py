"""What a sweep is asked to do, and a trial. Plain values: they stand in files and travel to workers, which should not
import Optuna for them."""

from dataclasses import dataclass
from typing import Any, Literal

ACCURACY, LATENCY = "accuracy", "accuracy-latency"
STUDY_FILE = "optuna.jsonl"


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    store: str = ""
    store_digest: str = ""
    search: str = "all"
    space: tuple[str, ...] = ()  # what the search draws from, a line per key
    objective: Literal["accuracy", "accuracy-latency"] = ACCURACY
    num_trials: int = 24
    num_epochs: int = 60  # of a trial that is not stopped early
    fixed: tuple[str, ...] = ()  # keys that the command line fixes, so that they are not searched
    seed: int = 0
    max_failed: float = 0.25  # share of the trials that may fail before the sweep stops
    reduction: int = 2  # of ASHA: one in so many goes on from rung to rung

    @property
    def prunes(self) -> bool:
        """Whether hopeless trials are stopped early; with two objectives nothing says which are."""
        return self.objective == ACCURACY

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        return ["maximize"] if self.objective == ACCURACY else ["maximize", "minimize"]

    @property
    def first_rung(self) -> int:
        """Epochs before a trial is judged for the first time."""
        return max(1, self.num_epochs // 4)

    def tags(self) -> dict[str, str]:
        """What identifies a sweep's and its trials' data, as MLflow tags."""
        return {
            "harray.store": self.store,
            "harray.store_digest": self.store_digest,
            "harray.search": self.search,
            "harray.objective": self.objective,
        }


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """A trial to run."""

    number: int
    overrides: dict[str, Any]  # typed, of the base config
