"""A little sweep as records, to be changed by hand, for whoever tests what MLflow is told of one."""

import dataclasses
from pathlib import Path

from harray.tracking.runs import Measured
from harray.tracking.sweeps import PARENT, RunRecord, SweepRuns


def record(
    key: str, epochs: int = 0, status: str = "RUNNING", end_ms: int | None = None, **changes
) -> RunRecord:
    """A run of so many epochs, which began at 5 s and took a second each."""
    fields = {
        "name": "sweep" if key == PARENT else f"trial-{key}",
        "start_ms": 5000,
        "tags": {"harray.state": status.lower()},
        "params": lambda: {"seed": "1"},
        "metrics": lambda: [
            Measured(name, value, 5000 + 1000 * epoch, epoch)
            for epoch in range(1, epochs + 1)
            for name, value in {"val.macro_f1": epoch / 10, "train.loss.total": 1 / epoch}.items()
        ],
    }
    return RunRecord(key=key, status=status, end_ms=end_ms, num_epochs=epochs, **{**fields, **changes})


def closed(record: RunRecord, status: str = "FINISHED", end_ms: int = 9000, **changes) -> RunRecord:
    """The run when it has ended."""
    tags = {"harray.state": status.lower()}
    return dataclasses.replace(record, status=status, end_ms=end_ms, **{"tags": tags, **changes})


class Sweep:
    """Records by key, the parent's first."""

    def __init__(self, *records: RunRecord):
        self.records = {record.key: record for record in records}

    def show(self, record: RunRecord) -> None:
        self.records[record.key] = record

    def runs(self, uri: str, kept_in: Path = Path("sweeps/all-1")) -> SweepRuns:
        return SweepRuns(uri, "sweep-1", lambda: list(self.records.values()), kept_in=kept_in)
