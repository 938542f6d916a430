"""A sweep as every verb takes and gives it."""

import html
from typing import TYPE_CHECKING, Any

from harray.api.models import Model
from harray.experiment import ExperimentConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harray.evaluation.report import EvaluationReport
    from harray.tuning.outcome import SweepOutcome

BEST_SHOWN = 5


class Sweep:
    """What a search of hyperparameters found; `harray.train(store, config=sweep)` trains its best configuration.

    Attributes:
        outcome: all trials, best first, and where their table and figures are.
        model: the best, trained once more on train and val; None where it was not to be registered.
        report: its scores on the test split; None without a model or such a split.
    """

    def __init__(
        self,
        outcome: "SweepOutcome",
        model: Model | None = None,
        report: "EvaluationReport | None" = None,
    ) -> None:
        self.outcome = outcome
        self.model = model
        self.report = report

    @property
    def experiment(self) -> ExperimentConfig:
        """The best trial's whole configuration."""
        return self.outcome.experiment

    @property
    def best(self) -> dict[str, Any]:
        """What the search drew for the best trial, by dotted key."""
        return dict(self.outcome.best[0].params)

    def figure(self) -> "Figure":
        """Every trial's score, in the order of the trials, and the best so far."""
        from matplotlib.figure import Figure

        rows = sorted((row for row in self.outcome.rows if row.values), key=lambda row: row.number)
        numbers, scores = [row.number for row in rows], [row.values[0] for row in rows]
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(numbers, scores, "o", label="trial")
        axes.step(
            numbers, [max(scores[: i + 1]) for i in range(len(scores))], where="post", label="best so far"
        )
        axes.set(xlabel="trial", ylabel="val macro F1")
        axes.legend(frameon=False)
        return figure

    def __repr__(self) -> str:
        return f"Sweep({str(self.outcome.folder)!r})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{row.number}</td><td>{row.values[0]:.3f}</td><td>{row.num_epochs}</td>"
            f"<td>{html.escape(', '.join(f'{name}={_short(value)}' for name, value in row.params.items()))}</td></tr>"
            for row in self.outcome.rows[:BEST_SHOWN]
            if row.values
        )
        head = "<tr><th>trial</th><th>val macro F1</th><th>epochs</th><th>drawn</th></tr>"
        title = f"Sweep of {len(self.outcome.rows)} trials in {self.outcome.seconds:.0f} s"
        return f"<b>{title}</b><table>{head}{rows}</table>"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
