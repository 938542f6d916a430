"""Which videos there are, and what is known of each: a manifest from a folder, a csv or a dataset's own layout."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from harray.errors import InputError
from harray.schema import MANIFEST

VIDEO_SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"),
    *(".webm", ".wmv"),
}
SPLIT_FOLDERS = {"train", "val", "validation", "test"}
MANIFEST_NAME = "manifest.csv"


def list_videos(
    source: Path | str, dataset: str | None = None, splits_dir: Path | str | None = None
) -> pa.Table:
    """The manifest of a source, sorted by path; paths are absolute and need not exist.

    Args:
        source: a csv; a folder with a manifest.csv; a folder of class folders (below `train`, `val` and `test`
            folders where it has these); or the root of `dataset`.
        dataset: None, or "ucf101".
        splits_dir: the folder of the dataset's official split lists.

    Raises:
        InputError: nothing at `source`, nothing in it, or a csv that lacks what is needed.
    """
    source = Path(source).absolute()
    if not source.exists():
        raise InputError(
            f"source {source}: no such file or folder; name a folder of class folders or a manifest.csv"
        )
    if dataset == "ucf101":
        from harray.videos.ucf101 import list_ucf101

        return manifest_table(list_ucf101(source, splits_dir))
    if dataset is not None:
        raise InputError(f"dataset {dataset!r}: expected ucf101; other datasets go through a manifest.csv")
    if splits_dir is not None:
        raise InputError(
            f"split lists {splits_dir}: they need a dataset; add --dataset ucf101 or leave them out"
        )
    if source.is_file():
        return manifest_table(_csv_rows(source))
    if (source / MANIFEST_NAME).is_file():
        return manifest_table(_csv_rows(source / MANIFEST_NAME))
    return manifest_table(_folder_rows(source))


def manifest_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a manifest, sorted by path; absent columns are null, absent `splits` empty."""
    defaults = dict.fromkeys(MANIFEST.names) | {"splits": []}
    ordered = sorted(({**defaults, **row} for row in rows), key=lambda row: str(row["path"]))
    return pa.Table.from_pylist(ordered, schema=MANIFEST)


def find_videos(folder: Path) -> Iterator[Path]:
    """Files below a folder that are named like videos; links are followed, each folder is entered once."""
    entered: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                yield Path(parent) / name


def _folder_rows(folder: Path) -> list[dict[str, Any]]:
    """A folder's first level names the class, or the split and its second level the class."""
    first = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    of_splits = bool(first) and {name.lower() for name in first} <= SPLIT_FOLDERS
    rows = []
    for path in find_videos(folder):
        parts = path.relative_to(folder).parts[:-1]
        split = parts[0].lower().replace("validation", "val") if of_splits and parts else None
        label = next(iter(parts[1:] if of_splits else parts), None)
        rows.append({"path": str(path), "label": label, "splits": [split] if split else []})
    if not any(row["label"] for row in rows):
        found = f"{len(rows)} videos without a class folder" if rows else "no videos"
        raise InputError(
            f"source {folder}: {found}; expected class folders with videos in them, such as "
            f"{folder.name}/run/1.mp4, or a manifest.csv with the columns path,label"
        )
    return rows


def _csv_rows(file: Path) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for line, values in _csv_lines(file):
        row = _csv_row(file, line, values)
        known = rows.setdefault(row["path"], row)
        if known != row:
            raise InputError(
                f"{file}:{line}: {values['path']} stands here twice with different values; keep one line"
            )
    if not rows:
        raise InputError(f"{file}: no videos in it; expected a line per video under the header path,label")
    return list(rows.values())


def _csv_lines(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = [name.strip() for name in reader.fieldnames or []]
            if absent := [name for name in ("path", "label") if name not in header]:
                raise InputError(
                    f"{file}: no column {' and '.join(absent)} (found: {', '.join(header) or 'nothing'}); "
                    "expected a csv with path,label and optionally group,split,dataset"
                )
            reader.fieldnames = header
            for values in reader:
                yield reader.line_num, {name: (values[name] or "").strip() for name in header if name}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{file}: not a csv text file ({error}); expected a manifest.csv with path,label"
        ) from error


def _csv_row(file: Path, line: int, values: dict[str, str]) -> dict[str, Any]:
    if not values["path"]:
        raise InputError(f"{file}:{line}: the path is empty; every line needs one")
    splits = values.get("splits") or values.get("split") or ""
    return {
        "path": os.path.normpath(file.parent / values["path"]),
        "label": values["label"] or None,
        "group": values.get("group") or None,
        "dataset": values.get("dataset") or None,
        "splits": [name.strip() for name in splits.split(";") if name.strip()],
    }
