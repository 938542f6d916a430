"""A tracking store that was moved or copied with its output folder: its records follow it.

MLflow writes down where artifacts lie as whole paths. Left alone, a moved store would read from where it was, and
worse, write there.
"""

import contextlib
import logging
import sqlite3
import urllib.parse
from pathlib import Path

from harray.errors import InputError

FOLDER = "mlartifacts"
_COLUMNS = (  # of MLflow's tables that hold places of artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_log = logging.getLogger(__name__)


def follow(file: Path) -> list[Path]:
    """Let the records of a sqlite store point to the artifacts beside it, where they did so before it was moved.

    Returns:
        Where the artifacts were said to be; usually nothing.

    Raises:
        InputError: the store was moved, and its file cannot be written.
    """
    here = file.parent / FOLDER
    with contextlib.closing(sqlite3.connect(file)) as database:
        try:
            query = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE ?"
            named = [_folder(uri) for (uri,) in database.execute(query, [f"file:///%/{FOLDER}"])]
        except sqlite3.Error:  # no store of MLflow, or an old one: MLflow says so better
            return []
        left = [folder for folder in named if folder != here and was_left(folder, file)]
        for folder in left:
            try:
                _point(database, folder.as_uri(), here.as_uri())
            except sqlite3.OperationalError as error:
                raise InputError(
                    f"tracking store {file}: it was moved from {folder.parent}, where its records still point, and "
                    f"cannot be changed ({error}); make it writable, or move it back"
                ) from error
            _log.warning("%s was at %s: its records now point to %s", file, folder.parent, here)
    return left


def was_left(folder: Path, file: Path) -> bool:
    """Whether the store at `file` was moved or copied away from beside this folder.

    A folder without a store beside it was chosen by somebody, and one with this very store beside it is ours by
    another name.
    """
    if not folder.exists():
        return (file.parent / FOLDER).exists() or not folder.parent.exists()
    other = folder.parent / file.name
    return other.exists() and not other.samefile(file)


def _folder(uri: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(uri).path))


def _point(database: sqlite3.Connection, old: str, new: str) -> None:
    with database:
        for table, column in _COLUMNS:
            database.execute(
                f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                f"WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'",
                {"old": old, "new": new},
            )
