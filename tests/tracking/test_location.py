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
    connect,
    probe,
    tracking_uri,
    without_password,
)
from harray.tracking.runs import experiment_id


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
    assert tracking_uri(out, explicit) == expected.format(out=out, cwd=tmp_path)


def test_a_relative_output_folder_gives_an_absolute_uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert tracking_uri(Path("runs")) == f"sqlite:///{tmp_path}/runs/mlflow.db"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns", "ftp://host/x"])
def test_a_place_that_mlflow_cannot_record_in_is_refused_in_one_line(tmp_path, uri):
    with pytest.raises(
        InputError, match=r"^--tracking-uri: found '.*', expected http://HOST:PORT .*$"
    ) as caught:
        tracking_uri(tmp_path, uri)
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
    found = tracking_uri(out)
    client = connect(found)
    run = client.create_run(experiment_id(client, found, "harray"))
    client.log_text(run.info.run_id, "here", "note.txt")
    assert probe(out).detail == "1 runs"
    assert (out / "mlartifacts" / run.info.run_id / "artifacts" / "note.txt").read_text() == "here"
    assert tracking_uri(tmp_path, found) == found
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
    assert tracking_uri(tmp_path) == found
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == [name]


def test_folders_that_differ_after_a_question_mark_have_stores_of_their_own(tmp_path):
    first, second = (tracking_uri(tmp_path / name) for name in ("try?a", "try?b"))
    connect(first).create_experiment("only in a")
    assert connect(second).get_experiment_by_name("only in a") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["try?a", "try?b"]


@pytest.mark.parametrize("uri", ["sqlite:///try?a/mlflow.db", "sqlite:////data/mlflow.db?timeout=30"])
def test_a_question_mark_in_a_uri_is_asked_about(tmp_path, uri):
    with pytest.raises(InputError, match=r"^--tracking-uri: found .*, expected no options; .* written %3F$"):
        tracking_uri(tmp_path, uri)


def test_a_password_is_not_shown():
    assert without_password("postgresql://me:secret@db/mlflow") == "postgresql://me:***@db/mlflow"
    assert without_password("http://tracker:5000") == "http://tracker:5000"


def test_a_fresh_output_folder_is_reachable_and_nothing_is_created(tmp_path):
    found = probe(tmp_path / "out")
    assert (found.reachable, found.source, found.detail) == (True, "the output folder", "no such file yet")
    assert not (tmp_path / "out").exists()


def test_an_existing_store_tells_its_number_of_runs(tmp_path, uri):
    assert probe(tmp_path).detail == "0 runs"
    (tmp_path / "notes.db").write_text("not a database at all")
    assert probe(tmp_path, f"sqlite:///{tmp_path}/notes.db").reachable is False


def test_an_absent_server_is_told_within_the_timeout_and_before_mlflow_retries(tmp_path):
    uri = f"http://127.0.0.1:{free_port()}"
    found = probe(tmp_path, uri, timeout_sec=1)
    assert found.reachable is False
    assert found.detail.startswith("no answer")
    with pytest.raises(InputError, match="start the server, or name another with --tracking-uri"):
        connect(uri)


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (401, True), (503, False)])
def test_a_server_is_asked_for_its_health(tmp_path, status, reachable):
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/mlflow/health" else 404)
            self.end_headers()

        def log_message(self, format, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = probe(tmp_path, f"http://127.0.0.1:{server.server_port}/mlflow/")
    assert (found.reachable, found.detail) == (reachable, f"answers with {status}")


def test_reading_creates_no_store(tmp_path):
    with pytest.raises(InputError, match="no such file yet"):
        connect(f"sqlite:///{tmp_path}/mlflow.db", must_exist=True)
    assert not (tmp_path / "mlflow.db").exists()
    shutil.rmtree(tmp_path)


def test_a_fresh_store_appears_whole_and_alone(tmp_path):
    connect(f"sqlite:///{tmp_path}/new/mlflow.db").search_experiments()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]


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
