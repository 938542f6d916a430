"""A sweep's runs in MLflow, kept as its records say: one parent, one nested run a trial, whatever is killed or away.

    records (made of the study) --thread, what changed since--> MLflow

Nothing is remembered but in memory: what MLflow has is looked up when a process begins and after every failure.
Writing the same once more changes nothing: a run is found by its tags before it is made, MLflow keeps equal metrics
of one moment once, and a run that was closed at the moment that its record names is passed over. A run that somebody
deleted is made anew. Nobody else may import MLflow meanwhile: two threads that do so at once break its import.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harray.errors import InputError
from harray.names import without_password
from harray.reporting import SILENT, Reporter
from harray.tracking.location import (
    Unreachable,
    check_answers,
    connect,
    environment,
    refusal,
)
from harray.tracking.runs import (
    PARENT_TAG,
    PASSING,
    Measured,
    NotRecorded,
    create_run,
    experiment_id,
    log_batches,
    log_data_set,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SWEEP_TAG, TRIAL_TAG = "harray.sweep", "harray.trial"
PARENT = "sweep"  # the parent's TRIAL_TAG
TICK_SEC, RETRY_SEC = 1.0, 2.0
SAY_EVERY_SEC = 15.0
# Our retries look for what the last attempt made, MLflow's own would not; nor may one request hold up the thread.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that a run is to show; two that are equal show the same."""

    key: str
    """PARENT, or a trial's number."""
    name: str
    status: str
    """RUNNING, FINISHED, FAILED or KILLED, as MLflow has it."""
    start_ms: int
    end_ms: int | None
    """When it was closed; None while it runs."""
    tags: Mapping[str, str]
    num_epochs: int = 0
    """That its metrics are of."""
    files: tuple[Path, ...] = ()
    """Copied into its artifacts."""
    params: Callable[[], Mapping[str, str]] = field(compare=False)
    metrics: Callable[[], Sequence[Measured]] = field(compare=False)
    """All of them; while it runs, new ones come at the end."""


class SweepRuns:
    """Runs of a sweep; inside `with` a thread writes what changed, about once a second, and stops no trial for it.

        with SweepRuns(uri, "all-1f00", records, kept_in=folder) as runs:
            ...
            runs.drain(reporter)

    Args:
        uri: from `tracking_uri`.
        sweep: a name that no other sweep of this tracking store has.
        records: what the runs are to show now, the parent's first.
        kept_in: where the records come from, for messages.
    """

    def __init__(
        self,
        uri: str,
        sweep: str,
        records: Callable[[], Iterable[RunRecord]],
        *,
        kept_in: Path,
    ):
        self.uri = uri
        self.sweep = sweep
        self.records = records
        self.kept_in = kept_in
        self.run_ids: dict[str, str] = {}
        self.trouble = ""  # why the last attempt failed; empty when it did not
        self.is_lasting = False  # whether waiting does not mend it: somebody must do something
        self.fault: Exception | None = None  # of harray's own
        self._client: MlflowClient | None = None  # None: what MLflow has is to be looked up
        self._experiment_id = ""
        self._found: dict[str, Run] = {}  # looked up, and not written since
        self._written: dict[str, RunRecord] = {}
        self._num_metrics: dict[str, int] = {}  # of a record that are written
        self._said = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    @property
    def run_id(self) -> str:
        """Of the parent; empty until it is there."""
        return self.run_ids.get(PARENT, "")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._stop.is_set():  # not drained: an error, or an interruption
            self._halt()
            self._attempt()

    def drain(self, reporter: Reporter = SILENT, patience_sec: float = 600.0) -> None:
        """Write all that is not written, everything looked up once more, and end the thread.

        Raises:
            NotRecorded: the server stayed away too long, or waiting is of no use.
        """
        self._halt()
        self._client = None
        deadline = time.monotonic() + patience_sec
        while not self._attempt():
            if self.fault:
                raise self.fault
            if self.is_lasting or time.monotonic() > deadline:
                raise NotRecorded(
                    f"tracking store {without_password(self.uri)}: {self.trouble}; {self._waiting()} in "
                    f"{self.kept_in}, and the same command with --resume sends what is missing"
                )
            self.say_trouble(reporter)
            time.sleep(RETRY_SEC)

    def say_trouble(self, reporter: Reporter) -> None:
        """Tell, not too often, that the server is away or takes nothing, where it is so."""
        if not self.trouble or time.monotonic() - self._said < SAY_EVERY_SEC:
            return
        self._said = time.monotonic()
        what, when = ("takes no records", "then") if self.is_lasting else ("is away", "when it is back")
        reporter.say(
            f"tracking store {without_password(self.uri)} {what} ({self.trouble}); {self._waiting()} in "
            f"{self.kept_in}, sent {when}"
        )

    def _waiting(self) -> str:
        count = len(self._unwritten())
        return f"{count} run waits" if count == 1 else f"{count} runs wait"

    def _halt(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.is_set() and not self.fault:
            self._stop.wait(TICK_SEC if self._attempt() else RETRY_SEC)

    def _attempt(self) -> bool:
        """Write; on failure say why in `trouble`, or in `fault` where it is ours.

        What is refused is looked up and tried once more before it counts as lasting: a run may have been deleted.
        """
        from mlflow.exceptions import MlflowException

        was_looked_up = self._client is not None
        try:
            with environment(_ENVIRONMENT):
                self._write_all()
        except (MlflowException, InputError, OSError) as error:
            if isinstance(error, MlflowException):
                waiting_helps = error.error_code in PASSING
                said = str(refusal(self.uri, error) or error.message)
            else:
                waiting_helps = isinstance(error, (Unreachable, OSError)) and not isinstance(
                    error, FileNotFoundError
                )
                said = str(error)
            self.is_lasting = not was_looked_up and not waiting_helps
            self._client = None
            where = f"tracking store {without_password(self.uri)}: "
            self.trouble = without_password(said.partition("\n")[0]).removeprefix(where)[:300]
            return False
        except Exception as error:  # of this thread, which nobody else would see
            self.fault = error
            return False
        self.trouble, self.is_lasting = "", False
        return True

    def _write_all(self) -> None:
        if self._client is not None and not self._unwritten():
            return
        client = self._connected()
        for record in self._unwritten():
            self._write(client, record)
            self._written[record.key] = record

    def _unwritten(self) -> list[RunRecord]:
        return [record for record in self.records() if self._written.get(record.key) != record]

    def _connected(self) -> "MlflowClient":
        if self._client is not None:
            check_answers(self.uri, timeout_sec=2.0)
            return self._client
        client = connect(self.uri, timeout_sec=2.0)
        self._experiment_id = experiment_id(client, self.uri)
        self._found = self._look_up(client)
        self.run_ids = {key: run.info.run_id for key, run in self._found.items()}
        self._written, self._num_metrics = {}, {}
        self._client = client
        return client

    def _look_up(self, client: "MlflowClient") -> "dict[str, Run]":
        """The runs of this sweep that are there already."""
        found: dict[str, Run] = {}
        token = None
        while True:
            query = f"tags.`{SWEEP_TAG}` = '{self.sweep}'"
            page = client.search_runs([self._experiment_id], query, max_results=1000, page_token=token)
            found |= {run.data.tags[TRIAL_TAG]: run for run in page}
            token = page.token
            if not token:
                return found

    def _write(self, client: "MlflowClient", record: RunRecord) -> None:
        """Let a run be as its record says; what closes it comes last."""
        key, before = record.key, self._written.get(record.key)
        found = self._found.pop(key, None)
        tags = {**record.tags, SWEEP_TAG: self.sweep, TRIAL_TAG: key}
        if key != PARENT:
            tags[PARENT_TAG] = self.run_ids[PARENT]
        if found and record.end_ms and _is_closed(found, record, tags):
            return
        known: dict[str, str] = found.data.params if found else {}
        if key not in self.run_ids:
            self.run_ids[key] = create_run(client, self._experiment_id, record.name, tags, record.start_ms)
        params = {} if before else {n: text for n, text in record.params().items() if n not in known}
        measured, num_metrics = record.metrics(), self._num_metrics.get(key, 0)
        if before and before.tags == record.tags:
            tags = {}
        log_batches(client, self.run_ids[key], measured[num_metrics:], params, tags)
        self._num_metrics[key] = len(measured)
        if not before:
            log_data_set(client, self.run_ids[key], record.tags)
        for file in record.files:
            client.log_artifact(self.run_ids[key], str(file))
        status = before.status if before else found.info.status if found else "RUNNING"
        if record.end_ms:
            client.set_terminated(self.run_ids[key], status=record.status, end_time=record.end_ms)
        elif status != record.status:
            client.update_run(self.run_ids[key], status=record.status)


def _is_closed(run: "Run", record: RunRecord, tags: dict[str, str]) -> bool:
    """Whether a run has all of its record: its closing, at that moment, was the last that was written."""
    return (run.info.status, run.info.end_time) == (record.status, record.end_ms) and all(
        run.data.tags.get(name) == text for name, text in tags.items()
    )
