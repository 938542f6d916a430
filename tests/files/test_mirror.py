"""A folder in a bucket, worked in through one on this machine."""

import shutil

import pytest

from harray.errors import InputError
from harray.files import (
    bucket,
    fetch,
    holding,
    kept,
    lease,
    list_tree,
    local_folder,
    local_of,
    local_tree,
    mirror,
    place,
    remote_of,
    shown,
)
from harray.tracking.location import tracking_uri
from harray.tracking.run_folder import RunFolder
from harray.workspace import Workspace
from tests.clusters import bucket as s3_bucket


@pytest.fixture(scope="module")
def server():
    with s3_bucket("harray") as variables:
        yield variables


@pytest.fixture
def out(server, monkeypatch, tmp_path, request):
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(lease, "BEAT_SEC", 0.1)
    monkeypatch.setattr(lease, "EXPIRY_SEC", 0.6)
    monkeypatch.setattr(lease, "WATCH_SEC", 0.05)
    monkeypatch.setattr(mirror, "_mirrors", {})
    return place(f"s3://harray/{request.node.name[:60]}")


def another_machine(out, monkeypatch, tmp_path, name="b"):
    """The folder that stands for `out` there."""
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    monkeypatch.setattr(mirror, "_mirrors", {})
    return local_folder(out)


def names_in(folder):
    return [str(file.path.relative_to(folder)) for file in list_tree(folder)]


@pytest.mark.s3
def test_what_is_new_goes_up_and_what_was_removed_goes(out, monkeypatch, tmp_path):
    here = local_folder(out)
    with kept(here):
        for name in ("a", "runs/1/b", "runs/2/c", "runs/.lock"):
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_text(name)
    assert names_in(out) == ["a", "runs/1/b", "runs/2/c"]
    there = another_machine(out, monkeypatch, tmp_path)
    fetch(there / "runs", lambda name: not name.endswith("c"))
    assert names_in(there) == ["runs/1/b"]
    with kept(there):
        (there / "runs" / "1" / "b").unlink()
        (there / "d").write_text("d")
    assert names_in(out) == ["a", "d", "runs/2/c"]


@pytest.mark.s3
def test_names_here_and_in_the_bucket_stand_for_each_other(out):
    here = Workspace(str(out)).out
    assert remote_of(here / "runs") == out / "runs"
    assert local_of(out / "runs") == here / "runs"
    assert shown(f"checkpoint: {here / 'a'}") == f"checkpoint: {out / 'a'}"
    assert remote_of(here.parent) == here.parent


@pytest.mark.s3
def test_a_folder_is_held_on_one_machine_at_a_time(out, monkeypatch, tmp_path):
    with holding(local_folder(out) / "sweep", "held"):
        there = another_machine(out, monkeypatch, tmp_path)
        with pytest.raises(InputError, match="held"), holding(there / "sweep", "held"):
            pass
    with holding(there / "sweep", "held"):
        pass


@pytest.mark.s3
def test_an_interrupted_training_is_gone_on_with_on_another_machine(out, monkeypatch, tmp_path):
    parent = local_folder(out) / "runs"
    begun = RunFolder.claim(parent, "r", "same")
    (begun.path / "run_id").write_text("17")
    begun.state_file.write_text("half")
    begun.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    parent = another_machine(out, monkeypatch, tmp_path) / "runs"
    with RunFolder.claim(parent, "r", "other") as other:
        assert (other.path.name, other.run_id) == ("r-2" if (parent / "r").exists() else "r", None)
    with RunFolder.claim(parent, "r", "same") as again:
        assert (again.path.name, again.run_id, again.state_file.read_text()) == ("r", "17", "half")
    assert "runs/r/unfinished" not in names_in(out)


@pytest.mark.s3
def test_a_file_or_folder_of_a_bucket_is_copied(out):
    for name in ("checkpoint/a", "checkpoint-2/a", "config.yaml"):
        bucket.put(out / name, name.encode())
    copy = local_tree(out / "checkpoint")
    assert names_in(copy) == ["a"]
    assert local_tree(out / "config.yaml").read_text() == "config.yaml"


@pytest.mark.s3
def test_a_bucket_holds_no_database(out, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match="name an `mlflow server` by MLFLOW_TRACKING_URI"):
        tracking_uri(Workspace(str(out)))


@pytest.mark.s3
def test_a_local_folder_that_somebody_tidied_away_takes_nothing_of_the_bucket_with_it(out):
    here = local_folder(out)
    (here / "note.txt").write_text("here")
    mirror.mirror_of(here).send()
    shutil.rmtree(here)
    with pytest.raises(InputError, match="TMPDIR"):
        mirror.mirror_of(here).send()
    assert names_in(out) == ["note.txt"]


@pytest.mark.s3
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(out, monkeypatch, tmp_path):
    used, left = local_folder(out), tmp_path / f"{mirror.PREFIX}left"
    left.mkdir()
    monkeypatch.setattr(mirror, "_mirrors", {})
    own = local_folder(out)
    assert (used.exists(), left.exists(), own.exists()) == (True, False, True)
    assert own != used
    assert list(own.iterdir()) == []
