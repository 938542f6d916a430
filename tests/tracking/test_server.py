"""Everything again over HTTP, against a real `mlflow server`; about 20 s, most of it the server's start."""

import base64
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from harray.errors import InputError
from harray.tracking.location import connect, probe, tracking_uri
from harray.tracking.registry import register, resolve_model
from harray.tracking.runs import NotRecorded, TrainingRun
from harray.tracking.sweeps import PARENT
from harray.workspace import Workspace
from tests.tracking.sweep_records import Sweep, closed, record


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 7


@pytest.fixture(scope="module")
def server_process(empty_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/files",
    ]
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"
    }  # eight processes that nobody needs
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not probe(Workspace(folder, uri), timeout_sec=1).reachable:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "log").read_text()[-2000:])
            time.sleep(0.2)
        yield process, uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the server and its worker, a session of their own
        process.wait(20)


@pytest.fixture(scope="module")
def server(server_process):
    return server_process[1]


def test_a_sweep_loses_nothing_while_the_server_does_not_answer(server_process):
    process, uri = server_process
    sweep = Sweep(record(PARENT), record("0", 1))
    with sweep.runs(uri) as runs:
        until(lambda: len(runs.run_ids) == 2)
        os.killpg(process.pid, signal.SIGSTOP)
        try:
            sweep.show(record("0", 5))
            sweep.show(record("1", 1))
            until(lambda: runs.trouble)
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        sweep.show(closed(record("0", 5)))
        runs.drain()
    client = connect(uri)
    steps = {
        key: [metric.step for metric in client.get_metric_history(run_id, "val.macro_f1")]
        for key, run_id in runs.run_ids.items()
    }
    assert steps == {PARENT: [], "0": [1, 2, 3, 4, 5], "1": [1]}
    assert client.get_run(runs.run_ids["0"]).info.status == "FINISHED"
    assert client.get_run(runs.run_ids["1"]).data.tags["mlflow.parentRunId"] == runs.run_id


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_and_its_model_go_through_a_server(server, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    uri = tracking_uri(Workspace(tmp_path))
    (tmp_path / "report.html").write_text("<p>")
    with TrainingRun(uri, Config(), name="remote") as run:
        for epoch in range(3):
            run.log_metrics({"train.loss": 1.0 - epoch, "val.top1": 0.5}, step=epoch)
        run.log_artifact(tmp_path / "report.html")
        registered = register(uri, "actions", run.log_model(checkpoint))
    client = connect(uri)
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert len(client.get_metric_history(run.run_id, "train.loss")) == 3
    assert [file.path for file in client.list_artifacts(run.run_id)] == ["report.html"]
    assert registered.aliases == ("challenger", "champion")

    for model in (registered.uri, "models:/actions/1", f"runs:/{run.run_id}"):
        folder = resolve_model(model, uri, cache=tmp_path / "cache")
        assert folder.parent == tmp_path / "cache"
        assert (folder / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    assert len(list(Path(tmp_path / "cache").iterdir())) == 1


@pytest.fixture(scope="module")
def guarded(server):
    """The same server behind a proxy that asks for a user and a password, as `mlflow server --app-name basic-auth`."""
    wanted = "Basic " + base64.b64encode(b"me:s3cret").decode()

    class Proxy(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/health" and self.headers.get("Authorization") != wanted:
                return self.reply(401, b"You are not authenticated.")
            asked = urllib.request.Request(server + self.path, data=body or None, method=self.command)
            if kind := self.headers.get("Content-Type"):
                asked.add_header("Content-Type", kind)
            try:
                with urllib.request.urlopen(asked) as found:
                    self.reply(found.status, found.read())
            except urllib.error.HTTPError as error:
                self.reply(error.code, error.read())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def reply(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{proxy.server_port}"
        proxy.shutdown()


def test_credentials_in_the_uri_reach_runs_artifacts_models_and_sweeps(guarded, checkpoint, tmp_path, capfd):
    uri = f"http://me:s3cret@{guarded}"
    (tmp_path / "report.html").write_text("<p>")
    with TrainingRun(uri, Config(), name="guarded") as run:
        run.log_metrics({"train.loss": 1.0}, step=1)
        run.log_artifact(tmp_path / "report.html")
        registered = register(uri, "guarded", run.log_model(checkpoint))
    assert resolve_model(registered.uri, uri, cache=tmp_path / "cache").is_dir()
    sweep = Sweep(closed(record(PARENT), files=(tmp_path / "report.html",)))
    with sweep.runs(uri) as runs:
        runs.drain()
    client = connect(uri)
    assert [file.path for file in client.list_artifacts(run.run_id)] == ["report.html"]
    assert [file.path for file in client.list_artifacts(runs.run_id)] == ["report.html"]
    printed = "".join(capfd.readouterr())
    assert "s3cret" not in printed


@pytest.mark.parametrize("user", ["", "me:wrong@", "other:s3cret@", "me@", ":s3cret@"])
def test_wrong_credentials_are_said_before_the_work(guarded, user):
    with pytest.raises(InputError, match=r"the credentials are missing or wrong \(401\)") as caught:
        TrainingRun(f"http://{user}{guarded}", Config()).__enter__()
    assert "s3cret" not in str(caught.value) and "wrong@" not in str(caught.value)


def test_a_sweep_whose_credentials_are_refused_meanwhile_says_so_and_ends_with_its_answer(guarded):
    with Sweep(record(PARENT)).runs(f"http://me:wrong@{guarded}") as runs:
        with pytest.raises(
            NotRecorded, match=r"missing or wrong \(401\).*1 run waits .*--resume sends"
        ) as caught:
            runs.drain()
        assert "wrong@" not in str(caught.value)
        assert runs.is_lasting
