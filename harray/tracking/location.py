"""Where runs are recorded: which tracking URI rules, and whether something answers there.

    --tracking-uri  >  MLFLOW_TRACKING_URI  >  sqlite:///<out>/mlflow.db, artifacts in <out>/mlartifacts

Nothing here imports mlflow (seconds), apart from `connect`.
"""

import contextlib
import os
import shlex
import socket
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harray.errors import InputError
from harray.files import put_if_absent, remote_of
from harray.names import sqlite_file, sqlite_uri, without_password
from harray.tracking import moved
from harray.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

_HTTP = ("http", "https")
_DATABASES = {"mysql": 3306, "postgresql": 5432, "mssql": 1433}  # dialect -> port when the URI names none
_HOSTED = ("databricks", "databricks-uc", "uc")

_REFUSED = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED")  # MLflow's names of 401 and 403
# Of one question at the start; MLflow itself would ask for minutes.
_ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class Unreachable(InputError):
    """Nothing answers at the tracking URI; waiting may help."""


@dataclass(frozen=True, kw_only=True)
class Reachability:
    """What stands behind a tracking URI.

    `reachable` is None where only MLflow itself could tell (a hosted service).
    """

    uri: str
    source: str  # --tracking-uri, MLFLOW_TRACKING_URI or the output folder
    reachable: bool | None
    detail: str


def tracking_uri(workspace: Workspace) -> str:
    """The tracking URI that rules; a relative sqlite file is made absolute.

    Raises:
        InputError: a scheme that MLflow cannot record runs in, such as a plain folder.
    """
    return _decide(workspace)[0]


def probe(workspace: Workspace, *, timeout_sec: float = 2.0) -> Reachability:
    """Which tracking URI would rule, and whether something answers there; creates nothing."""
    uri, source = _decide(workspace)
    reachable, detail = _answers(uri, timeout_sec)
    return Reachability(uri=without_password(uri), source=source, reachable=reachable, detail=detail)


def connect(uri: str, *, must_exist: bool = False, timeout_sec: float = 10.0) -> "MlflowClient":
    """A client of the store at `uri`; MLflow's process-wide tracking URI stays as it is.

    A fresh sqlite file is created with MLflow's own migrations, about 1.5 s on top of a 4 s import. One that was
    moved is made to point to where it is.

    Args:
        must_exist: refuse to create a sqlite file, for those who only read.

    Raises:
        InputError: nothing answers there (`Unreachable`; asked beforehand, since MLflow itself would retry for
            minutes), the server refuses the credentials, or it is no MLflow server.
    """
    check_answers(uri, timeout_sec)
    file = sqlite_file(uri)
    if must_exist and file and not file.exists():
        raise _unreachable(uri, "no such file yet")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # with the password in it
    if file and file.exists():
        moved.follow(file)
    elif file:
        _create(file)
    try:
        client = MlflowClient(tracking_uri=uri)
        if file is None:
            with environment(_ONE_TRY):
                client.search_experiments(max_results=1)  # a server's health is told without credentials
        return client
    except MlflowException as error:
        refused = refusal(uri, error)
        if refused is None and file is None:
            refused = _unreachable(uri, error.message.partition("\n")[0][:300])
        raise (refused or error) from error


def check_answers(uri: str, timeout_sec: float) -> None:
    """Ask whether something answers at a tracking URI, without MLflow and without credentials.

    Raises:
        Unreachable: nothing does.
    """
    reachable, detail = _answers(uri, timeout_sec)
    if reachable is False:
        raise _unreachable(uri, detail)


def check_credentials(uri: str) -> None:
    """Try what the environment or the URI says against a server, before work whose outcome is to be recorded there.

    Raises:
        InputError: as `connect`.
    """
    if sqlite_file(uri) is None:
        connect(uri)


def refusal(uri: str, error: "MlflowException") -> InputError | None:
    """What an error of MLflow's asks the user to do; None where it is none of the user's."""
    where, code = f"tracking store {without_password(uri)}", error.error_code
    if "out-of-date database schema" in error.message:
        return InputError(
            f"{where}: written by an older MLflow; back it up and run "
            f"`mlflow db upgrade {shlex.quote(without_password(uri))}`, or name another with --tracking-uri"
        )
    if code in _REFUSED:
        what = "may not do this (403)" if code == "PERMISSION_DENIED" else "are missing or wrong (401)"
        return InputError(
            f"{where}: the credentials {what}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, or write them into the URI as http://USER:PASSWORD@HOST:PORT"
        )
    if code == "ENDPOINT_NOT_FOUND" or "not in a valid JSON format" in error.message:
        return InputError(
            f"{where}: what answers is no MLflow server; expected the http://HOST:PORT of an `mlflow server`"
        )
    return None


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Generator[None]:
    """Environment variables for a while; MLflow reads its own at each request."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _create(file: Path) -> None:
    """A fresh store, there as a whole or not at all: half-migrated by a Ctrl-C, or by two at once, it is lost."""
    from mlflow import MlflowClient

    def migrate(part: Path) -> None:
        MlflowClient(tracking_uri=sqlite_uri(part)).search_experiments(max_results=1)

    put_if_absent(file, migrate)  # False where another process was quicker


def artifact_location(uri: str) -> str | None:
    """The artifact folder beside a sqlite file; None where the server decides."""
    file = sqlite_file(uri)
    return None if file is None else (file.parent / moved.FOLDER).as_uri()


def _unreachable(uri: str, detail: str) -> Unreachable:
    return Unreachable(
        f"tracking store {without_password(uri)}: {without_password(detail)}; start the server, or name another with "
        "--tracking-uri"
    )


def _decide(workspace: Workspace) -> tuple[str, str]:
    named = {
        "--tracking-uri": workspace.tracking_uri,
        "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI"),
    }
    for source, uri in named.items():
        if uri:
            return _validated(uri, source), source
    if (out := remote_of(workspace.out)) != workspace.out:
        raise InputError(
            f"--out {out}: a bucket holds no database to record runs in; name an `mlflow server` by MLFLOW_TRACKING_URI"
        )
    return sqlite_uri(workspace.out.resolve() / "mlflow.db"), "the output folder"


def _validated(uri: str, source: str) -> str:
    scheme = _dialect(urllib.parse.urlsplit(uri).scheme)
    if file := sqlite_file(uri):
        if "?" in uri:
            raise InputError(f"{source}: found {uri!r}, expected no options; a '?' in a path is written %3F")
        return sqlite_uri(file.resolve())
    if scheme in (*_HTTP, *_DATABASES, *_HOSTED) or uri in _HOSTED:
        return uri
    raise InputError(
        f"{source}: found {without_password(uri)!r}, expected http://HOST:PORT of an `mlflow server`, or sqlite:///PATH/mlflow.db"
    )


def _dialect(scheme: str) -> str:
    return scheme.partition("+")[0]  # postgresql+psycopg2 -> postgresql


def _answers(uri: str, timeout_sec: float) -> tuple[bool | None, str]:
    parts = urllib.parse.urlsplit(uri)
    file = sqlite_file(uri)
    if file is not None:
        return _sqlite_answers(file)
    if parts.scheme in _HTTP:
        return _server_answers(uri, timeout_sec)
    if (dialect := _dialect(parts.scheme)) in _DATABASES:
        return _port_answers(parts.hostname or "localhost", parts.port or _DATABASES[dialect], timeout_sec)
    return None, "a hosted service, not checked"


def _sqlite_answers(file: Path) -> tuple[bool, str]:
    if not file.exists():
        parent = next(folder for folder in file.parents if folder.exists())
        writable = os.access(parent, os.W_OK)
        return writable, "no such file yet" if writable else f"no such file, and {parent} is not writable"
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            (num_runs,) = database.execute("SELECT count(*) FROM runs").fetchone()
    except sqlite3.Error as error:
        return False, f"not an MLflow database ({error})"
    return True, f"{num_runs} runs"


def _server_answers(uri: str, timeout_sec: float) -> tuple[bool, str]:
    parts = urllib.parse.urlsplit(uri)
    bare = parts._replace(
        netloc=parts.netloc.rpartition("@")[2]
    ).geturl()  # urllib knows no credentials in a URL
    request = urllib.request.Request(f"{bare.rstrip('/')}/health")
    try:
        with urllib.request.urlopen(request, timeout=timeout_sec) as response:
            return True, f"answers with {response.status}"
    except urllib.error.HTTPError as error:
        return error.code < 500, f"answers with {error.code}"  # a proxy that wants credentials is there
    except (OSError, ValueError) as error:
        return False, f"no answer ({getattr(error, 'reason', error)})"


def _port_answers(host: str, port: int, timeout_sec: float) -> tuple[bool, str]:
    try:
        socket.create_connection((host, port), timeout=timeout_sec).close()
    except OSError as error:
        return False, f"no answer from {host}:{port} ({error})"
    return True, f"{host}:{port} answers"
