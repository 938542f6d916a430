"""One MLflow run: parameters, metrics per epoch, tags, files and the packaged model, without global state."""

import contextlib
import dataclasses
import getpass
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import harray
from harray.config import flatten
from harray.tracking.location import artifact_location, connect, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    from harray.training.loop import EpochReport

EXPERIMENT = "harray"
STORE_TAG, STORE_DIGEST_TAG, RECIPE_TAG = "harray.store", "harray.store_digest", "harray.recipe"
PARENT_TAG = "mlflow.parentRunId"  # of a run that belongs to another one, such as a sweep's
EPOCH_METRIC = "train.epoch_sec"  # every epoch has it

# MLflow's own limits (mlflow.utils.validation)
MAX_PARAMS, MAX_METRICS, _MAX_VALUE_CHARS = 100, 1000, 6000
PASSING = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"}


class TrainingRun:
    """A run that is open inside `with`; it ends FINISHED, FAILED on an exception, KILLED on Ctrl-C.

        with TrainingRun(uri, config, name="default", tags={"harray.store_digest": digest}) as run:
            run.log_metrics({"train.loss": 1.3, "val.top1": 0.4}, step=0)
            run.log_artifact(report)
            model_id = run.log_model(checkpoint)

    Metrics that a server does not take are kept and sent with the next; they are an error only when the run
    ends without having placed them, so an absent server costs no metric and stops no training.

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
        experiment: str = EXPERIMENT,
    ) -> None:
        self.uri = uri
        self.config = config
        self.name = name
        self.tags = dict(tags or {})
        self.run_id = run_id or ""
        self.experiment = experiment
        self.client: MlflowClient
        self.experiment_id: str
        self._pending: list[Metric] = []
        self._epochs: set[int] = set()  # whose metrics the run has

    def __enter__(self) -> Self:
        self.client = connect(self.uri)
        self.experiment_id = experiment_id(self.client, self.uri, self.experiment)
        if self.run_id and self._reopened():
            return self
        tags = {**origin_tags(), **self.tags}
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=self.name)
        self.run_id = run.info.run_id
        try:
            self._log_parameters()
            log_data_set(self.client, self.run_id, self.tags)
        except BaseException as error:  # `with` does not close what could not be entered
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        try:
            self.flush()
            if error is not None:
                self.client.set_tag(self.run_id, "harray.error", f"{type(error).__name__}: {error}"[:500])
            self.client.set_terminated(self.run_id, status=status)
        except Exception as closing:
            if error is None:
                raise
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

    def _log_parameters(self) -> None:
        params = parameters(self.config)
        for start in range(0, len(params), MAX_PARAMS):
            self.client.log_batch(self.run_id, params=params[start : start + MAX_PARAMS])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record an epoch's metrics in one request; MLflow's own retries apply."""
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now_ms = time.time_ns() // 1_000_000
        self._pending += [Metric(name, float(value), now_ms, step) for name, value in metrics.items()]
        try:
            self.flush()
        except MlflowException as error:
            if error.error_code not in PASSING:
                raise

    def log_epoch(self, report: "EpochReport") -> None:
        """Record an epoch's metrics, unless the run has them, from an earlier process or from now."""
        if report.epoch not in self._epochs:
            self.log_metrics(epoch_metrics(report), step=report.epoch)
            self._epochs.add(report.epoch)

    def flush(self) -> None:
        """Send the metrics that were kept back."""
        while self._pending:
            self.client.log_batch(self.run_id, metrics=self._pending[:MAX_METRICS])
            del self._pending[:MAX_METRICS]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Add or replace tags, in one request."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's content, into the run's artifacts (below `folder`)."""
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder)
        else:
            self.client.log_artifact(self.run_id, str(path), folder)

    def log_model(self, checkpoint: Path, *, name: str = "model", step: int = 0) -> str:
        """Package a checkpoint folder and log it with this run; the answer is its model id.

        It is then `runs:/<run id>` to harray, and `models:/<model id>` or `runs:/<run id>/model` to MLflow.
        """
        from harray.tracking.packaging import log_model

        return log_model(self.client, self.experiment_id, self.run_id, checkpoint, name=name, step=step)


def record_evaluation(
    uri: str, run_id: str, metrics: Mapping[str, float], files: Path, artifact_folder: str
) -> bool:
    """Add an evaluation's scores and files to the run that trained the model.

    Returns:
        False where the store at `uri` has no such run: the model came from elsewhere, and nothing is recorded.
    """
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    if (file := sqlite_file(uri)) and not file.exists():
        return False
    client = connect(uri)
    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    now_ms = time.time_ns() // 1_000_000
    client.log_batch(
        run_id, metrics=[Metric(name, float(value), now_ms, 0) for name, value in metrics.items()]
    )
    client.log_artifacts(run_id, str(files), artifact_folder)
    return True


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


def parameters(config: Any) -> "list[Param]":
    """A config's leaves as MLflow parameters, each written so that `name=value` reads back to the same leaf.

    A value beyond MLflow's 6000 characters is cut, with an ellipsis; the resolved YAML has it whole.
    """
    from mlflow.entities import Param

    return [Param(name, value) for name, value in parameter_texts(config).items()]


def parameter_texts(config: Any) -> dict[str, str]:
    """The same as plain texts, without importing MLflow."""
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


def origin_tags() -> dict[str, str]:
    """harray's version, the git commit of its checkout (absent when installed from a wheel), and who ran it."""
    tags = {
        "harray.version": harray.__version__,
        "mlflow.source.name": "harray",
        "mlflow.source.type": "LOCAL",
    }
    if commit := git_commit():
        tags["mlflow.source.git.commit"] = commit
    with contextlib.suppress(OSError, KeyError):  # a container whose user id has no name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def git_commit() -> str | None:
    """The commit that holds this harray, `-dirty` when its files differ; None where git does not track it."""
    package = Path(harray.__file__).parent
    try:
        _git(
            package, "ls-files", "--error-unmatch", "__init__.py"
        )  # not a folder ignored by someone else's git
        commit = _git(package, "rev-parse", "HEAD")
        return f"{commit}-dirty" if _git(package, "status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[: _MAX_VALUE_CHARS - 1]}…"


def experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifact_location(uri))
    except MlflowException:  # another run made it in the meantime
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        raise
