"""Clips that lists name by their ids: Something-Something, Diving48, Jester, FineGym; and AVA, which is refused."""

import json
import re
from collections.abc import Iterator
from typing import Any

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, absent_note, check_protocol, found_below, listing
from harray.videos.datasets.lists import lines_of, read_classes, split_in
from harray.videos.listing import Listing
from harray.videos.segments import segment_path

_FINEGYM = re.compile(r"(?P<video>.+)_E_(?P<event>\d+)_(?P<event_end>\d+)_A_(?P<start>\d+)_(?P<end>\d+)")


def list_something(asked: Asked) -> Listing:
    """Something-Something: JSON of id, template and label; <id>.webm."""
    check_protocol(asked, ())
    entries: list[tuple[str, str | None, str | None]] = []
    for file in asked.list_files("*.json"):
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, list):
            split = split_in(file.stem)
            entries += [(str(each["id"]), _template(each), split) for each in content if "id" in each]
    return _by_id(asked, "something", entries)


def _template(entry: dict[str, Any]) -> str | None:
    template = entry.get("template")
    return re.sub(r"[\[\]]", "", template) if template else entry.get("label")


def list_diving48(asked: Asked) -> Listing:
    """Diving48: JSON of vid_name and label, a number; <vid_name>.mp4; its vocabulary names the classes."""
    check_protocol(asked, ())
    entries: list[tuple[str, str | None, str | None]] = []
    vocabulary: list[str] = []
    for file in asked.list_files("*.json"):
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if (
            isinstance(content, list)
            and content
            and isinstance(content[0], dict)
            and "vid_name" in content[0]
        ):
            entries += [(str(each["vid_name"]), str(each["label"]), split_in(file.stem)) for each in content]
        elif "vocab" in file.stem.lower() and isinstance(content, list):
            vocabulary = [
                " ".join(map(str, each)) if isinstance(each, list) else str(each) for each in content
            ]
    if vocabulary:
        entries = [(name, vocabulary[int(str(label))], split) for name, label, split in entries]
    return _by_id(asked, "diving48", entries)


def list_jester(asked: Asked) -> Listing:
    """Jester: csv of `id;label`, of ids alone for the test; a folder of pictures a clip."""
    check_protocol(asked, ())
    entries: list[tuple[str, str | None, str | None]] = []
    for file in asked.list_files("*.csv"):
        rows = [line.strip().split(";") for line in lines_of(file) if line.strip()]
        if rows and all(row[0].isdigit() for row in rows):
            split = split_in(file.stem)
            entries += [(row[0], row[1].strip() if len(row) > 1 else None, split) for row in rows]
    return _by_id(asked, "jester", entries)


def _by_id(asked: Asked, name: str, entries: list[tuple[str, str | None, str | None]]) -> Listing:
    if not entries:
        raise InputError(
            f"source {asked.lists or asked.root}: no lists of {name} in it; name their folder by --splits"
        )
    found = found_below(asked)
    stems = found.by_stem()
    rows = [
        {
            "path": found.full(stems[stem][0]),
            "label": label,
            "dataset": name,
            "splits": [split] if split else [],
        }
        for stem, label, split in entries
        if stem in stems
    ]
    unlabelled = sum(label is None for _, label, _ in entries)
    notes = absent_note([stem for stem, _, _ in entries if stem not in stems], "the lists")
    notes += (
        [f"{unlabelled} entries of the lists have no label (the test of the challenge)"] if unlabelled else []
    )
    named = {stem for stem, _, _ in entries}
    others = [path for stem, paths in stems.items() if stem not in named for path in paths]
    return listing(asked, found, rows, name, notes, {"in no list": others} if others else None)


def list_finegym(asked: Asked) -> Listing:
    """FineGym's elements: <video>_E_<start>_<end>_A_<start>_<end> and a label; clips of that name, or whole videos."""
    check_protocol(asked, ())
    found = found_below(asked)
    stems = found.by_stem()
    names = read_classes(asked.classes) if asked.classes else {}
    rows, absent = [], []
    for stem, number, split in _elements(asked):
        parts = _FINEGYM.fullmatch(stem)
        assert parts is not None
        if stem in stems:
            path = found.full(stems[stem][0])
        elif parts["video"] in stems:
            base = float(parts["event"])
            span = base + float(parts["start"]), base + float(parts["end"])
            path = segment_path(found.full(stems[parts["video"]][0]), span[0], max(span[1], span[0] + 1))
        else:
            absent.append(stem)
            continue
        label = names.get(number, str(number))
        splits = [split] if split else []
        rows.append(
            {"path": path, "label": label, "group": parts["video"], "dataset": "finegym", "splits": splits}
        )
    notes = [*absent_note(absent, "the lists"), "groups are the videos that elements are cut from"]
    notes += [] if names else ["labels are numbers without names; --classes names them"]
    return listing(asked, found, rows, "finegym", notes)


def _elements(asked: Asked) -> Iterator[tuple[str, int, str | None]]:
    for file in asked.list_files("*element*.txt"):
        for number, line in enumerate(lines_of(file), 1):
            words = line.split()
            if words and (len(words) != 2 or not _FINEGYM.fullmatch(words[0]) or not words[1].isdigit()):
                raise InputError(
                    f"{file}: line {number}: {line.strip()[:60]}: expected <video>_E_.._A_.._.. and a label"
                )
            if words:
                yield words[0], int(words[1]), split_in(file.stem)


def refuse_ava(asked: Asked) -> Listing:
    """AVA names boxes of people in seconds of films, with several actions each: no clips of one action.

    Raises:
        InputError: always, with what its lists hold.
    """
    files = [file for file in asked.list_files("*.csv") if "exclu" not in file.name]
    rows = [line.split(",") for file in files for line in lines_of(file) if line.count(",") >= 6]
    places = {tuple(row[:6]) for row in rows}
    raise InputError(
        f"source {asked.root}: AVA's lists hold {len(rows)} rows, {len(places)} people in "
        f"{len({row[0] for row in rows})} "
        "videos, several actions each; harray classifies clips of one action: cut people out, or write a "
        "manifest.csv with "
        "path,label,start,end"
    )
