"""An untouched run agrees with its repetition, however many threads torch had; one that differs ends with 1."""

import contextlib
from dataclasses import replace

import pytest
import torch

from harray.config import parse_overrides, with_overrides
from harray.recipes import pose_only
from harray.tracking.location import connect
from harray.training import run as training
from tests.toys import arm_store

pytestmark = pytest.mark.mlflow

SMALL = ("training.num_epochs=2", "training.device=cpu", "model.mme.width=16", "model.pcm.hidden_size=8")
FEW = ("--recipe", "pose_only", *SMALL)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rows = [{"path": f"/{number}.mp4", "splits": ["train"]} for number in range(24)]
    return arm_store(tmp_path_factory.mktemp("rerun") / "S", rows, scene=False).path


@contextlib.contextmanager
def torch_threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory, harray_once):
    """The folder, and a run by the number of threads that torch had when it began."""
    out, runs = tmp_path_factory.mktemp("trained"), {}
    for threads in (1, 2):
        with torch_threads(threads):
            ending = harray_once("train", "--store", store, "--out", out, "--json", *FEW)
        assert ending.code == 0, ending.err
        runs[threads] = ending.json["run_id"]
    return out, runs


@pytest.mark.parametrize(("then", "now"), [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2)])
def test_a_rerun_agrees_on_any_number_of_threads(trained, harray, then, now):
    out, runs = trained
    with torch_threads(now):
        again = harray("rerun", runs[then], "--out", out, "--json")
    assert (again.code, again.json["agrees"], again.json["greatest_difference"]) == (0, True, 0.0), again.err


def test_a_trainer_is_made_on_as_many_threads_as_it_trains_on(store, tmp_path, monkeypatch):
    seen, made = [], training.new_trainer

    def watched(*arguments):
        seen.append(torch.get_num_threads())
        return made(*arguments)

    monkeypatch.setattr(training, "new_trainer", watched)
    config = with_overrides(pose_only(), parse_overrides(pose_only(), SMALL))
    request = training.TrainingRequest(
        store=store,
        out=tmp_path / "c",
        learning=replace(config.learning, training=replace(config.training, num_epochs=1)),
    )
    with torch_threads(2):
        training.fit(request, torch.device("cpu"))
    assert seen == [config.training.num_threads] == [1]


def test_a_rerun_that_differs_ends_with_1_and_still_says_by_how_much(trained, harray):
    out, runs = trained
    uri, run_id = f"sqlite:///{out}/mlflow.db", runs[2]
    connect(uri).log_metric(run_id, "train.loss.total", 9.0, step=2)
    again = harray("rerun", run_id, "--out", out, "--json")
    assert again.code == 1
    assert again.json["agrees"] is False
    assert (again.json["metric"], again.json["epoch"]) == ("train.loss.total", 2)
    assert "the metrics DIFFER" in again.err


def test_runs_say_what_they_are_made_of(trained, store):
    out, runs = trained
    run = connect(f"sqlite:///{out}/mlflow.db").get_run(runs[1])
    assert run.info.run_name == "pose_only on S, seed 0"
    assert run.data.tags["harray.recipe"] == "pose_only"
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("S", run.data.tags["harray.store_digest"])
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "training"}
    assert str(store) in data.dataset.source
