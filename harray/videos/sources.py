"""Which videos there are, and what is known of each: a manifest from a folder, a csv or a dataset's own layout."""

import csv
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from harray.errors import InputError
from harray.schema import MANIFEST
from harray.videos.files import is_uri, local_copy, remote, remote_info, stamp_of

VIDEO_SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"),
    *(".webm", ".wmv"),
}
SPLIT_FOLDERS = {"train", "val", "validation", "test"}
MANIFEST_NAME = "manifest.csv"
TOLD_EVERY = 1000  # videos


def list_videos(
    source: Path | str,
    dataset: str | None = None,
    splits_dir: Path | str | None = None,
    on_found: Callable[[int], None] | None = None,
) -> pa.Table:
    """The manifest of a source, sorted by path; paths are absolute or URIs, and need not exist.

    Args:
        source: a csv; a folder with a manifest.csv; a folder of class folders (below `train`, `val` and `test`
            folders where it has these); or the root of `dataset`. A csv or folder may be remote, as a URI.
        dataset: None, or "ucf101".
        splits_dir: the folder of the dataset's official split lists.
        on_found: called with the number of videos found in a folder so far, now and then.

    Raises:
        InputError: nothing at `source`, nothing in it, or a csv that lacks what is needed.
    """
    source = str(source) if is_uri(source) else os.path.abspath(source)
    is_folder = _is_folder(source, "name a folder of class folders or a manifest.csv")
    if dataset == "ucf101":
        from harray.videos.ucf101 import list_ucf101

        return manifest_table(list_ucf101(Path(source), splits_dir))
    if dataset is not None:
        raise InputError(f"dataset {dataset!r}: expected ucf101; other datasets go through a manifest.csv")
    if splits_dir is not None:
        raise InputError(
            f"split lists {splits_dir}: they need a dataset; add --dataset ucf101 or leave them out"
        )
    if not is_folder:
        return manifest_table(_csv_rows(source))
    if stamp_of(manifest := _joined(source, MANIFEST_NAME)):
        return manifest_table(_csv_rows(manifest))
    return manifest_table(_folder_rows(source, on_found or (lambda found: None)))


def videos_among(names: Iterable[str]) -> list[str]:
    """Files as they are, folders as the videos in them, sorted; by path or URI.

    Raises:
        InputError: nothing of that name, or a folder without videos.
    """
    videos: list[str] = []
    for name in names:
        if not _is_folder(name, "give videos or folders of videos"):
            videos.append(name)
        elif found := sorted(find_videos(name)):
            videos += found
        else:
            raise InputError(f"folder {name}: no videos in it ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return videos


def manifest_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a manifest, sorted by path; absent columns are null, absent `splits` empty."""
    defaults = dict.fromkeys(MANIFEST.names) | {"splits": []}
    ordered = sorted(({**defaults, **row} for row in rows), key=lambda row: str(row["path"]))
    return pa.Table.from_pylist(ordered, schema=MANIFEST)


def find_videos(folder: str) -> Iterator[str]:
    """Files below a folder that are named like videos; links are followed, each folder is entered once.

    A name that is no Unicode text comes with its odd bytes written out, and so will not be found again.
    """
    names = _remote_files(folder) if is_uri(folder) else _local_files(folder)
    for name in names:
        base = name.rpartition("/")[2]
        if Path(base).suffix.lower() in VIDEO_SUFFIXES and not base.startswith("."):
            yield name


def _local_files(folder: str) -> Iterator[str]:
    entered: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_refuse_unlisted, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        for name in sorted(files):
            yield os.fsencode(os.path.join(parent, name)).decode("utf-8", "backslashreplace")


def _refuse_unlisted(error: OSError) -> None:
    raise InputError(
        f"source: folder {error.filename} cannot be listed ({error.strerror}), and its videos would be missing without "
        "a word; make it readable or take it away"
    ) from error


def _remote_files(folder: str) -> Iterator[str]:
    from pyarrow.fs import FileSelector, FileType

    filesystem, inner = remote(folder)
    prefix = folder.removesuffix("/")
    for info in filesystem.get_file_info(FileSelector(inner, recursive=True)):
        if info.type == FileType.File:
            yield prefix + info.path.removeprefix(inner.removesuffix("/"))


def _is_folder(source: str, advice: str) -> bool:
    """Raises InputError: nothing is there."""
    if is_uri(source):
        try:
            info = remote_info(source)
        except OSError as error:
            raise InputError(
                f"source {source}: cannot be asked for ({str(error).splitlines()[0]})"
            ) from error
        exists, is_folder = info.type.name != "NotFound", not info.is_file
    else:
        exists, is_folder = os.path.exists(source), os.path.isdir(source)
    if not exists:
        raise InputError(f"source {source}: no such file or folder; {advice}")
    return is_folder


def _joined(folder: str, name: str) -> str:
    """A path below a folder; one that is absolute or a URI stands for itself."""
    if is_uri(name):
        return name
    if is_uri(folder):
        scheme, _, rest = folder.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(rest, name))}"
    return os.path.normpath(os.path.join(folder, name))


def _folder_rows(folder: str, on_found: Callable[[int], None]) -> list[dict[str, Any]]:
    """A folder's first level names the class, or the split and its second level the class."""
    found = []
    for path in find_videos(folder):
        found.append(path)
        if len(found) % TOLD_EVERY == 0:
            on_found(len(found))
    on_found(len(found))
    below = [path.removeprefix(folder.removesuffix("/") + "/").split("/")[:-1] for path in found]
    of_splits = any(below) and {parts[0].lower() for parts in below if parts} <= SPLIT_FOLDERS
    rows = []
    for path, parts in zip(found, below, strict=True):
        split = parts[0].lower().replace("validation", "val") if of_splits and parts else None
        label = next(iter(parts[1:] if of_splits else parts), None)
        rows.append({"path": path, "label": label, "splits": [split] if split else []})
    if not any(row["label"] for row in rows):
        what = f"{len(rows)} videos without a class folder" if rows else "no videos"
        raise InputError(
            f"source {folder}: {what}; expected class folders with videos in them, such as "
            f"{os.path.basename(folder)}/run/1.mp4, or a manifest.csv with the columns path,label"
        )
    return rows


def _csv_rows(file: str) -> list[dict[str, Any]]:
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


def _csv_lines(file: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with local_copy(file) as copy, copy.open(newline="", encoding="utf-8-sig") as stream:
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


def _csv_row(file: str, line: int, values: dict[str, str]) -> dict[str, Any]:
    if not values["path"]:
        raise InputError(f"{file}:{line}: the path is empty; every line needs one")
    splits = values.get("splits") or values.get("split") or ""
    return {
        "path": _joined(file.rpartition("/")[0] or "/", values["path"]),
        "label": values["label"] or None,
        "group": values.get("group") or None,
        "dataset": values.get("dataset") or None,
        "splits": [name.strip() for name in splits.split(";") if name.strip()],
    }
