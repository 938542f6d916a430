"""What of a sweep stands in MLflow: its records, once, whatever was lost on the way."""

import time

import pytest

from harray.errors import InputError
from harray.reporting import Reporter
from harray.tracking.location import connect
from harray.tracking.runs import Measured, NotRecorded
from harray.tracking.sweeps import PARENT
from tests.tracking.sweep_records import Sweep, closed, record


class Said(Reporter):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def whole(trials=2, epochs=3):
    """A sweep that has ended."""
    ended = [closed(record(str(trial), epochs)) for trial in range(trials)]
    return Sweep(closed(record(PARENT)), *ended)


def under_way(trials=2, epochs=1):
    return Sweep(record(PARENT), *(record(str(trial), epochs) for trial in range(trials)))


def runs_of(uri):
    """Name -> run, of everything in the store; names must be unique."""
    client = connect(uri)
    found = client.search_runs([client.get_experiment_by_name("harray").experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert len(runs) == len(found)
    return client, runs


def steps_of(client, run, metric="val.macro_f1"):
    return [measured.step for measured in client.get_metric_history(run.info.run_id, metric)]


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_sweep_is_one_run_with_a_nested_run_per_trial(tmp_path, uri):
    (tmp_path / "best.yaml").write_text("a: 1")
    sweep = whole()
    best = [Measured("best.val.macro_f1", 0.3, 9000, 0)]
    sweep.show(closed(record(PARENT), files=(tmp_path / "best.yaml",), metrics=lambda: best))
    with sweep.runs(uri) as runs:
        runs.drain()
    client, found = runs_of(uri)
    assert set(found) == {"sweep", "trial-0", "trial-1"}
    parent, child = found["sweep"], found["trial-1"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id == runs.run_id
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert (child.info.start_time, child.info.end_time) == (5000, 9000)
    assert child.data.params == {"seed": "1"}
    assert parent.data.metrics["best.val.macro_f1"] == 0.3
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["best.yaml"]
    history = client.get_metric_history(child.info.run_id, "val.macro_f1")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [metric.timestamp for metric in history] == [6000, 7000, 8000]


def test_what_changes_is_written_while_the_sweep_runs(uri):
    sweep = under_way()
    with sweep.runs(uri) as runs:
        until(lambda: len(runs.run_ids) == 3)
        sweep.show(record("0", 2))
        client = connect(uri)
        until(lambda: len(client.get_metric_history(runs.run_ids["0"], "val.macro_f1")) == 2)
        sweep.show(closed(record("0", 2)))
        until(lambda: client.get_run(runs.run_ids["0"]).info.status == "FINISHED")
        assert client.get_run(runs.run_ids["1"]).info.status == "RUNNING"
        runs.drain()


def test_writing_all_of_it_again_changes_nothing(uri):
    sweep = whole(epochs=2)
    sweep.show(record("1", 2))
    for _ in range(3):
        with sweep.runs(uri) as runs:
            runs.drain()
    client, found = runs_of(uri)
    assert len(found) == 3
    assert [steps_of(client, found[f"trial-{trial}"]) for trial in range(2)] == [[1, 2], [1, 2]]


def test_a_run_that_was_only_begun_gets_what_it_lacks(uri):
    """A driver was killed, or an answer got lost, between making a run and filling it."""
    sweep = whole(trials=1)
    with sweep.runs(uri) as runs:
        runs.drain()
    client, found = runs_of(uri)
    begun = client.create_run(
        found["sweep"].info.experiment_id,
        tags={"harray.sweep": "sweep-1", "harray.trial": "1"},
        run_name="trial-1",
    )
    sweep.show(closed(record("1", 2)))
    with sweep.runs(uri) as runs:
        runs.drain()
    client, found = runs_of(uri)
    child = found["trial-1"]
    assert child.info.run_id == begun.info.run_id
    assert child.data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
    assert (child.info.status, child.data.params, steps_of(client, child)) == (
        "FINISHED",
        {"seed": "1"},
        [1, 2],
    )


@pytest.mark.slow
def test_a_server_that_stays_away_costs_nothing_and_is_named(tmp_path):
    sweep, said = whole(trials=1), Said()
    with sweep.runs("http://127.0.0.1:9", tmp_path / "kept") as runs:
        until(lambda: runs.trouble)
        runs._said -= 60  # so long ago
        runs.say_trouble(said)
        runs.say_trouble(said)
        started = time.monotonic()
        with pytest.raises(InputError, match=r"http://127.0.0.1:9.*2 runs wait in .*kept.*--resume sends"):
            runs.drain(patience_sec=2)
        assert time.monotonic() - started < 10
    (line,) = said.lines
    assert "is away" in line


@pytest.mark.parametrize(
    ("status", "ending"), [("KILLED", KeyboardInterrupt()), ("FAILED", RuntimeError("ours"))]
)
def test_what_is_under_way_is_killed_with_the_sweep_and_goes_on_with_it(uri, status, ending):
    sweep = under_way()

    def break_off():
        with sweep.runs(uri) as runs:
            until(lambda: len(runs.run_ids) == 3)
            sweep.show(closed(record(PARENT), status))
            sweep.show(closed(record("0", 1)))
            sweep.show(closed(record("1", 1), "KILLED"))
            raise ending

    def statuses():
        return {name: run.info.status for name, run in runs_of(uri)[1].items()}

    with pytest.raises(type(ending)):
        break_off()
    assert statuses() == {"sweep": status, "trial-0": "FINISHED", "trial-1": "KILLED"}
    sweep.show(record(PARENT))
    sweep.show(record("1", 1))
    with sweep.runs(uri) as runs:
        until(lambda: statuses() == {"sweep": "RUNNING", "trial-0": "FINISHED", "trial-1": "RUNNING"})
        assert runs_of(uri)[1]["trial-1"].data.tags["harray.state"] == "running"
        sweep.show(closed(record("1", 2), end_ms=12_000))
        sweep.show(closed(record(PARENT), end_ms=12_000))
        runs.drain()
    assert set(statuses().values()) == {"FINISHED"}
    client, found = runs_of(uri)
    assert steps_of(client, found["trial-1"]) == [1, 2]


@pytest.mark.parametrize("name", ["sweep", "trial-0"])
@pytest.mark.parametrize("when", ["meanwhile", "between two drivers"])
def test_a_deleted_run_is_made_anew_with_all_that_was_recorded(uri, name, when):
    def delete():
        client, found = runs_of(uri)
        client.delete_run(found[name].info.run_id)

    def go_on():
        sweep.show(closed(record("0", 3)))
        sweep.show(closed(record(PARENT)))

    sweep = under_way(epochs=2)
    sweep.show(closed(record("1", 2)))
    with sweep.runs(uri) as runs:
        until(lambda: len(runs.run_ids) == 3 and runs._waiting() == "0 runs wait")
        if when == "meanwhile":
            delete()
            go_on()
        runs.drain()
    if when != "meanwhile":
        delete()
        go_on()
        with sweep.runs(uri) as runs:
            runs.drain()
    client, found = runs_of(uri)
    assert set(found) == {"sweep", "trial-0", "trial-1"}
    for trial, epochs in ((0, 3), (1, 2)):
        child = found[f"trial-{trial}"]
        assert child.data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
        assert steps_of(client, child) == list(range(1, epochs + 1))
        assert (child.info.status, child.data.params) == ("FINISHED", {"seed": "1"})
    assert found["sweep"].data.params == {"seed": "1"}


def test_a_deleted_experiment_is_said_at_once_and_nothing_is_lost(uri):
    sweep = under_way()
    with sweep.runs(uri) as runs:
        runs.drain()
    client, found = runs_of(uri)
    client.delete_experiment(found["sweep"].info.experiment_id)
    sweep.show(record("0", 2))
    with sweep.runs(uri) as runs:
        started = time.monotonic()
        with pytest.raises(NotRecorded, match=r"mlflow experiments restore .* runs wait .*--resume sends"):
            runs.drain()
        assert time.monotonic() - started < 60
        client.restore_experiment(found["sweep"].info.experiment_id)
        runs.drain()
    client, found = runs_of(uri)
    assert steps_of(client, found["trial-0"]) == [1, 2]
