import os
import subprocess
import sys

import pytest

from harray.errors import InputError
from harray.files import PART_SUFFIX, holding, list_files, put_if_absent, unfinished_files, write_atomically

HOLD = """
import sys, time
from pathlib import Path
from harray.files import holding
with holding(Path(sys.argv[1]), ""):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_file_is_the_new_one_whole_or_still_the_old_one(tmp_path):
    file = tmp_path / "folder" / "a.txt"
    write_atomically(file, lambda part: part.write_text("old"))

    def die(part):
        part.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, die)
    assert file.read_text() == "old"
    write_atomically(file, lambda part: part.write_text("new"))
    assert file.read_text() == "new"
    assert list(file.parent.iterdir()) == [file]


def test_of_two_who_put_the_same_file_the_first_one_wins(tmp_path):
    file = tmp_path / "a.txt"
    assert put_if_absent(file, lambda part: part.write_text("first"))
    assert not put_if_absent(file, lambda part: part.write_text("second"))
    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]


def test_the_first_one_wins_on_file_systems_without_hard_links_too(tmp_path, monkeypatch):
    def refused(*paths):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refused)
    file = tmp_path / "file"
    assert put_if_absent(file, lambda part: part.write_text("first"))
    assert not put_if_absent(file, lambda part: part.write_text("second"))
    assert [each.read_text() for each in tmp_path.iterdir()] == ["first"]


def test_unfinished_files_are_not_listed_among_the_finished(tmp_path):
    for name in ("b.parquet", "a.parquet", "a.txt", f".c.parquet.1{PART_SUFFIX}"):
        (tmp_path / name).touch()
    assert [file.name for file in list_files(tmp_path, ".parquet")] == ["a.parquet", "b.parquet"]
    assert [file.name for file in unfinished_files(tmp_path)] == [f".c.parquet.1{PART_SUFFIX}"]


@pytest.mark.slow
def test_a_folder_is_held_by_one_process_until_that_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="somebody works here"), holding(tmp_path, "somebody works here"):
        pass
    holder.kill()
    holder.wait()
    with holding(tmp_path, "somebody works here"):
        pass
