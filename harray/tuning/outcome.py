"""What a sweep found: table, figures, the best configuration."""

import contextlib
import csv
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.config import dump, load, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.names import without_password
from harray.search_spaces import config_values
from harray.tracking.runs import NotRecorded
from harray.tuning.folder import BEST_FILE, SUMMARY_FILE, TABLE_FILE

if TYPE_CHECKING:
    from harray.tracking.sweeps import SweepLog
    from harray.tuning.study import Sweep, TrialRow


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What a sweep found."""

    folder: Path
    run_id: str
    tracking_uri: str
    rows: "list[TrialRow]"  # best first
    best: "list[TrialRow]"  # the best, or the Pareto front
    best_config: Path
    figures: list[Path]
    seconds: float  # of this start
    stopped_by: str  # why not all trials began; empty where they did

    @property
    def experiment(self) -> ExperimentConfig:
        """The winner's configuration."""
        return load(ExperimentConfig, self.best_config)

    def to_json(self) -> dict[str, Any]:
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


def finish(
    sweep: "Sweep",
    folder: Path,
    log: "SweepLog",
    uri: str,
    seconds: float,
    on_message: Callable[[str], None],
) -> SweepOutcome:
    """Table, figures and best configuration of a sweep whose trials are over, all in MLflow too.

    Raises:
        InputError: no trial finished.
        NotRecorded: the tracking store does not take it; its `outcome` is the `SweepOutcome`.
    """
    from harray.tuning.figures import write_figures
    from harray.tuning.study import ranking

    settings = sweep.settings
    rows, best = ranking(sweep.rows(), settings.directions), sweep.best()
    stopped_by = _stopped_by(sweep)
    if not best:
        log.end(None, "FAILED", tags={"harray.reason": stopped_by or "no trial finished"})
        with contextlib.suppress(NotRecorded):  # said already, and there is worse to say
            log.drain(on_message)
        raise InputError(_why_none(folder, rows, stopped_by))
    for row in best:
        values = config_values(row.params, sweep.base)
        dump(with_overrides(sweep.base, values), folder / f"trial-{row.number:03d}.yaml")
    dump(load(ExperimentConfig, folder / f"trial-{best[0].number:03d}.yaml"), folder / BEST_FILE)
    _write_table(rows, folder / TABLE_FILE)
    figures = write_figures(sweep.study, settings, folder)
    log.files(None, [folder / BEST_FILE, folder / TABLE_FILE, *figures])
    values = {
        f"best.{name}": value
        for name, value in zip(("val.macro_f1", "latency_ms"), best[0].values, strict=False)
    }
    values |= {"best.trial": best[0].number, "trials.failed": sweep.num_failed(), "trials": len(rows)}
    status = "FAILED" if sweep.has_failed() else "FINISHED"
    log.end(None, status, tags={"harray.reason": stopped_by}, values=values)
    missed = None
    try:
        log.drain(on_message)
    except NotRecorded as error:
        missed = error
    outcome = SweepOutcome(
        folder=folder,
        run_id=log.run_ids.get(None, ""),
        tracking_uri=uri,
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
    return f"sweep {folder}: no trial finished; {why}{advice}"


def _stopped_by(sweep: "Sweep") -> str:
    """Why not all trials are over, and what goes on with them; empty where they are."""
    settings, left = sweep.settings, sweep.settings.num_trials - sweep.num_ended()
    if sweep.has_failed():
        return (
            f"{sweep.num_failed()} trials failed, more than {settings.max_failed:.0%} of {settings.num_trials}; "
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
