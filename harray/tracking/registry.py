"""The model registry: versions, aliases, and from any MODEL argument to a checkpoint folder.

MODEL   runs/x/checkpoint          a checkpoint folder, also in a bucket
        runs:/RUN                  what that run logged
        models:/NAME@ALIAS         such as models:/ucf101@champion
        models:/NAME/VERSION       VERSION is a number or `latest`
        models:/m-ID               a logged model that was never registered
"""

import contextlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harray.config import digest
from harray.errors import InputError
from harray.files import cache_dir, local_tree, place
from harray.names import local_path, without_password
from harray.tracking.location import connect
from harray.tracking.packaging import CHECKPOINT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION, CHALLENGER = "champion", "challenger"
RUN_FILE = "run_id"  # beside a checkpoint folder: the run that made it


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A registered version and the aliases that now point to it."""

    name: str
    version: int
    aliases: tuple[str, ...]

    @property
    def uri(self) -> str:
        """How to name it as MODEL: by its best alias."""
        best = next((alias for alias in (CHAMPION, CHALLENGER) if alias in self.aliases), None)
        return f"models:/{self.name}@{best}" if best else f"models:/{self.name}/{self.version}"


def check_model_name(name: str) -> None:
    """Refuse a name that MODEL could not spell; worth asking before hours of training.

    Raises:
        InputError: anything but letters, digits, `_`, `.` and `-`.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise InputError(f"model name {name!r}: expected letters, digits, '_', '.' and '-', such as ucf101")


def register(uri: str, name: str, model_id: str) -> Registered:
    """Register a logged model as the next version of `name`.

    It becomes `challenger`, and `champion` where there was none: a champion is replaced by `promote` only.

    Args:
        model_id: from `TrainingRun.log_model`.
    """
    from mlflow.exceptions import MlflowException

    check_model_name(name)
    client = connect(uri)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    logged = client.get_logged_model(model_id)
    # The artifact location as the source: MLflow resolves a models:/ source of a database store through the
    # process-wide tracking URI.
    version = client.create_model_version(
        name, source=logged.artifact_location, run_id=logged.source_run_id, model_id=model_id
    ).version
    client.set_registered_model_alias(name, CHALLENGER, version)
    if CHAMPION not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, CHAMPION, version)
    return registered_version(client, name, version)


def resolve_model(model: str, uri: str, cache: Path | None = None) -> Path:
    """The checkpoint folder that a MODEL argument names, fetched when it is elsewhere.

    Args:
        model: see the module's table.
        uri: tracking URI; unused for a folder.
        cache: where fetched checkpoints are kept, by origin; `models` in harray's cache by default.

    Raises:
        InputError: nothing there; the line lists the models, aliases or versions that exist.
    """
    scheme, _, rest = model.partition(":/")
    if scheme not in ("runs", "models") or not rest:
        return _checked(local_tree(place(model)))
    try:
        client = connect(uri, must_exist=True)
    except InputError as error:
        raise InputError(f"model {model}: {error}") from error
    rest = rest.strip("/")
    if scheme == "runs":
        location = _location_of_run(client, uri, *rest.split("/", 1))
    elif _is_model_id(rest):
        location = _location_of_logged(client, uri, rest)
    else:
        version = _version_of(client, uri, rest)
        location = client.get_model_version_download_uri(version.name, str(version.version))
    return _checkpoint(f"{location.rstrip('/')}/{CHECKPOINT}", uri, cache or cache_dir() / "models")


def pinned(model: str, uri: str) -> str:
    """A MODEL under a name that stays the same: models:/NAME/VERSION for an alias or `latest`, others as they are.

    Raises:
        InputError: as `resolve_model`.
    """
    reference = model.removeprefix("models:/").strip("/")
    if not model.startswith("models:/") or _is_model_id(reference):
        return model
    version = _version_of(connect(uri, must_exist=True), uri, reference)
    return f"models:/{version.name}/{version.version}"


def run_of_model(model: str, uri: str) -> str | None:
    """The id of the run that trained a MODEL; None where it is not known, such as for a copied folder.

    A checkpoint folder's run stands in the file `run_id` beside it.
    """
    scheme, _, rest = model.partition(":/")
    rest = rest.strip("/")
    if scheme == "runs":
        return rest.partition("/")[0]
    if scheme == "models":
        client = connect(uri, must_exist=True)
        if _is_model_id(rest):
            return client.get_logged_model(rest).source_run_id
        return _version_of(client, uri, rest).run_id
    file = place(model).absolute().parent / RUN_FILE
    return file.read_text().strip() if file.is_file() else None


def _is_model_id(reference: str) -> bool:
    """`m-...` alone; with an alias or a version it is a registered model of such a name."""
    return reference.startswith("m-") and not {"@", "/"} & set(reference)


def _checked(folder: Path) -> Path:
    from harray.training.checkpoint import ABOUT_FILE, WEIGHTS_FILE

    missing = [name for name in (WEIGHTS_FILE, ABOUT_FILE) if not (folder / name).is_file()]
    if not missing:
        return folder.resolve()
    what = (
        f"no {missing[0]} in it"
        if folder.is_dir()
        else "not a folder"
        if folder.exists()
        else "no such folder"
    )
    raise InputError(
        f"model {folder}: {what}; expected a checkpoint folder of `harray train`, runs:/RUN or models:/NAME@ALIAS"
    )


def _location_of_logged(client: "MlflowClient", uri: str, model_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_logged_model(model_id).artifact_location
    except MlflowException as error:
        raise InputError(f"model {model_id}: not in {without_password(uri)}; see --tracking-uri") from error


def _location_of_run(client: "MlflowClient", uri: str, run_id: str, name: str | None = None) -> str:
    """Where the model is that a run logged last (under `name`, if given)."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise InputError(f"run {run_id!r}: not in {without_password(uri)}; see --tracking-uri") from error
    outputs = sorted(run.outputs.model_outputs if run.outputs else [], key=lambda output: output.step)
    models = [client.get_logged_model(output.model_id) for output in outputs]
    matching = [logged.artifact_location for logged in models if name in (None, logged.name)]
    if not matching:
        names = ", ".join(dict.fromkeys(logged.name for logged in models)) or "none"
        raise InputError(
            f"run {run_id!r}: it logged no model{f' {name!r}' if name else ''}; its models: {names}"
        )
    return matching[-1]


def _version_of(client: "MlflowClient", uri: str, reference: str) -> "ModelVersion":
    """The version behind NAME@ALIAS or NAME/VERSION."""
    name, at, alias = reference.partition("@")
    if not at:
        name, _, number = reference.partition("/")
        return version_named(client, uri, name, number)
    aliases = registered_model(client, uri, name).aliases
    if alias not in aliases:
        known = ", ".join(f"{known} (version {number})" for known, number in sorted(aliases.items()))
        raise InputError(f"model {name!r}: no alias {alias!r}; aliases: {known or 'none'}")
    return client.get_model_version(name, str(aliases[alias]))


def version_named(client: "MlflowClient", uri: str, name: str, number: str) -> "ModelVersion":
    """A version by its number, or the `latest`.

    Raises:
        InputError: no such model or version; those that exist are listed.
    """
    registered_model(client, uri, name)
    versions = {str(v.version): v for v in client.search_model_versions(f"name = '{name}'")}
    latest = max(versions, key=int, default="")
    found = versions.get(latest if number == "latest" else number)
    if found is None:
        known = ", ".join(sorted(versions, key=int)) or "none"
        asked = f"no version {number!r}" if number else "no version or alias named"
        raise InputError(f"model {name!r}: {asked}; versions: {known}; or models:/{name}@ALIAS")
    return found


def registered_model(client: "MlflowClient", uri: str, name: str) -> "RegisteredModel":
    """Raises InputError: no such model; those that exist are listed."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise InputError(f"model {name!r}: not in {without_password(uri)}; models: {known}") from error


def registered_version(client: "MlflowClient", name: str, version: str | int) -> Registered:
    """A version that there is, with the aliases that point to it now."""
    aliases = client.get_registered_model(name).aliases
    pointing = sorted(alias for alias, number in aliases.items() if str(number) == str(version))
    return Registered(name=name, version=int(version), aliases=tuple(pointing))


def _checkpoint(artifact_uri: str, uri: str, cache: Path) -> Path:
    """The checkpoint folder of a logged model: in place when it is on this machine, else a copy in the cache."""
    if (folder := local_path(artifact_uri)) is not None:
        return _checked(folder)
    kept = cache / digest([uri, artifact_uri])  # a logged model never changes
    if not kept.is_dir():
        _fetch(artifact_uri, uri, kept)
    return _checked(kept)


def _fetch(artifact_uri: str, uri: str, target: Path) -> None:
    """Download a folder to `target` all at once."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as staging:
        try:
            found = mlflow.artifacts.download_artifacts(
                artifact_uri=artifact_uri, dst_path=staging, tracking_uri=uri
            )
        except (MlflowException, OSError) as error:
            raise InputError(f"model {artifact_uri}: could not be fetched ({_first_line(error)})") from error
        with contextlib.suppress(OSError):  # another process was quicker
            Path(found).rename(target)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
