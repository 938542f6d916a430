"""Kinetics: clips `<id>_<start>_<end>.mp4`, and lists `label,youtube_id,time_start,time_end,split`, or JSON by id."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, absent_note, check_protocol, found_below, listing
from harray.videos.listing import Listing
from harray.videos.named import kinetics_parts
from harray.videos.segments import segment_path
from harray.videos.splits import split_named

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")


class Entry(NamedTuple):
    video: str
    start: float
    end: float
    label: str | None
    split: str | None


def list_kinetics(asked: Asked) -> Listing:
    """Videos by their names; the lists say label and split, or where there are none folders say them."""
    check_protocol(asked, ())
    found = found_below(asked)
    stems = found.by_stem()
    entries = list(dict.fromkeys(_entries(asked)))
    by_video: dict[str, list[Entry]] = {}
    for entry in entries:
        by_video.setdefault(entry.video, []).append(entry)
    rows, used, others, whole = [], set[Entry](), [], 0
    for stem, paths in stems.items():
        parts = kinetics_parts(stem)
        video = parts[0] if parts else stem
        candidates = by_video.get(video, [])
        if parts:
            candidates = [
                each for each in candidates if abs(each.start - parts[1]) < 1 and abs(each.end - parts[2]) < 1
            ]
        folders = paths[0].split("/")[:-1]
        if parts is None and len(candidates) > 1:
            rows += [_segment(found.full(paths[0]), each) for each in candidates]
            used |= set(candidates)
            continue
        if len(candidates) == 1:
            entry = candidates[0]
            used.add(entry)
            whole += parts is None
            label, split = entry.label, entry.split
        elif not entries and folders:
            label, split = (
                folders[-1].replace("_", " "),
                split_named(folders[0]) if len(folders) > 1 else None,
            )
        else:
            others += paths
            continue
        row = {"path": found.full(paths[0]), "label": label, "group": video, "dataset": "kinetics"}
        rows.append({**row, "splits": [split] if split else []})
    absent = [f"{each.video}_{each.start:06.0f}_{each.end:06.0f}" for each in entries if each not in used]
    notes = absent_note(absent, "the lists")
    if whole:
        notes.append(f"{whole} videos have no times in their names, and are taken as cut already")
    notes.append("groups are the YouTube videos")
    read_as = "kinetics" + (" with its lists" if entries else ", labels by folders")
    return listing(
        asked, found, rows, read_as, notes, {"of no entry of the lists": others} if others else None
    )


def _segment(path: str, entry: Entry) -> dict[str, Any]:
    """Of several entries of one whole video."""
    path = segment_path(path, entry.start, entry.end)
    row = {"path": path, "label": entry.label, "group": entry.video, "dataset": "kinetics"}
    return {**row, "splits": [entry.split] if entry.split else []}


def _entries(asked: Asked) -> Iterator[Entry]:
    for file in asked.list_files("*.csv", "*.json"):
        if file.suffix == ".json":
            yield from _of_json(file)
        elif file.suffix == ".csv":
            yield from _of_csv(file)


def _of_csv(file: Path) -> Iterator[Entry]:
    rows = [row for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"))) if any(row)]
    header = [name.strip().lower() for name in rows[0]] if rows else []
    if not {"youtube_id", "time_start", "time_end"} <= set(header):
        raise InputError(f"{file}: columns {', '.join(header) or 'none'}, expected {','.join(COLUMNS)}")
    for number, row in enumerate(rows[1:], 2):
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        try:
            times = float(cells["time_start"]), float(cells["time_end"])
        except (KeyError, ValueError) as error:
            raise InputError(f"{file}: line {number}: expected times in seconds") from error
        split = cells.get("split") or _split_of(file)
        yield Entry(
            cells["youtube_id"], *times, cells.get("label") or None, split and (split_named(split) or split)
        )


def _of_json(file: Path) -> Iterator[Entry]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        for video, about in content.items():
            said: Any = about["annotations"]
            split = about.get("subset") or _split_of(file)
            start, end = map(float, said["segment"])
            yield Entry(str(video), start, end, said.get("label"), split and (split_named(split) or split))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}: not Kinetics' JSON ({error}); expected annotations with label and segment by id"
        ) from error


def _split_of(file: Path) -> str | None:
    return split_named(file.stem) or split_named(file.stem.split("_")[-1])
