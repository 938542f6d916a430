from pathlib import Path

import pytest

from harray.errors import InputError
from harray.workspace import Workspace


def test_text_and_path_name_the_same_absolute_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Workspace("runs") == Workspace(Path("runs")) == Workspace(tmp_path / "runs")


def test_the_environment_names_the_folder_that_nobody_else_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARRAY_OUT", raising=False)
    assert Workspace().out == tmp_path / "harray-out"
    monkeypatch.setenv("HARRAY_OUT", str(tmp_path / "elsewhere"))
    assert Workspace().out == tmp_path / "elsewhere"
    assert Workspace("here").out == tmp_path / "here"


def test_a_bucket_is_refused():
    with pytest.raises(InputError, match="odd://bucket/runs: found odd://, expected a folder, or a bucket"):
        Workspace("odd://bucket/runs")
