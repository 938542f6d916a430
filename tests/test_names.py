"""Names that a URI, a shell or a file system would read otherwise: each stays what it is."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from harray.names import is_uri, local_path, short_name, split_uri, sqlite_file, sqlite_uri

FOLDERS = (
    "plain",
    "try?a",
    "a#b",
    "a%20b",
    "100%",
    "a b",
    "Läufe",
    "跑步",
    "a&b=c;d",
    "12:30",
    "ca$h",
    "?#%",
)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_database_lies_in_the_very_folder_that_is_named(tmp_path, name):
    from sqlalchemy import create_engine, text

    file = tmp_path / name / "mlflow.db"
    file.parent.mkdir()
    uri = sqlite_uri(file)
    assert sqlite_file(uri) == file
    with create_engine(uri).begin() as connection:
        connection.execute(text("CREATE TABLE here (number INTEGER)"))
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("here",)]
    assert [folder.name for folder in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", FOLDERS)
def test_artifacts_are_found_where_pathlib_says_they_lie(tmp_path, name):
    assert local_path((tmp_path / name).as_uri()) == local_path(str(tmp_path / name)) == tmp_path / name


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////data/my runs.db", "/data/my runs.db"),
        ("sqlite:////data/my%20runs.db", "/data/my runs.db"),
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite+pysqlite:////data/a%3Fb.db", "/data/a?b.db"),
        ("sqlite:////data/a#b.db?timeout=30", "/data/a#b.db"),
        ("http://tracker:5000", None),
        ("databricks", None),
    ],
)
def test_a_database_is_read_as_sqlalchemy_reads_it(uri, file):
    assert sqlite_file(uri) == (file and Path(file))


@pytest.mark.parametrize(
    ("name", "remote"),
    [
        ("12:30:01.mp4", False),
        ("a:/b.mp4", False),
        ("c:b.mp4", False),
        ("s3:b.mp4", False),
        ("./s3:/b.mp4", False),
        ("s3://bucket/12:30:01.mp4", True),
    ],
)
def test_only_what_has_a_scheme_and_two_slashes_is_a_uri(name, remote):
    assert is_uri(name) is remote


@pytest.mark.parametrize(
    ("uri", "root", "name"),
    [
        ("s3://bucket/a b?#%20.mp4", "s3://bucket/", "a b?#%20.mp4"),
        ("s3://bucket", "s3://bucket/", ""),
        ("file:///data/a%20b.mp4", "file:///", "data/a b.mp4"),
        ("gs://bucket/x/12:30.mp4", "gs://bucket/", "x/12:30.mp4"),
    ],
)
def test_objects_names_are_taken_as_they_are(uri, root, name):
    assert split_uri(uri) == (root, name)


@pytest.mark.parametrize("text", ["v" * 248, "ü" * 124, "跑" * 82, "a/../b" * 60, "v" * 247 + "w"])
def test_long_names_become_names_that_any_file_system_takes(tmp_path, text):
    name = short_name(text)
    assert len(name.encode()) <= 120
    (tmp_path / f"{name}_overlay.mp4").touch()
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}_overlay.mp4"]
    assert short_name(text + "x") != name


@pytest.mark.parametrize(
    ("text", "name"), [("run", "run"), ("a/b", "a_b"), ("..", "__"), ("", "_"), ("ca$h 跑", "ca$h 跑")]
)
def test_short_names_stay_as_they_are_but_name_one_file(text, name):
    assert short_name(text) == name
