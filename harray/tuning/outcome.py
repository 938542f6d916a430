"""What a sweep found: table, figures, the best configuration."""

import contextlib
import csv
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.config import dump, load, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.names import without_password
from harray.reporting import Reporter
from harray.search_spaces import config_values
from harray.tracking.runs import NotRecorded
from harray.tuning.config import SweepConfig
from harray.tuning.folder import BEST_FILE, SUMMARY_FILE, TABLE_FILE

if TYPE_CHECKING:
    from harray.tracking.sweeps import SweepRuns
    from harray.tuning.study import TrialRow
    from harray.tuning.sweep import StudySweep


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What a sweep found."""

    config: SweepConfig
    """What it was asked to do."""
    folder: Path
    run_id: str
    tracking_uri: str
    rows: "list[TrialRow]"
    """Best first."""
    best: "list[TrialRow]"
    """The best, or the Pareto front."""
    best_config: Path
    figures: list[Path]
    seconds: float
    """Of this start."""
    stopped_by: str
    """Why not all trials are over; empty where they are."""

    @property
    def experiment(self) -> ExperimentConfig:
        """The winner's configuration."""
        return load(ExperimentConfig, self.best_config)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        states = [row.state for row in self.rows]
        return {
            "folder": str(self.folder),
            "run_id": self.run_id,
            "tracking_uri": without_password(self.tracking_uri),
            "num_trials": len(self.rows),
            "states": {state: states.count(state) for state in dict.fromkeys(states)},
            "best": [dataclasses.asdict(row) for row in self.best],
            "trials": [dataclasses.asdict(row) for row in self.rows],
            "best_config": str(self.best_config),
            "figures": [str(figure) for figure in self.figures],
            "seconds": self.seconds,
            "stopped_by": self.stopped_by,
        }


def finish(sweep: "StudySweep", runs: "SweepRuns", seconds: float, reporter: Reporter) -> SweepOutcome:
    """Table, figures and best configuration of a sweep that ends here, all of it in MLflow too.

    Raises:
        InputError: no trial is complete.
        NotRecorded: the tracking store does not take it; its `outcome` is the `SweepOutcome`.
    """
    from harray.tuning.figures import write_figures
    from harray.tuning.study import ranking

    folder, experiment = sweep.folder, sweep.config.experiment
    rows, best, stopped_by = ranking(sweep.rows(), sweep.config.directions), sweep.best(), _stopped_by(sweep)
    if not best:
        sweep.set_status("FAILED", stopped_by or "no trial is complete")
        with contextlib.suppress(NotRecorded):  # said already, and there is worse to say
            runs.drain(reporter)
        raise InputError(_why_none(folder, rows, stopped_by))
    for row in best:
        dump(
            with_overrides(experiment, config_values(row.params, experiment)),
            folder / f"trial-{row.number:03d}.yaml",
        )
    dump(load(ExperimentConfig, folder / f"trial-{best[0].number:03d}.yaml"), folder / BEST_FILE)
    _write_table(rows, folder / TABLE_FILE)
    figures = write_figures(sweep.study, sweep.config, folder)
    sweep.set_status("FAILED" if sweep.has_failed() else "FINISHED", stopped_by)
    missed = None
    try:
        runs.drain(reporter)
    except NotRecorded as error:
        missed = error
    outcome = SweepOutcome(
        config=sweep.config,
        folder=folder,
        run_id=runs.run_id,
        tracking_uri=runs.uri,
        rows=rows,
        best=best,
        best_config=folder / BEST_FILE,
        figures=figures,
        seconds=seconds,
        stopped_by=stopped_by,
    )
    if missed:
        raise missed.after(outcome, "the sweep itself is kept")
    if not stopped_by:
        (folder / SUMMARY_FILE).write_text(json.dumps(outcome.to_json(), default=str))
    return outcome


def _why_none(folder: Path, rows: "list[TrialRow]", stopped_by: str) -> str:
    reasons = "; ".join(list(dict.fromkeys(row.reason for row in rows if row.reason))[:3])
    why = f"{stopped_by or 'all ended otherwise'}{f' ({reasons})' if reasons else ''}"
    advice = "" if stopped_by else "; give it a narrower search"
    return f"sweep {folder}: no trial is complete; {why}{advice}"


def _stopped_by(sweep: "StudySweep") -> str:
    """Why not all trials are over, and what goes on with them; empty where they are."""
    config, left = sweep.config, sweep.config.num_trials - sweep.num_over()
    if sweep.has_failed():
        return (
            f"{sweep.num_failed()} trials failed, more than {config.max_failed:.0%} of {config.num_trials}; "
            "--resume with a higher --max-failed goes on"
        )
    under_way = f", {count} of them under way" if (count := sweep.num_under_way()) else ""
    return f"time was up with {left} trials to go{under_way}; --resume goes on" if left > 0 else ""


def _write_table(rows: "list[TrialRow]", file: Path) -> None:
    names = sorted({name for row in rows for name in row.params})
    with file.open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["trial", "state", "value", "latency_ms", "epochs", "seconds", "reason", *names])
        for row in rows:
            values = [*row.values, "", ""][:2]
            about = [row.number, row.state, *values, row.num_epochs, f"{row.seconds:.2f}", row.reason]
            writer.writerow([*about, *(row.params.get(name, "") for name in names)])
