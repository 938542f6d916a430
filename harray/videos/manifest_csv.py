"""A manifest.csv, read strictly: a line that is not what the header says is refused by its number."""

import csv
import functools
import io
import itertools
import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from harray.errors import InputError
from harray.videos.files import is_uri, local_copy
from harray.videos.listing import Listing, manifest_table
from harray.videos.segments import checked_span, part_of, segment_path
from harray.videos.splits import canonical_splits, renamed, tidy

COLUMNS = ("path", "label", "group", "split", "dataset", "start", "end")
ALSO_CALLED = {
    "splits": "split",
    "start_sec": "start",
    "end_sec": "end",
    "time_start": "start",
    "time_end": "end",
    "start_time": "start",
    "end_time": "end",
}
DELIMITERS = ",;\t|"
EXPECTED = "expected a csv with path,label and optionally group,split,dataset,start,end"


def read_manifest(file: str) -> Listing:
    """The videos that a csv names, by path or URI; relative paths are taken from the csv's folder.

    The separator is the one of `,;|` and tab by which the header has a path and a label. Names of splits in one
    field stand between semicolons.

    Raises:
        InputError: no text in UTF-8, a column that lacks or stands twice, a line with too many or too few fields, an
            empty path, or a video that two lines say different things of.
    """
    header, lines = _parsed(file)
    rows: dict[str, tuple[int, dict[str, Any]]] = {}
    num_lines = 0
    for number, fields in lines:
        num_lines += 1
        values = dict(zip(header, fields, strict=True))
        row = _row(file, number, values)
        first, known = rows.setdefault(row["path"], (number, row))
        if known != row:
            raise InputError(
                f"{file}:{number}: {values['path']} stands here twice with different values, first in line {first}; "
                "keep one line"
            )
    if not rows:
        raise InputError(f"{file}: no videos in it; expected a line per video under the header path,label")
    found = [row for _, row in rows.values()]
    grouped = group_segments(found, file)
    called = canonical_splits({split for row in found for split in row["splits"]}, file)
    for row in found:
        row["splits"] = tuple(dict.fromkeys(called[split] for split in row["splits"]))
    return Listing(
        manifest=manifest_table(found),
        read_as=os.path.basename(file),
        notes=[
            *_unread(header),
            *grouped,
            *renamed(called),
            *_absent(found),
            *_repeated(num_lines, len(rows)),
        ],
    )


def joined(folder: str, name: str) -> str:
    """A path below a folder; one that is absolute or a URI stands for itself."""
    if is_uri(name):
        return name
    if is_uri(folder):
        scheme, _, rest = folder.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(rest, name))}"
    return os.path.normpath(os.path.join(folder, name))


def _parsed(file: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and every line that holds something as its number and fields, one by one: there may be millions."""
    try:
        with local_copy(file) as copy:
            text = copy.read_bytes().decode("utf-8-sig")
        header, delimiter = _header(file, text)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: not a csv text file in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8, or give a "
            "folder of class folders"
        ) from error
    return header, _lines(file, text, header, delimiter)


def _lines(file: str, text: str, header: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    try:
        for number, fields in itertools.islice(_records(text, delimiter), 1, None):
            if len(fields) != len(header):
                raise InputError(
                    f"{file}:{number}: {len(fields)} fields for the {len(header)} columns {delimiter.join(header)}; "
                    f'quote values that hold a separator, such as "jump{delimiter} high"'
                )
            yield number, fields
    except csv.Error as error:
        raise InputError(f"{file}:{error}; {EXPECTED}") from error


def _header(file: str, text: str) -> tuple[list[str], str]:
    """Names of the columns and the separator."""
    for delimiter in DELIMITERS:
        try:
            _, fields = next(_records(text, delimiter), (1, []))
        except csv.Error:
            continue
        header = [ALSO_CALLED.get(name.casefold(), name.casefold()) for name in fields]
        if {"path", "label"} <= set(header):
            break
    else:
        _, fields = next(_records(text, ","), (1, []))
        absent = [name for name in ("path", "label") if name not in [name.casefold() for name in fields]]
        found = ", ".join(fields) or "nothing"
        raise InputError(f"{file}: no column {' and '.join(absent)} (found: {found}); {EXPECTED}")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        names = ", ".join(name or "one without a name" for name in twice)
        raise InputError(f"{file}: columns that stand twice: {names}; {EXPECTED}")
    if len({"start", "end"} & set(header)) == 1:
        [there] = {"start", "end"} & set(header)
        raise InputError(f"{file}: a column {there} alone; expected start and end of segments, in seconds")
    return header, delimiter


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, fields) of each record that holds something.

    Raises:
        csv.Error: "line: what", of quotes that never end and the like.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    while True:
        number = reader.line_num + 1
        try:
            fields = [field.strip() for field in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise csv.Error(f"{number}: {error}") from error
        if any(fields):
            yield number, fields


def _row(file: str, number: int, values: dict[str, str]) -> dict[str, Any]:
    if not values["path"]:
        raise InputError(f"{file}:{number}: the path is empty; every line needs one")
    said = {name: _tidied(values.get(name, "")) or None for name in ("label", "group", "dataset")}
    path = _as_stored(file.rpartition("/")[0] or "/", values["path"])
    span = checked_span(values.get("start", ""), values.get("end", ""), f"{file}:{number}")
    return {
        "path": path if span is None else segment_path(path, *span),
        **said,
        "splits": _splits_in(values.get("split", "")),
    }


@functools.lru_cache(maxsize=10_000)
def _splits_in(field: str) -> tuple[str, ...]:
    return tuple(name for name in map(tidy, field.split(";")) if name)


@functools.lru_cache(maxsize=10_000)
def _tidied(field: str) -> str:
    """One text for all rows that say the same: there may be millions."""
    return tidy(field)


def _as_stored(folder: str, name: str) -> str:
    """The path as the disk has it: accents are composed in most csvs, and decomposed in what comes from macOS."""
    path = joined(folder, name)
    if name.isascii() or is_uri(path) or os.path.exists(path):
        return path
    for form in ("NFC", "NFD"):
        if os.path.exists(other := joined(folder, unicodedata.normalize(form, name))):
            return other
    return path


def group_segments(rows: list[dict[str, Any]], where: str) -> list[str]:
    """Let the segments of a video be of one group, the video where no other is named; what is to be said of it.

    Raises:
        InputError: segments of one video in several splits, or of several groups.
    """
    files: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if (part := part_of(row["path"])).span is not None:
            files.setdefault(part.file, []).append(row)
    num_named = 0
    for file, parts in files.items():
        for column, what in (("splits", "splits"), ("group", "groups")):
            found = {str(row[column]) for row in parts}
            if len(found) > 1:
                raise InputError(
                    f"{where}: segments of {os.path.basename(file)} are in several {what} "
                    f"({', '.join(sorted(found))}); "
                    "expected all segments of a video in one, or training sees what the test asks"
                )
        for row in parts:
            num_named += row["group"] is None
            row["group"] = row["group"] or os.path.splitext(os.path.basename(file))[0]
    num_parts = sum(map(len, files.values()))
    notes = [f"{num_parts} segments of {len(files)} videos; a segment is a clip"] if files else []
    return notes + (["group of a segment: its video, so that no video straddles splits"] if num_named else [])


def _unread(header: list[str]) -> list[str]:
    unread = [name or "one without a name" for name in header if name not in COLUMNS]
    return (
        [f"columns that are not read: {', '.join(unread)}; known are {', '.join(COLUMNS)}"] if unread else []
    )


def _absent(rows: list[dict[str, Any]]) -> list[str]:
    """Of a bucket's files this is asked later, by extraction, which asks for each anyway."""
    files = [part_of(row["path"]).file for row in rows]
    absent = [file for file in files if not is_uri(file) and not os.path.exists(file)]
    return [f"{len(absent)} of {len(rows)} videos are not there, such as {absent[0]}"] if absent else []


def _repeated(num_lines: int, num_videos: int) -> list[str]:
    repeated = num_lines - num_videos
    return [f"{repeated} lines say again what another one says"] if repeated else []
