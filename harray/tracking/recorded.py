"""What a run recorded, read back."""

from collections.abc import Iterable
from dataclasses import dataclass

from harray.errors import InputError
from harray.names import without_password
from harray.tracking.location import connect


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    run_id: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    history: dict[str, dict[int, float]]  # metric -> step -> value


def recorded_run(uri: str, run_id: str, prefixes: Iterable[str]) -> RecordedRun:
    """Read a run, with the whole history of metrics whose names begin so.

    Raises:
        InputError: no such run.
    """
    from mlflow.exceptions import MlflowException

    client = connect(uri, must_exist=True)
    run_id = run_id.removeprefix("runs:/").strip("/")
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise InputError(
            f"run {run_id}: not in {without_password(uri)}; expected a run id of `harray train` or `harray tune`, "
            "or another store by --tracking-uri"
        ) from error
    names = [name for name in run.data.metrics if name.startswith(tuple(prefixes))]
    history = {
        name: {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}
        for name in names
    }
    return RecordedRun(
        run_id=run_id,
        name=run.info.run_name or run_id,
        params=run.data.params,
        tags=run.data.tags,
        history=history,
    )
