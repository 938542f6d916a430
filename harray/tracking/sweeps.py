"""A sweep's runs in MLflow: one parent, one nested run a trial, whatever is killed or away in between.

    driver --append--> journal.jsonl --thread, batched--> MLflow
                              sent: how far

What happens is written to a journal on disk before anything is sent, and sent by a thread in batches; so an absent
server stops no trial, and a killed driver's successor goes on where it was. Sending twice changes nothing: a run is
looked up by its tags before it is made, and MLflow keeps equal metrics of one moment once. A run that somebody
deleted is made anew, from the journal. Nobody else may import MLflow meanwhile: two threads that do so at once break
its import.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from harray.errors import InputError
from harray.tracking.location import (
    Unreachable,
    check_answers,
    connect,
    environment,
    refusal,
    without_password,
)
from harray.tracking.runs import (
    EXPERIMENT,
    MAX_METRICS,
    MAX_PARAMS,
    PARENT_TAG,
    PASSING,
    NotRecorded,
    experiment_id,
    log_data_set,
    origin_tags,
    status_of,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

JOURNAL_FILE, SENT_FILE = "journal.jsonl", "sent"
SWEEP_TAG, TRIAL_TAG, STATE_TAG = "harray.sweep", "harray.trial", "harray.state"
TICK_SEC, RETRY_SEC = 1.0, 2.0
SAY_EVERY_SEC = 15.0
INTERRUPTED, RUNNING = "interrupted", "running"  # states of a trial that is not over
_BEGINS, _STOPS = ("start", "resume"), ("pause", "end")  # events
# Our retries look for what the last attempt made, MLflow's own would not; nor may one request hold up the thread.
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}

Trial = int | None  # None is the sweep itself, the parent
Event = dict[str, Any]


class Journal:
    """Events as lines of a file that only grows; a line that a killed process left unfinished is cut off."""

    def __init__(self, file: Path):
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes() if file.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self.events: list[tuple[int, Event]] = []  # (where the line ends, event)
        for line in whole.splitlines(keepends=True):
            self.events.append((self.size + len(line), json.loads(line)))
        self._out = file.open("r+b" if content else "wb", buffering=0)
        self._out.truncate(len(whole))
        self._out.seek(len(whole))

    @property
    def size(self) -> int:
        return self.events[-1][0] if self.events else 0

    def append(self, event: Event) -> tuple[int, Event]:
        line = json.dumps(event).encode() + b"\n"
        self._out.write(line)
        self.events.append((self.size + len(line), event))
        return self.events[-1]

    def close(self) -> None:
        self._out.close()


class SweepLog:
    """Runs of a sweep; open inside `with`, where a thread sends.

        with SweepLog(folder, uri, "all-1f00") as log:
            log.start(None, "all", params={...})
            log.start(0, "trial-000", params={...})
            log.metrics(0, step=1, values={"val.macro_f1": 0.4})
            log.end(0, "FINISHED", tags={"harray.state": "finished"})
            log.drain(say)

    Saying the same again (a start, an epoch, an end) changes nothing, so a successor need not know what was said.
    Left by an error or an interruption, what is under way is marked so, until a successor starts it again.

    Args:
        folder: of the journal.
        uri: from `tracking_uri`.
        sweep: a name that no other sweep of this tracking store has.
    """

    def __init__(self, folder: Path, uri: str, sweep: str, experiment: str = EXPERIMENT):
        self.folder = folder
        self.uri = uri
        self.sweep = sweep
        self.experiment = experiment
        self.run_ids: dict[Trial, str] = {}
        self.trouble = ""  # why the last attempt failed; empty when it did not
        self.lasting = False  # whether waiting does not mend it: somebody must do something
        self.fault: Exception | None = None  # of harray's own
        self._steps: dict[Trial, int] = {}
        self._said: set[tuple[Trial, str]] = set()
        self._last: dict[Trial, str] = {}  # the last of a run's events that begin or stop it
        self._queue: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._unsent = 0
        self._stop = threading.Event()
        self._looked_up = False

    def __enter__(self) -> Self:
        self._journal = Journal(self.folder / JOURNAL_FILE)
        sent_file = self.folder / SENT_FILE
        sent = int(sent_file.read_text()) if sent_file.exists() else 0
        for end, event in self._journal.events:
            self._note(event)
            if end > sent:
                self._put(end, event)
        self._environment = environment(_ENVIRONMENT)
        self._environment.__enter__()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                for trial in self._under_way():
                    self.pause(trial, status_of(error) if trial is None else "KILLED")
        finally:
            self._stop.set()
            self._thread.join()
            self._journal.close()
            self._environment.__exit__(None, None, None)

    def start(
        self, trial: Trial, name: str, *, params: Mapping[str, str], tags: Mapping[str, str] | None = None
    ) -> None:
        """Begin a run, or go on with one that was paused; the parent also after its end."""
        if (trial, "start") not in self._said:
            self._add("start", trial, name=name, params=dict(params), tags=dict(tags or {}))
        elif self._last[trial] == "pause" or (trial is None and self._last[trial] == "end"):
            self._add("resume", trial, tags={STATE_TAG: RUNNING})

    def pause(self, trial: Trial, status: str = "KILLED") -> None:
        """Stop a run that can be gone on with."""
        self._add("pause", trial, status=status, tags={STATE_TAG: INTERRUPTED})

    def metrics(self, trial: Trial, step: int, values: Mapping[str, float]) -> None:
        """Record an epoch's metrics; epochs come in order, one that was recorded is passed over."""
        if step > self._steps.get(trial, -1):
            self._add("metrics", trial, step=step, metrics=dict(values))

    def end(
        self,
        trial: Trial,
        status: str,
        *,
        tags: Mapping[str, str] | None = None,
        values: Mapping[str, float] | None = None,
    ) -> None:
        """End a run, once; the parent may end again, after more trials."""
        if trial is None or (trial, "end") not in self._said:
            self._add("end", trial, status=status, tags=dict(tags or {}), metrics=dict(values or {}), step=0)

    def files(self, trial: Trial, paths: Sequence[Path], folder: str | None = None) -> None:
        """Copy files into a run's artifacts; they must stay where they are until they are sent."""
        inside = [
            path.relative_to(self.folder) if path.is_relative_to(self.folder) else path for path in paths
        ]
        self._add("files", trial, paths=[str(path) for path in inside], folder=folder)

    def num_unsent(self) -> int:
        return self._unsent

    def drain(self, say: Callable[[str], None], patience_sec: float = 600.0) -> None:
        """Wait until everything is sent.

        Raises:
            NotRecorded: the server stayed away too long, or waiting is of no use; nothing is lost, since the journal
                has it.
        """
        deadline, said = time.monotonic() + patience_sec, time.monotonic()
        while self._unsent and not self.fault:
            now = time.monotonic()
            if now > deadline or self.lasting:
                raise NotRecorded(
                    f"tracking store {without_password(self.uri)}: {self.trouble or 'too slow'}; {self._unsent} "
                    f"records wait in {self.folder / JOURNAL_FILE}, and the same command with --resume sends them"
                )
            if now - said > SAY_EVERY_SEC and self.trouble:
                said = now
                self.say_trouble(say)
            time.sleep(0.05)
        if self.fault:
            raise self.fault

    def say_trouble(self, say: Callable[[str], None]) -> None:
        """Tell that the server is away or takes nothing, where it is so."""
        if self.trouble:
            what, when = ("takes no records", "then") if self.lasting else ("is away", "when it is back")
            say(
                f"tracking store {without_password(self.uri)} {what} ({self.trouble}); {self._unsent} records wait"
                f" in {self.folder / JOURNAL_FILE} and are sent {when}"
            )

    def _under_way(self) -> list[Trial]:
        return [trial for trial, event in self._last.items() if event in _BEGINS]

    def _add(self, kind: str, trial: Trial, **values: Any) -> None:
        event = {"event": kind, "trial": trial, "ms": time.time_ns() // 1_000_000, **values}
        end, event = self._journal.append(event)
        self._note(event)
        self._put(end, event)

    def _note(self, event: Event) -> None:
        trial = event["trial"]
        self._said.add((trial, event["event"]))
        if event["event"] in (*_BEGINS, *_STOPS):
            self._last[trial] = event["event"]
        if event["event"] == "metrics":
            self._steps[trial] = max(self._steps.get(trial, -1), event["step"])

    def _put(self, end: int, event: Event) -> None:
        self._unsent += 1
        self._queue.put((end, event))

    def _run(self) -> None:
        waiting: list[tuple[int, Event]] = []
        while True:
            ending = self._stop.is_set()
            while not self._queue.empty():
                waiting.append(self._queue.get())
            if waiting and not self._attempt([event for _, event in waiting]):
                if ending or self.fault:
                    return
                self._stop.wait(RETRY_SEC)
                continue
            if waiting:
                self._acknowledge(waiting[-1][0])
                self._unsent -= len(waiting)
                waiting = []
            if ending:
                return
            self._stop.wait(TICK_SEC)

    def _acknowledge(self, end: int) -> None:
        part = self.folder / f".{SENT_FILE}.part"
        part.write_text(str(end))
        os.replace(part, self.folder / SENT_FILE)

    def _attempt(self, events: list[Event]) -> bool:
        """Send; on failure say why in `trouble`, or in `fault` where it is ours.

        What is refused is looked up and tried once more before it counts as `lasting`: a run may have been deleted.
        """
        from mlflow.exceptions import MlflowException

        again = not self._looked_up
        try:
            self._send(events)
        except (MlflowException, InputError, OSError) as error:
            if isinstance(error, MlflowException):
                waiting_helps = error.error_code in PASSING
                said = str(refusal(self.uri, error) or error.message)
            else:
                waiting_helps = isinstance(error, (Unreachable, OSError)) and not isinstance(
                    error, FileNotFoundError
                )
                said = str(error)
            self.lasting = again and not waiting_helps
            self._looked_up = False
            where = f"tracking store {without_password(self.uri)}: "
            self.trouble = without_password(said.partition("\n")[0]).removeprefix(where)[:300]
            return False
        except Exception as error:  # of this thread, which nobody else would see
            self.fault = error
            return False
        self.trouble, self.lasting = "", False
        return True

    def _send(self, events: list[Event]) -> None:
        client = self._connected()
        by_trial: dict[Trial, list[Event]] = {None: []}
        for event in events:
            by_trial.setdefault(event["trial"], []).append(event)
        for trial, mine in by_trial.items():
            if trial not in self.run_ids:
                mine = self._create(client, trial)
            _log(client, self.run_ids[trial], mine, self.folder)

    def _connected(self) -> "MlflowClient":
        if self._looked_up:
            check_answers(self.uri, timeout_sec=2.0)
            return self._client
        client = connect(self.uri, timeout_sec=2.0)
        self._experiment_id = experiment_id(client, self.uri, self.experiment)
        self.run_ids = self._found(client)
        self._client, self._looked_up = client, True
        return client

    def _found(self, client: "MlflowClient") -> dict[Trial, str]:
        """The runs of this sweep that are there already."""
        found: dict[Trial, str] = {}
        token = None
        while True:
            query = f"tags.`{SWEEP_TAG}` = '{self.sweep}'"
            page = client.search_runs([self._experiment_id], query, max_results=1000, page_token=token)
            for run in page:
                name = run.data.tags[TRIAL_TAG]
                found[None if name == "sweep" else int(name)] = run.info.run_id
            token = page.token
            if not token:
                return found

    def _create(self, client: "MlflowClient", trial: Trial) -> list[Event]:
        """Make a run; what the journal says of it so far, since it may take the place of one that was deleted."""
        mine = [event for _, event in list(self._journal.events) if event["trial"] == trial]
        start = next(event for event in mine if event["event"] == "start")
        tags = {**origin_tags(), SWEEP_TAG: self.sweep, TRIAL_TAG: "sweep" if trial is None else str(trial)}
        if trial is not None:
            tags[PARENT_TAG] = self.run_ids[None]
        run = client.create_run(
            self._experiment_id, start_time=start["ms"], tags=tags, run_name=start["name"]
        )
        if trial is None:
            for child in self.run_ids.values():
                client.set_tag(child, "mlflow.parentRunId", run.info.run_id)
        self.run_ids[trial] = run.info.run_id
        return mine


def _log(client: "MlflowClient", run_id: str, events: list[Event], folder: Path) -> None:
    """A run's events in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [
        Metric(name, float(value), event["ms"], event["step"])
        for event in events
        for name, value in event.get("metrics", {}).items()
    ]
    params = [Param(name, value) for event in events for name, value in event.get("params", {}).items()]
    last = {name: value for event in events for name, value in event.get("tags", {}).items()}
    tags = [RunTag(name, value) for name, value in last.items()]
    while metrics or params or tags:
        client.log_batch(
            run_id, metrics[: MAX_METRICS - 2 * MAX_PARAMS], params[:MAX_PARAMS], tags[:MAX_PARAMS]
        )
        del metrics[: MAX_METRICS - 2 * MAX_PARAMS], params[:MAX_PARAMS], tags[:MAX_PARAMS]
    for event in events:
        if event["event"] == "start":
            log_data_set(client, run_id, event["tags"])
        if event["event"] == "files":
            for path in event["paths"]:
                client.log_artifact(run_id, str(folder / path), event["folder"])
        if event["event"] == "resume":
            client.update_run(run_id, status="RUNNING")
        if event["event"] in _STOPS:
            client.set_terminated(run_id, status=event["status"], end_time=event["ms"])
