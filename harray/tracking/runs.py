"""One MLflow run: parameters, metrics per epoch, tags, files and the packaged model, without global state."""

import contextlib
import dataclasses
import json
import logging
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from harray.config import flatten
from harray.errors import InputError
from harray.names import sqlite_file, without_password
from harray.tracking.location import artifact_location, check_answers, connect, refusal
from harray.tracking.origin import STORE_DIGEST_TAG, STORE_TAG, origin_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from harray.training.loop import EpochReport

Outcome = TypeVar("Outcome")
_log = logging.getLogger(__name__)

EXPERIMENT = "harray"
PARENT_TAG = "mlflow.parentRunId"  # of a run that belongs to another one, such as a sweep's
EPOCH_METRIC = "train.epoch_sec"  # every epoch has it

# MLflow's own limits (mlflow.utils.validation)
MAX_PARAMS, MAX_METRICS, _MAX_VALUE_CHARS = 100, 800, 6000  # 1000 in a request, tags and parameters included
_MAX_NAME_CHARS = 200  # of 250, the rest for what stands beside a split's name
PASSING = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"}


class Measured(NamedTuple):
    """A metric's value at one step."""

    name: str
    value: float
    ms: int  # when it was measured
    step: int


class TrainingRun:
    """A run that is open inside `with`; it ends FINISHED, FAILED on an exception, KILLED on Ctrl-C and SIGTERM.

        with TrainingRun(uri, config, name="default", tags={"harray.store_digest": digest}) as run:
            run.log_metrics({"train.loss": 1.3, "val.top1": 0.4}, step=0)
            run.log_artifact(report)
            model_id = run.log_model(checkpoint)

    Metrics that a store does not take, be its server away or the run deleted, are kept and sent with the next; they
    are an error only when the run ends without having placed them, so that no store costs a metric or a training.

    Args:
        uri: from `tracking_uri`.
        config: any frozen config; its flat dotted names become parameters that replay as `key=value`.
        tags: what identifies data and origin; harray's version and git commit are added, and the store becomes the
            run's data set.
        run_id: an existing run to go on with instead of a new one; its parameters stay as they are. One that is
            gone is begun anew.
    """

    def __init__(
        self,
        uri: str,
        config: Any,
        *,
        name: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> None:
        self.uri = uri
        self.config = config
        self.name = name
        self.tags = dict(tags or {})
        self.run_id = run_id or ""
        self.client: MlflowClient
        self.experiment_id: str
        self._pending: list[Measured] = []
        self._epochs: set[int] = set()  # whose metrics the run has

    def __enter__(self) -> Self:
        self.client = connect(self.uri)
        with recording(self.uri):
            self.experiment_id = experiment_id(self.client, self.uri)
            if self.run_id and self._reopened():
                return self
            self.run_id = create_run(self.client, self.experiment_id, self.name, self.tags)
        try:
            log_batches(self.client, self.run_id, params=parameter_texts(self.config))
            log_data_set(self.client, self.run_id, self.tags)
        except BaseException as error:  # `with` does not close what could not be entered
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with recording(self.uri, self.run_id):
                self.flush()
                self.client.set_terminated(self.run_id, status="FINISHED")
            return
        try:
            check_answers(self.uri, timeout_sec=2.0)  # MLflow would try for minutes
            said = without_password(f"{type(error).__name__}: {error}")[:500]
            self.client.set_tag(self.run_id, "harray.error", said)
            self.client.set_terminated(self.run_id, status=status_of(error))
            self.flush()
        except Exception as closing:
            error.add_note(f"and the MLflow run {self.run_id} could not be closed: {closing}")

    def _reopened(self) -> bool:
        """Whether the run is there to go on with."""
        from mlflow.exceptions import MlflowException

        try:
            is_there = self.client.get_run(self.run_id).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            is_there = False
        if is_there:
            self.client.update_run(self.run_id, status="RUNNING")
            history = self.client.get_metric_history(self.run_id, EPOCH_METRIC)
            self._epochs = {metric.step for metric in history}
        return is_there

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record an epoch's metrics in one request; MLflow's own retries apply."""
        from mlflow.exceptions import MlflowException

        now_ms = time.time_ns() // 1_000_000
        self._pending += [Measured(name, value, now_ms, step) for name, value in metrics.items()]
        try:
            self.flush()
        except MlflowException as error:
            _log.warning("run %s did not take its metrics: %s", self.run_id, without_password(error.message))

    def log_epoch(self, report: "EpochReport") -> None:
        """Record an epoch's metrics, unless the run has them, from an earlier process or from now."""
        if report.epoch not in self._epochs:
            self.log_metrics(epoch_metrics(report), step=report.epoch)
            self._epochs.add(report.epoch)

    def flush(self) -> None:
        """Send the metrics that were kept back."""
        log_batches(self.client, self.run_id, self._pending)
        self._pending.clear()

    def log_artifact(self, file: Path) -> None:
        """Copy a file into the run's artifacts."""
        self.client.log_artifact(self.run_id, str(file))

    def log_model(self, checkpoint: Path, *, name: str = "model", step: int = 0) -> str:
        """Package a checkpoint folder and log it with this run; the answer is its model id.

        It is then `runs:/<run id>` to harray, and `models:/<model id>` or `runs:/<run id>/model` to MLflow.
        """
        from harray.tracking.packaging import log_model

        return log_model(self.client, self.experiment_id, self.run_id, checkpoint, name=name, step=step)


def status_of(error: BaseException | None) -> str:
    """How MLflow calls the ending of a run; an interruption is no failure: the work can be gone on with."""
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


class NotRecorded(InputError):
    """The tracking store does not take what is to be recorded.

    Attributes:
        outcome: what the work came to all the same, where it was done; to be shown before the error.
    """

    outcome: Any = None

    def after(self, outcome: Any, advice: str) -> "NotRecorded":
        """The same error once the work is done, with what to do now."""
        error = NotRecorded(f"{self}; {advice}")
        error.outcome = outcome
        return error


def outcome_of(work: Callable[[], Outcome]) -> tuple[Outcome, NotRecorded | None]:
    """What work came to, and the error to raise once that is shown where it could not be recorded."""
    try:
        return work(), None
    except NotRecorded as error:
        if error.outcome is None:
            raise
        return error.outcome, error


@contextlib.contextmanager
def recording(uri: str, run_id: str = "") -> Generator[None]:
    """Steps that write to a tracking store; what it refuses comes out in a line.

    Raises:
        NotRecorded: a deleted run, credentials that do not suffice, a server that went away, a full disk.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if refused := refusal(uri, error):
            raise NotRecorded(str(refused)) from error
        raise NotRecorded(f"tracking store {without_password(uri)}: {_why(error.message, run_id)}") from error
    except (InputError, OSError) as error:
        raise NotRecorded(without_password(str(error) or type(error).__name__)) from error


def _why(message: str, run_id: str) -> str:
    """MLflow's own words, with what to do where a run was deleted."""
    text = without_password(message.partition("\n")[0])[:300]
    if "deleted" not in text.lower():
        return text
    return f"run {run_id} was deleted; `mlflow runs restore --run-id {run_id}` brings it back"


def record_evaluation(
    uri: str,
    run_id: str,
    metrics: Mapping[str, float],
    files: Path,
    artifact_folder: str,
    tags: Mapping[str, str] | None = None,
) -> bool:
    """Add an evaluation's scores and files to the run that trained the model.

    Args:
        tags: what else is to be known of the scores.

    Returns:
        False where the store at `uri` has no such run: the model came from elsewhere, and nothing is recorded.

    Raises:
        NotRecorded: the run was deleted, or the store does not take them.
    """
    from mlflow.exceptions import MlflowException

    if (file := sqlite_file(uri)) and not file.exists():
        return False
    with recording(uri, run_id):
        client = connect(uri)
        try:
            client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        now_ms = time.time_ns() // 1_000_000
        scores = [Measured(name, value, now_ms, 0) for name, value in metrics.items()]
        log_batches(client, run_id, scores, tags=tags or {})
        client.log_artifacts(run_id, str(files), artifact_folder)
    return True


def store_of_run(uri: str, run_id: str) -> Path | None:
    """The feature store that a run learned from, where it is recorded."""
    from mlflow.exceptions import MlflowException

    try:
        path = connect(uri, must_exist=True).get_run(run_id).data.tags.get(STORE_TAG)
    except MlflowException:
        return None
    return Path(path) if path else None


def mlflow_name(text: str) -> str:
    """A text as a part of a metric's, a tag's or an artifact's name, with codes for what MLflow takes in none."""
    return re.sub(r"^\.|[^\w.\- ]", lambda found: f"-x{ord(found[0]):02x}", text)[:_MAX_NAME_CHARS]


def create_run(
    client: "MlflowClient",
    experiment: str,
    name: str | None,
    tags: Mapping[str, str],
    start_ms: int | None = None,
) -> str:
    """Make a run that says where it comes from; returns its id."""
    tags = {**origin_tags(), **tags}
    return client.create_run(experiment, start_time=start_ms, tags=tags, run_name=name).info.run_id


def log_batches(
    client: "MlflowClient",
    run_id: str,
    metrics: Sequence[Measured] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Add to a run what may be of any number, in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    measured = [Metric(name, float(value), ms, step) for name, value, ms, step in metrics]
    texts = [Param(name, text) for name, text in (params or {}).items()]
    labels = [RunTag(name, text) for name, text in (tags or {}).items()]
    while measured or texts or labels:
        client.log_batch(run_id, measured[:MAX_METRICS], texts[:MAX_PARAMS], labels[:MAX_PARAMS])
        del measured[:MAX_METRICS], texts[:MAX_PARAMS], labels[:MAX_PARAMS]


def log_data_set(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    """Make the store that a run's tags name its data set, as `mlflow.log_input` would; twice is as good as once."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    if not (digest := tags.get(STORE_DIGEST_TAG)):
        return
    path = tags.get(STORE_TAG, "")
    source = json.dumps({"uri": path})
    data = Dataset(Path(path).name or "store", digest, source_type="local", source=source)
    inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
    try:
        client.log_inputs(run_id, inputs)
    except MlflowException:  # another run recorded the same data set in this moment: now it is there
        client.log_inputs(run_id, inputs)


def parameter_texts(config: Any) -> dict[str, str]:
    """A config's leaves as MLflow parameters, each written so that `name=value` reads back to the same leaf.

    A value beyond MLflow's 6000 characters is cut, with an ellipsis; the resolved YAML has it whole.
    """
    return {name: _as_text(value) for name, value in flatten(config).items()}


def epoch_metrics(report: "EpochReport") -> dict[str, float]:
    """An epoch's figures under their MLflow names."""
    metrics = {f"train.loss.{name}": value for name, value in report.losses.items()}
    metrics |= {
        "train.learning_rate": report.learning_rate,
        "train.num_workers": report.num_workers,
        EPOCH_METRIC: report.seconds,
    }
    if report.val is not None and report.val_loss is not None:
        metrics |= {f"val.{name}": value for name, value in dataclasses.asdict(report.val).items()}
        metrics["val.loss"] = report.val_loss
    return metrics


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[: _MAX_VALUE_CHARS - 1]}…"


def check_recording(uri: str) -> None:
    """Try whether runs can be recorded, before the work whose runs they are; a fresh sqlite file can.

    Raises:
        InputError: nothing answers, the credentials are refused, or the experiment was deleted.
    """
    if (file := sqlite_file(uri)) is None or file.exists():
        experiment_id(connect(uri), uri)


def experiment_id(client: "MlflowClient", uri: str, name: str = EXPERIMENT) -> str:
    """The experiment of that name, made where there is none.

    Raises:
        InputError: it was deleted, and MLflow keeps its name.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location(uri))
        except MlflowException:  # another run made it in the meantime
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        where = without_password(uri)
        restore = f"mlflow experiments restore --experiment-id {found.experiment_id}"
        raise InputError(
            f"tracking store {where}: its experiment {name!r} was deleted; bring it back by "
            f"`MLFLOW_TRACKING_URI={where} {restore}`, or name another store with --tracking-uri"
        )
    return found.experiment_id
