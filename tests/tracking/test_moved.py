"""A tracking store that was moved, copied or renamed with its folder: read and written where it is, nowhere else."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harray.tracking import moved
from harray.tracking.location import connect
from harray.tracking.registry import register, resolve_model
from harray.tracking.runs import TrainingRun, record_evaluation


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 7


@pytest.fixture(scope="module")
def recorded(empty_database, checkpoint, tmp_path_factory) -> tuple[Path, str]:
    """An output folder with one run, whose model is a champion; never changed."""
    out = tmp_path_factory.mktemp("recorded") / "out"
    out.mkdir()
    shutil.copy(empty_database, out / "mlflow.db")
    uri = f"sqlite:///{out}/mlflow.db"
    with TrainingRun(uri, Config()) as run:
        register(uri, "m", run.log_model(checkpoint))
    return out, run.run_id


@pytest.fixture
def out(recorded, tmp_path) -> Path:
    """The same in a folder of its own, as if it had been made there."""
    folder = tmp_path / "out"
    shutil.copytree(recorded[0], folder)
    moved.follow(folder / "mlflow.db")
    return folder


def renamed(out):
    return out.rename(out.with_name("renamed"))


def moved_below(out):
    there = out.parent / "a b" / "ü"
    there.parent.mkdir(parents=True)
    return out.rename(there)


def copied(out):
    return shutil.copytree(out, out.with_name("copy"))


def moved_and_the_old_one_begun_anew(out):
    there = renamed(out)
    shutil.copytree(there, out)
    return there


def moved_twice(out):
    there = renamed(out)
    moved.follow(there / "mlflow.db")
    return there.rename(there.with_name("again"))


@pytest.mark.parametrize(
    "move",
    [renamed, moved_below, copied, moved_and_the_old_one_begun_anew, moved_twice],
    ids=lambda f: f.__name__,
)
def test_a_moved_store_is_read_and_written_where_it_is(out, recorded, move, tmp_path):
    with TrainingRun(f"sqlite:///{out}/mlflow.db", Config()) as old:
        pass
    there = move(out)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(there)}
    uri = f"sqlite:///{there}/mlflow.db"
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>")
    assert resolve_model("models:/m@champion", uri).is_relative_to(there)
    assert resolve_model(f"runs:/{recorded[1]}", uri).is_relative_to(there)
    assert record_evaluation(uri, old.run_id, {"test.top1": 1.0}, tmp_path / "report", "evaluation/test")
    assert len(list(there.rglob("evaluation/test/report.html"))) == 1
    with TrainingRun(uri, Config()) as run:
        run.log_artifact(tmp_path / "report" / "report.html")
    assert [file.path for file in connect(uri).list_artifacts(run.run_id)] == ["report.html"]
    shutil.rmtree(tmp_path / "report")
    after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(there)}
    assert after == before


def the_same_place(out):
    return out


def the_same_by_another_name(out):
    out.with_name("link").symlink_to(out)
    return out.with_name("link")


@pytest.mark.parametrize("name", [the_same_place, the_same_by_another_name], ids=lambda f: f.__name__)
def test_a_store_that_stayed_is_left_alone(out, name):
    assert moved.follow(name(out) / "mlflow.db") == []


@pytest.mark.parametrize("is_there", [True, False])
def test_artifacts_that_somebody_put_elsewhere_stay_there(tmp_path, uri, is_there):
    elsewhere = tmp_path / "bucket" / "mlartifacts"
    elsewhere.parent.mkdir()
    if is_there:
        elsewhere.mkdir()
    client = connect(uri)
    client.create_experiment("harray", artifact_location=elsewhere.as_uri())
    assert moved.follow(tmp_path / "mlflow.db") == []
    assert client.get_experiment_by_name("harray").artifact_location == elsewhere.as_uri()
