"""`harray tune` as users start it, on a real Ray, a real sqlite MLflow and trials of a second."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import harray
from harray.cli.tuning import _seconds as seconds_of
from harray.errors import InputError
from harray.tracking.location import connect
from harray.tuning import demand
from harray.tuning.config import SweepConfig
from harray.tuning.demand import cluster_for_sweep, demand_of, places_for
from harray.tuning.records import sync
from harray.tuning.study import epochs_of, read_study
from tests.toys import LEARNS_AT_ONCE, TINY, tiny_experiment, tiny_store

OVERRIDES = [
    f"{name}={value}" for name, value in (TINY | LEARNS_AT_ONCE).items() if name != "training.num_epochs"
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tiny_store(tmp_path_factory.mktemp("tuning") / "store")


def uri_of(out):
    return f"sqlite:///{out / 'mlflow.db'}"


def arguments(store, out, *more):
    command = ["tune", "--store", store, "--search", "optimisation", "--out", out, "--json", *more]
    return [str(part) for part in [*command, *OVERRIDES]]


@pytest.fixture(scope="module")
def swept(ray_cluster, store, tmp_path_factory, harray_once):
    out = tmp_path_factory.mktemp("out")
    ending = harray_once(
        *arguments(store, out, "--trials", 5, "--at-once", 1, "--register", "tiny", "training.num_epochs=6")
    )
    assert ending.code == 0, ending.err
    return out, ending


def runs_of(out):
    """Trial -> its run and the steps of its val F1; the parent's is under None."""
    client = connect(uri_of(out))
    found = client.search_runs(
        [client.get_experiment_by_name("harray").experiment_id], "tags.`harray.trial` != ''"
    )
    runs = {}
    for run in found:
        if "harray.sweep" not in run.data.tags:
            continue
        name = run.data.tags["harray.trial"]
        key = None if name == "sweep" else int(name)
        assert key not in runs, f"trial {name} is there twice"
        history = client.get_metric_history(run.info.run_id, "val.macro_f1")
        runs[key] = run, [metric.step for metric in history]
    return runs


def test_every_trial_is_a_nested_run_with_all_its_epochs(swept):
    out, ending = swept
    runs = runs_of(out)
    assert set(runs) == {None, 0, 1, 2, 3, 4}
    parent, _ = runs.pop(None)
    assert (parent.info.run_id, parent.info.status) == (ending.json["run_id"], "FINISHED")
    rows = {row["number"]: row for row in ending.json["trials"]}
    for number, (run, steps) in runs.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["harray.state"] == rows[number]["state"]
        assert steps == list(range(1, rows[number]["num_epochs"] + 1))
        assert run.data.tags["harray.recipe"] == "default"
        assert run.data.metrics["trial.cpu_sec"] > 0
        assert run.data.metrics["trial.number"] == number
        if rows[number]["state"] == "complete":
            assert Path(run.data.tags["harray.checkpoint"], "model.safetensors").is_file()


def test_another_tracking_store_is_made_of_the_folder_alone_and_shows_the_same(swept, tmp_path):
    out, ending = swept
    for _ in range(2):  # the second finds all there
        sync(Path(ending.json["folder"]), uri_of(tmp_path))

    def shown(run, steps):
        measured = {(name, value) for name, value in run.data.metrics.items()}
        tags = {name: text for name, text in run.data.tags.items() if name.startswith("harray.")}
        info = run.info
        return (
            info.run_name,
            info.status,
            info.start_time,
            info.end_time,
            run.data.params,
            tags,
            measured,
            steps,
        )

    then, now = runs_of(out), runs_of(tmp_path)
    assert set(then) == set(now)
    assert all(shown(*now[trial]) == shown(*then[trial]) for trial in then)


def test_a_sweep_from_python_goes_on_where_the_command_line_left_it(swept, store, monkeypatch):
    (out, ending), compared, check = swept, [], demand.check_demand
    monkeypatch.setattr(demand, "check_demand", lambda *what: compared.append(what) or check(*what))
    asked = harray.SweepConfig(search="optimisation", num_trials=5, at_once=1, resume=True)
    overrides = [*OVERRIDES, "training.num_epochs=6"]
    sweep = harray.tune(store, asked, overrides=overrides, workspace=harray.Workspace(out))
    assert str(sweep.outcome.folder) == ending.json["folder"]
    assert sweep.best == ending.json["best"][0]["params"]
    assert sweep.model is None
    assert len(compared) == 1, "its demand is compared with the cluster once"
    assert "Sweep of 5 trials" in sweep._repr_html_()


def test_the_sweep_leaves_figures_a_table_and_a_winner_that_is_registered(swept):
    out, ending = swept
    said = ending.json
    assert {Path(figure).name for figure in said["figures"]} <= {"history.png", "importances.png"}
    assert all(Path(figure).stat().st_size > 5000 for figure in said["figures"])
    table = Path(said["folder"], "trials.csv").read_text().splitlines()
    assert len(table) == 6
    assert said["model_version"] == 1
    assert said["test"]["num_clips"] == 12
    client = connect(f"sqlite:///{out / 'mlflow.db'}")
    run = client.get_run(client.get_model_version("tiny", "1").run_id)
    assert run.data.params["training.train_split"] == "train+val"
    assert run.data.params["training.num_epochs"] == str(said["best"][0]["best_epoch"])
    assert run.data.metrics["test.num_clips"] == 12
    assert not any(Path(said["folder"], "trials").rglob("state.pt"))


def test_the_best_configuration_replays_with_the_trials_own_score(swept, store, harray):
    out, ending = swept
    best = ending.json["best"][0]
    again = harray("train", "--store", store, "--config", ending.json["best_config"], "--out", out, "--json")
    assert again.code == 0, again.err
    assert again.json["val"]["macro_f1"] == best["values"][0]


def test_the_winners_run_is_nested_in_its_sweep_and_says_what_it_is(swept):
    out, ending = swept
    client = connect(f"sqlite:///{out / 'mlflow.db'}")
    experiments = [client.get_experiment_by_name("harray").experiment_id]
    (winner,) = client.search_runs(experiments, "tags.`harray.sweep_run` != ''")
    assert winner.data.tags["mlflow.parentRunId"] == ending.json["run_id"]
    assert winner.info.run_name == f"winner, trial {ending.json['best'][0]['number']}, on train + val"
    sweep = client.get_run(ending.json["run_id"])
    assert sweep.info.run_name.startswith("optimisation sweep from default on store, seed ")
    for run in (winner, sweep):
        assert run.data.tags["harray.recipe"] == "default"
        assert [data.dataset.name for data in run.inputs.dataset_inputs] == ["store"]


def test_the_table_names_whole_keys_and_the_next_command_runs(swept, harray):
    _, ending = swept
    assert "training.learning_rate=" in ending.err
    (line,) = [line for line in ending.err.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    again = harray(*words[words.index("harray") + 1 :])
    assert again.code == 0, again.err


def test_a_trial_can_be_run_again_and_agrees(swept, harray):
    out, _ = swept
    run, steps = runs_of(out)[2]
    again = harray("rerun", run.info.run_id, "--out", out, "--json")
    assert again.code == 0, again.err
    assert again.json["agrees"] is True
    assert again.json["num_epochs"] == len(steps)
    assert again.json["greatest_difference"] < 1e-6


def test_a_finished_sweep_resumes_to_its_table_and_to_more_trials(swept, store, harray):
    out, ending = swept
    more = harray(*arguments(store, out, "--trials", 6, "--at-once", 1, "--resume", "training.num_epochs=6"))
    assert more.code == 0, more.err
    assert more.json["folder"] == ending.json["folder"]
    before = {row["number"]: row for row in ending.json["trials"]}
    after = {row["number"]: row for row in more.json["trials"]}
    assert set(after) == {0, 1, 2, 3, 4, 5}
    assert {number: after[number] for number in before} == before
    assert set(runs_of(out)) == {None, 0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_stopped_in_the_middle_is_gone_on_with(ray_cluster, store, tmp_path, harray, number):
    command = arguments(store, tmp_path, "--trials", 4, "--at-once", 1, "training.num_epochs=40")
    driver = start(command, ray_cluster.address)
    folder = wait_for_epochs(driver, tmp_path, trial=1, epochs=3)
    driver.send_signal(number)
    said = driver.communicate()[1]
    if number == signal.SIGTERM:
        assert driver.returncode == 130
        assert "interrupted; " in said and "the same command with --resume goes on" in said
        statuses = {trial: run.info.status for trial, (run, _) in runs_of(tmp_path).items()}
        assert statuses == {None: "KILLED", 0: "FINISHED", 1: "KILLED"}
    told = epochs_in(folder)
    refused = harray(*command)
    assert refused.code == 2
    assert "--resume" in refused.err
    ending = harray(*command, "--resume")
    assert ending.code == 0, ending.err
    assert [row["number"] for row in sorted(ending.json["trials"], key=lambda row: row["number"])] == [
        0,
        1,
        2,
        3,
    ]
    runs = runs_of(tmp_path)
    assert set(runs) == {None, 0, 1, 2, 3}
    for row in ending.json["trials"]:
        run, steps = runs[row["number"]]
        assert steps == list(range(1, row["num_epochs"] + 1))
        assert run.info.status == "FINISHED"
    went_on = runs[1][0].data.tags["harray.went_on_after_epoch"]
    assert int(went_on) >= told[1] >= 3


def test_a_time_budget_cuts_no_trial_for_good(ray_cluster, store, tmp_path, harray):
    command = arguments(store, tmp_path, "--trials", 3, "--at-once", 1, "training.num_epochs=30")
    cut = harray(*command, "--time-budget", "0.2s")
    assert cut.code == 2, "no trial can finish so soon"
    assert "time was up with 3 trials to go" in cut.err
    assert "--resume goes on" in cut.err
    ending = harray(*command, "--resume")
    assert ending.code == 0, ending.err
    assert {row["number"] for row in ending.json["trials"]} == {0, 1, 2}
    assert "time was up" not in {row["reason"] for row in ending.json["trials"]}
    assert ending.json["stopped_by"] == ""
    runs = runs_of(tmp_path)
    for row in ending.json["trials"]:
        run, steps = runs[row["number"]]
        assert run.info.status == "FINISHED"
        assert steps == list(range(1, row["num_epochs"] + 1))


def start(command, address):
    program = [sys.executable, "-c", "from harray.cli import main; main()", *command]
    environment = {**os.environ, "RAY_ADDRESS": address}
    return subprocess.Popen(
        program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_epochs(driver, out, trial, epochs):
    """Until the study has so many epochs of a trial."""
    deadline = time.monotonic() + 300  # on a busy machine a driver alone takes a minute to start
    while True:
        for folder in out.glob("sweeps/*"):
            if epochs_in(folder).get(trial, 0) >= epochs:
                return folder
        assert driver.poll() is None, "the sweep ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def epochs_in(folder):
    """Trial -> epochs that it has reported."""
    try:
        return {trial.number: len(epochs_of(trial)) for trial in read_study(folder).trials}
    except KeyError:  # not begun
        return {}


def asking(workers=0, at_once=None):
    return SweepConfig(experiment=tiny_experiment(), workers_per_trial=workers, at_once=at_once)


def test_more_than_the_cluster_holds_is_refused_with_the_flag_to_change(ray_cluster):
    for workers, at_once in ((64, None), (0, 64)):
        with (
            pytest.raises(InputError, match=r"needs 64 CPU \(there are 2\); lower --at-once or --workers"),
            cluster_for_sweep(asking(workers, at_once), 0),
        ):
            pass
    with (
        pytest.raises(
            InputError, match=r"needs 7.5 GB of object store memory \(there are .*--object-store-memory"
        ),
        cluster_for_sweep(asking(), 7_500_000_000),
    ):
        pass
    for workers, places in ((0, 2), (1, 2), (2, 1)):
        with cluster_for_sweep(asking(workers), 0) as found:
            assert found.at_once == places


@pytest.mark.parametrize(
    ("workers", "gpus", "there", "places"),
    [
        (0, 0.0, {"CPU": 2.0}, 2),
        (2, 0.0, {"CPU": 5.0}, 2),
        (2, 1.0, {"CPU": 16.0, "GPU": 6.0}, 3),
        (0, 0.5, {"CPU": 16.0, "GPU": 2.0}, 4),
        (4, 0.0, {"CPU": 3.0}, 0),
    ],
)
def test_how_many_trials_fit(workers, gpus, there, places):
    assert places_for(demand_of(workers, gpus), there) == places


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("0.5m", 30)]
)
def test_times_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "2 hours", "h"])
def test_other_times_are_refused(text):
    with pytest.raises(InputError, match="expected such as"):
        seconds_of(text)
