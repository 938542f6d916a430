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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harray.errors import InputError
from harray.names import sqlite_file, sqlite_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

_HTTP = ("http", "https")
_DATABASES = {"mysql": 3306, "postgresql": 5432, "mssql": 1433}  # dialect -> port when the URI names none
_HOSTED = ("databricks", "databricks-uc", "uc")


@dataclass(frozen=True, kw_only=True)
class Reachability:
    """What stands behind a tracking URI.

    `reachable` is None where only MLflow itself could tell (a hosted service).
    """

    uri: str
    source: str  # --tracking-uri, MLFLOW_TRACKING_URI or the output folder
    reachable: bool | None
    detail: str


def tracking_uri(out: Path, explicit: str | None = None) -> str:
    """The tracking URI that rules; a relative sqlite file is made absolute.

    Args:
        out: the output folder that holds the default store.
        explicit: what the command line said, if anything.

    Raises:
        InputError: a scheme that MLflow cannot record runs in, such as a plain folder.
    """
    return _decide(out, explicit)[0]


def probe(out: Path, explicit: str | None = None, *, timeout_sec: float = 2.0) -> Reachability:
    """Which tracking URI would rule, and whether something answers there; creates nothing."""
    uri, source = _decide(out, explicit)
    reachable, detail = _answers(uri, timeout_sec)
    return Reachability(uri=without_password(uri), source=source, reachable=reachable, detail=detail)


def connect(uri: str, *, must_exist: bool = False, timeout_sec: float = 10.0) -> "MlflowClient":
    """A client of the store at `uri`; MLflow's process-wide tracking URI stays as it is.

    A fresh sqlite file is created with MLflow's own migrations, about 1.5 s on top of a 4 s import.

    Args:
        must_exist: refuse to create a sqlite file, for those who only read.

    Raises:
        InputError: nothing answers there; asked beforehand, since MLflow itself would retry for minutes.
    """
    reachable, detail = _answers(uri, timeout_sec)
    if reachable is False or (must_exist and (file := sqlite_file(uri)) and not file.exists()):
        raise InputError(
            f"tracking store {without_password(uri)}: {detail}; start the server, or name another with --tracking-uri"
        )
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    if (file := sqlite_file(uri)) and not file.exists():
        _create(file)
    try:
        return MlflowClient(tracking_uri=uri)
    except MlflowException as error:
        if "out-of-date database schema" in error.message:
            raise InputError(
                f"tracking store {without_password(uri)}: written by an older MLflow; back it up and run "
                f"`mlflow db upgrade {shlex.quote(without_password(uri))}`, or name another with --tracking-uri"
            ) from error
        raise


def _create(file: Path) -> None:
    """A fresh store, there as a whole or not at all: half-migrated by a Ctrl-C, or by two at once, it is lost."""
    from mlflow import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        MlflowClient(tracking_uri=sqlite_uri(part)).search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)


def artifact_location(uri: str) -> str | None:
    """The artifact folder beside a sqlite file; None where the server decides."""
    file = sqlite_file(uri)
    return None if file is None else (file.parent / "mlartifacts").as_uri()


def without_password(uri: str) -> str:
    """The URI as it may be shown: user names stay, passwords go."""
    parts = urllib.parse.urlsplit(uri)
    if parts.password is None:
        return uri
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()


def _decide(out: Path, explicit: str | None) -> tuple[str, str]:
    named = {"--tracking-uri": explicit, "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI")}
    for source, uri in named.items():
        if uri:
            return _validated(uri, source), source
    return sqlite_uri(out.resolve() / "mlflow.db"), "the output folder"


def _validated(uri: str, source: str) -> str:
    scheme = _dialect(urllib.parse.urlsplit(uri).scheme)
    if file := sqlite_file(uri):
        if "?" in uri:
            raise InputError(f"{source}: found {uri!r}, expected no options; a '?' in a path is written %3F")
        return sqlite_uri(file.resolve())
    if scheme in (*_HTTP, *_DATABASES, *_HOSTED) or uri in _HOSTED:
        return uri
    raise InputError(
        f"{source}: found {uri!r}, expected http://HOST:PORT of an `mlflow server`, or sqlite:///PATH/mlflow.db"
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
    request = urllib.request.Request(f"{uri.rstrip('/')}/health")
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
