import contextlib
import http.server
import shutil
import socket
import sqlite3
import threading

import pytest

from harray.errors import InputError
from harray.names import sqlite_file
from harray.tracking.location import (
    artifact_location,
    check_credentials,
    connect,
    probe,
    tracking_uri,
    without_password,
)
from harray.tracking.runs import experiment_id
from harray.workspace import Workspace


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("explicit", "environment", "expected"),
    [
        (None, None, "sqlite:///{out}/mlflow.db"),
        (None, "http://tracker:5000", "http://tracker:5000"),
        ("https://other", "http://tracker:5000", "https://other"),
        ("", "", "sqlite:///{out}/mlflow.db"),
        ("sqlite:////data/runs.db", None, "sqlite:////data/runs.db"),
        ("sqlite:///runs.db", None, "sqlite:///{cwd}/runs.db"),
        ("postgresql+psycopg2://me@db/mlflow", None, "postgresql+psycopg2://me@db/mlflow"),
        ("databricks", None, "databricks"),
    ],
)
def test_the_command_line_beats_the_environment_beats_the_output_folder(
    tmp_path, monkeypatch, explicit, environment, expected
):
    monkeypatch.chdir(tmp_path)
    if environment is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    out = tmp_path / "out"
    assert tracking_uri(Workspace(out, explicit)) == expected.format(out=out, cwd=tmp_path)


def test_a_relative_output_folder_gives_an_absolute_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert tracking_uri(Workspace(Path("runs"))) == f"sqlite:///{tmp_path}/runs/mlflow.db"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns", "ftp://host/x"])
def test_a_place_that_mlflow_cannot_record_in_is_refused_in_one_line(tmp_path, uri):
    with pytest.raises(
        InputError, match=r"^--tracking-uri: found '.*', expected http://HOST:PORT .*$"
    ) as caught:
        tracking_uri(Workspace(tmp_path, uri))
    assert "\n" not in str(caught.value)


def test_artifacts_stand_beside_a_sqlite_file_and_are_left_to_a_server():
    assert artifact_location("sqlite:////data/mlflow.db") == "file:///data/mlartifacts"
    assert artifact_location("http://tracker:5000") is None
    assert str(sqlite_file("sqlite:////data/my%20runs.db")) == "/data/my runs.db"


@pytest.mark.parametrize(
    "name", ["try?a", "a#b", "a%20b", "100%", "a b", "Läufe", "跑步", "x=1&y;z", "?mode=ro", "12:30"]
)
def test_whatever_a_folder_is_called_the_store_stays_in_it(tmp_path, monkeypatch, uri, name):
    out = tmp_path / "runs" / name
    out.mkdir(parents=True)
    shutil.copy(tmp_path / "mlflow.db", out / "mlflow.db")
    found = tracking_uri(Workspace(out))
    client = connect(found)
    run = client.create_run(experiment_id(client, found, "harray"))
    client.log_text(run.info.run_id, "here", "note.txt")
    assert probe(Workspace(out)).detail == "1 runs"
    assert (out / "mlartifacts" / run.info.run_id / "artifacts" / "note.txt").read_text() == "here"
    assert tracking_uri(Workspace(tmp_path, found)) == found
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
    assert tracking_uri(Workspace(tmp_path)) == found
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == [name]


@pytest.mark.slow
def test_folders_that_differ_after_a_question_mark_have_stores_of_their_own(tmp_path):
    first, second = (tracking_uri(Workspace(tmp_path / name)) for name in ("try?a", "try?b"))
    connect(first).create_experiment("only in a")
    assert connect(second).get_experiment_by_name("only in a") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["try?a", "try?b"]


@pytest.mark.parametrize("uri", ["sqlite:///try?a/mlflow.db", "sqlite:////data/mlflow.db?timeout=30"])
def test_a_question_mark_in_a_uri_is_asked_about(tmp_path, uri):
    with pytest.raises(InputError, match=r"^--tracking-uri: found .*, expected no options; .* written %3F$"):
        tracking_uri(Workspace(tmp_path, uri))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@db/mlflow", "postgresql://me:***@db/mlflow"),
        ("postgresql+psycopg2://me:s%40c@db:5432/x", "postgresql+psycopg2://me:***@db:5432/x"),
        ("http://me:p@ss@host:5000", "http://me:***@host:5000"),
        ("http://me:pa/ss@host:5000", "http://me:***@host:5000"),
        ("http://me:12345@host:5000", "http://me:***@host:5000"),
        ("http://:token@host", "http://:***@host"),
        ("mysql://db/x?user=me&password=secret&ssl=1", "mysql://db/x?user=me&password=***&ssl=1"),
        ('{"uri": "http://me:pw@a", "model": "models:/x@champion"}', None),
        ("http://tracker:5000", "http://tracker:5000"),
        ("http://tracker:5000/a@b and models:/x@y", "http://tracker:5000/a@b and models:/x@y"),
        ("postgresql://me@db/mlflow", "postgresql://me@db/mlflow"),
        ("sqlite:////data/a:b@c/mlflow.db", "sqlite:////data/a:b@c/mlflow.db"),
    ],
)
def test_a_password_is_not_shown(text, shown):
    assert without_password(text) == (shown or text.replace(":pw@", ":***@"))


def test_a_fresh_output_folder_is_reachable_and_nothing_is_created(tmp_path):
    found = probe(Workspace(tmp_path / "out"))
    assert (found.reachable, found.source, found.detail) == (True, "the output folder", "no such file yet")
    assert not (tmp_path / "out").exists()


def test_an_existing_store_tells_its_number_of_runs(tmp_path, uri):
    assert probe(Workspace(tmp_path)).detail == "0 runs"
    (tmp_path / "notes.db").write_text("not a database at all")
    assert probe(Workspace(tmp_path, f"sqlite:///{tmp_path}/notes.db")).reachable is False


def test_an_absent_server_is_told_within_the_timeout_and_before_mlflow_retries(tmp_path):
    uri = f"http://127.0.0.1:{free_port()}"
    found = probe(Workspace(tmp_path, uri), timeout_sec=1)
    assert found.reachable is False
    assert found.detail.startswith("no answer")
    with pytest.raises(InputError, match="start the server, or name another with --tracking-uri"):
        connect(uri)


@contextlib.contextmanager
def serving(answer):
    """A server whose `answer(path, headers)` is a status and a body; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer(self.path, self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, format, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (401, True), (503, False)])
@pytest.mark.parametrize("user", ["", "me:secret@"])
def test_a_server_is_asked_for_its_health(tmp_path, status, reachable, user):
    with serving(lambda path, _: (status if path == "/mlflow/health" else 404, b"")) as port:
        found = probe(Workspace(tmp_path, f"http://{user}127.0.0.1:{port}/mlflow/"))
    assert (found.reachable, found.detail) == (reachable, f"answers with {status}")
    assert "secret" not in found.uri


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"who are you?", r"credentials are missing or wrong \(401\); set MLFLOW_TRACKING_USERNAME"),
        (401, b'{"error_code": "UNAUTHENTICATED", "message": "no"}', r"missing or wrong \(401\)"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', r"may not do this \(403\)"),
        (403, b"<html>", r"may not do this \(403\)"),
        (404, b"<html>", "what answers is no MLflow server"),
        (200, b"<html>a login page", "what answers is no MLflow server"),
        (503, b"<html>restarting", "503"),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "disk full"}', "500|disk full"),
    ],
)
def test_a_server_is_tried_before_the_work_and_what_it_refuses_is_said(status, body, said):
    def answer(path, headers):
        return (200, b"OK") if path == "/health" else (status, body)

    with (
        serving(answer) as port,
        pytest.raises(InputError, match=rf"^tracking store http://me:\*\*\*@127.0.0.1:{port}: .*{said}"),
    ):
        check_credentials(f"http://me:secret@127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("user", "environment", "header"),
    [
        ("me:secret@", {}, "Basic bWU6c2VjcmV0"),
        ("me:s%65cret@", {}, "Basic bWU6c2VjcmV0"),
        ("", {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}, "Basic bWU6c2VjcmV0"),
        ("", {"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
        (
            "me:secret@",
            {"MLFLOW_TRACKING_USERNAME": "other", "MLFLOW_TRACKING_PASSWORD": "x"},
            "Basic bWU6c2VjcmV0",
        ),
        ("", {}, None),
    ],
)
def test_credentials_are_those_of_mlflows_own_client(monkeypatch, tmp_path, user, environment, header):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no credentials in a file
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    seen = []

    def answer(path, headers):
        seen.append((path, headers.get("Authorization")))
        return 200, b"{}"

    with serving(answer) as port:
        check_credentials(f"http://{user}127.0.0.1:{port}")
    assert {found for path, found in seen if path != "/health"} == {header}


def test_reading_creates_no_store(tmp_path):
    with pytest.raises(InputError, match="no such file yet"):
        connect(f"sqlite:///{tmp_path}/mlflow.db", must_exist=True)
    assert not (tmp_path / "mlflow.db").exists()
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_a_fresh_store_appears_whole_and_alone(tmp_path):
    connect(f"sqlite:///{tmp_path}/new/mlflow.db").search_experiments()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]


@pytest.mark.slow
def test_a_creation_that_is_broken_off_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.MlflowClient.search_experiments", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connect(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert list((tmp_path / "new").iterdir()) == []


def test_the_store_of_an_older_mlflow_is_refused_with_what_to_run(tmp_path, uri):
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'bd07f7e963c5'")
        database.commit()
    with pytest.raises(
        InputError, match="written by an older MLflow; back it up and run `mlflow db upgrade sqlite:"
    ):
        connect(uri)
