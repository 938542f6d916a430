"""A sweep's journal and what of it stands in MLflow: once, whatever was lost on the way."""

import json
import time

import pytest

from harray.errors import InputError
from harray.tracking.location import connect
from harray.tracking.runs import NotRecorded
from harray.tracking.sweeps import JOURNAL_FILE, SENT_FILE, Journal, SweepLog


def open_log(tmp_path, uri) -> SweepLog:
    return SweepLog(tmp_path / "sweep", uri, "sweep-1")


def tell(log, trials=2, epochs=3):
    """All of a small sweep."""
    log.start(None, "sweep", params={"sweep.search": "all"})
    for trial in range(trials):
        log.start(trial, f"trial-{trial}", params={"seed": "1"}, tags={"harray.seed": "1"})
        for epoch in range(1, epochs + 1):
            log.metrics(trial, epoch, {"val.macro_f1": epoch / 10, "train.loss.total": 1 / epoch})
        log.end(trial, "FINISHED", tags={"harray.state": "finished"}, values={"trial.sec": 1.5})


def runs_of(uri):
    """Name -> run, of everything in the store; names must be unique."""
    client = connect(uri)
    found = client.search_runs([client.get_experiment_by_name("harray").experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert len(runs) == len(found)
    return client, runs


def test_a_sweep_is_one_run_with_a_nested_run_per_trial(tmp_path, uri):
    with open_log(tmp_path, uri) as log:
        tell(log)
        (tmp_path / "best.yaml").write_text("a: 1")
        log.files(None, [tmp_path / "best.yaml"])
        log.end(None, "FINISHED", values={"best.val.macro_f1": 0.3})
        log.drain(print)
    client, runs = runs_of(uri)
    assert set(runs) == {"sweep", "trial-0", "trial-1"}
    parent, child = runs["sweep"], runs["trial-1"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id == log.run_ids[None]
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.params == {"seed": "1"}
    assert child.data.metrics["trial.sec"] == 1.5
    assert parent.data.metrics["best.val.macro_f1"] == 0.3
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["best.yaml"]
    history = client.get_metric_history(child.info.run_id, "val.macro_f1")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_saying_all_of_it_again_and_sending_all_of_it_again_changes_nothing(tmp_path, uri):
    with open_log(tmp_path, uri) as log:
        tell(log, epochs=2)
        log.drain(print)
    (tmp_path / "sweep" / SENT_FILE).unlink()  # killed between sending and writing down that it was sent
    with open_log(tmp_path, uri) as log:
        tell(log, epochs=2)
        log.drain(print)
    client, runs = runs_of(uri)
    assert len(runs) == 3
    for trial in range(2):
        history = client.get_metric_history(runs[f"trial-{trial}"].info.run_id, "val.macro_f1")
        assert [metric.step for metric in history] == [1, 2]


def test_what_was_not_sent_is_sent_by_the_successor_with_its_own_times(tmp_path, uri):
    journal = Journal(tmp_path / "sweep" / JOURNAL_FILE)
    journal.append({"event": "start", "trial": None, "ms": 5000, "name": "sweep", "params": {}, "tags": {}})
    journal.append({"event": "start", "trial": 0, "ms": 6000, "name": "trial-0", "params": {}, "tags": {}})
    journal.append({"event": "metrics", "trial": 0, "ms": 7000, "step": 1, "metrics": {"val.macro_f1": 0.5}})
    journal.close()
    with open_log(tmp_path, uri) as log:
        log.metrics(0, 1, {"val.macro_f1": 0.9})  # told before: passed over
        log.metrics(0, 2, {"val.macro_f1": 0.6})
        log.drain(print)
    client, runs = runs_of(uri)
    assert runs["trial-0"].info.start_time == 6000
    history = client.get_metric_history(runs["trial-0"].info.run_id, "val.macro_f1")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.6)]
    assert history[0].timestamp == 7000


def test_a_line_that_a_killed_process_left_unfinished_is_cut_off(tmp_path):
    file = tmp_path / JOURNAL_FILE
    journal = Journal(file)
    journal.append({"event": "start", "trial": 0})
    journal.close()
    with file.open("ab") as out:
        out.write(b'{"event": "metr')
    journal = Journal(file)
    journal.append({"event": "end", "trial": 0})
    journal.close()
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["start", "end"]


@pytest.mark.slow
def test_a_server_that_stays_away_costs_no_record_and_is_named(tmp_path):
    with open_log(tmp_path, "http://127.0.0.1:9") as log:
        tell(log, trials=1)
        said, started = [], time.monotonic()
        with pytest.raises(InputError, match=r"http://127.0.0.1:9.*6 records wait in .*--resume sends them"):
            log.drain(said.append, patience_sec=2)
        assert time.monotonic() - started < 10
        log.say_trouble(said.append)
    assert "is away" in said[-1]
    assert len(Journal(tmp_path / "sweep" / JOURNAL_FILE).events) == 6


def begun(log, trials=2):
    """A sweep whose trials are under way."""
    log.start(None, "sweep", params={})
    for trial in range(trials):
        log.start(trial, f"trial-{trial}", params={"seed": "1"})
        log.metrics(trial, 1, {"val.macro_f1": 0.5})


@pytest.mark.parametrize(
    ("ending", "parent"),
    [
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(15), "KILLED"),
        (InputError("no trial finished"), "FAILED"),
        (RuntimeError("of our own"), "FAILED"),
    ],
)
def test_what_is_under_way_is_killed_with_the_sweep_and_goes_on_with_it(tmp_path, uri, ending, parent):
    def break_off():
        with open_log(tmp_path, uri) as log:
            begun(log)
            log.end(0, "FINISHED", tags={"harray.state": "finished"})
            raise ending

    with pytest.raises(type(ending)):
        break_off()
    _, runs = runs_of(uri)
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"sweep": parent, "trial-0": "FINISHED", "trial-1": "KILLED"}
    assert runs["trial-1"].data.tags["harray.state"] == "interrupted"
    with open_log(tmp_path, uri) as log:
        begun(log)  # said again by the successor
        log.drain(print)
        _, runs = runs_of(uri)
        statuses = {name: run.info.status for name, run in runs.items()}
        assert statuses == {"sweep": "RUNNING", "trial-0": "FINISHED", "trial-1": "RUNNING"}
        assert runs["trial-0"].data.tags["harray.state"] == "finished"
        log.end(1, "FINISHED", tags={"harray.state": "finished"})
        log.end(None, "FINISHED")
        log.drain(print)
    _, runs = runs_of(uri)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["trial-1"].data.tags["harray.state"] == "finished"


@pytest.mark.parametrize("name", ["sweep", "trial-0"])
@pytest.mark.parametrize("when", ["meanwhile", "between two drivers"])
def test_a_deleted_run_is_made_anew_with_all_that_was_recorded(tmp_path, uri, name, when):
    def delete(log):
        log.drain(print)
        client, runs = runs_of(uri)
        client.delete_run(runs[name].info.run_id)

    with open_log(tmp_path, uri) as log:
        tell(log, epochs=2)
        delete(log)
        if when == "meanwhile":
            log.metrics(0, 3, {"val.macro_f1": 0.3})
            log.end(None, "FINISHED")
            log.drain(print)
    with open_log(tmp_path, uri) as log:
        log.metrics(0, 3, {"val.macro_f1": 0.3})
        log.end(None, "FINISHED")
        log.drain(print)
    client, runs = runs_of(uri)
    assert set(runs) == {"sweep", "trial-0", "trial-1"}
    for trial, epochs in ((0, 3), (1, 2)):
        child = runs[f"trial-{trial}"]
        assert child.data.tags["mlflow.parentRunId"] == runs["sweep"].info.run_id
        history = client.get_metric_history(child.info.run_id, "val.macro_f1")
        assert [metric.step for metric in history] == list(range(1, epochs + 1))
        assert child.data.params == {"seed": "1"}
    assert runs["sweep"].data.params == {"sweep.search": "all"}


def test_a_deleted_experiment_is_said_at_once_and_nothing_is_lost(tmp_path, uri):
    with open_log(tmp_path, uri) as log:
        begun(log)
        log.drain(print)
        client, runs = runs_of(uri)
        experiment = runs["sweep"].info.experiment_id
        client.delete_experiment(experiment)
        log.metrics(0, 2, {"val.macro_f1": 0.6})
        started = time.monotonic()
        with pytest.raises(
            NotRecorded, match=r"mlflow experiments restore .*1 records wait .*--resume sends"
        ):
            log.drain(print)
        assert time.monotonic() - started < 60
        client.restore_experiment(experiment)
        deadline = time.monotonic() + 60
        while log.num_unsent():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        log.drain(print)


def test_the_files_of_a_renamed_sweep_are_sent_from_where_they_are(tmp_path, uri):
    with open_log(tmp_path, "http://127.0.0.1:9") as log:
        begun(log)
        (tmp_path / "sweep" / "best.yaml").write_text("a: 1")
        log.files(None, [tmp_path / "sweep" / "best.yaml"])
    (tmp_path / "sweep").rename(tmp_path / "renamed")
    with SweepLog(tmp_path / "renamed", uri, "sweep-1") as log:
        log.drain(print)
    client, runs = runs_of(uri)
    assert [file.path for file in client.list_artifacts(runs["sweep"].info.run_id)] == ["best.yaml"]
    assert not (tmp_path / "sweep").exists()
