"""Class folders with official lists of three splits: UCF101, HMDB51, JHMDB.

    HMDB51, JHMDB   <class>_test_split{1,2,3}.txt, lines `<video>.avi <id>`: 1 train, 2 test, 0 unused

Videos of one group come from one source video; the official lists respect that, mostly.
"""

import dataclasses
import re
from collections import defaultdict

from harray.errors import InputError
from harray.videos.datasets.asked import (
    Asked,
    Found,
    absent_note,
    check_protocol,
    chosen,
    found_below,
    listing,
)
from harray.videos.listing import Listing, manifest_table
from harray.videos.named import hmdb_parts
from harray.videos.ucf101 import list_ucf101 as ucf101_of

SPLIT_LIST = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
MEANING = {"0": None, "1": "train", "2": "test"}


def list_ucf101(asked: Asked) -> Listing:
    """UCF101, with its lists where they are given."""
    check_protocol(asked, ("1", "2", "3"))
    found = ucf101_of(asked.root, asked.lists, asked.on_found)
    if asked.protocol is None:
        return found
    rows = [{**row, "splits": chosen(row["splits"], asked.protocol)} for row in found.manifest.to_pylist()]
    return dataclasses.replace(found, manifest=manifest_table(rows))


def list_hmdb51(asked: Asked) -> Listing:
    return _listed(asked, "hmdb51")


def list_jhmdb(asked: Asked) -> Listing:
    """JHMDB as videos, or as folders of pictures."""
    return _listed(asked, "jhmdb")


def _listed(asked: Asked, name: str) -> Listing:
    check_protocol(asked, ("1", "2", "3"))
    found = found_below(asked)
    splits, labels, unused = read_split_files(asked)
    stems = found.by_stem()
    rows, said, others = [], [], []
    for stem, paths in stems.items():
        label = labels.get(stem) or _label_of(paths[0], stem)
        if label is None:
            others += paths
            continue
        parts = hmdb_parts(stem, label)
        rows.append(
            {
                "path": found.full(paths[0]),
                "label": label,
                "group": parts[1] if parts else None,
                "dataset": name,
                "splits": chosen(splits.get(stem, []), asked.protocol),
            }
        )
        if len(paths) > 1:
            said.append(stem)
    notes = [f"{len(said)} videos stand there twice, such as {said[0]}; the first is taken"] if said else []
    notes += _absent(found, stems.keys(), labels, name)
    if splits:
        notes.append(f"{unused} entries of the lists are unused (0)")
    elif asked.lists is not None:
        raise InputError(
            f"split lists {asked.lists}: no <class>_test_split1.txt in it; unpack the official lists"
        )
    notes.append("groups are the source videos that names tell")
    read_as = name + (" with its split lists" if splits else "")
    return listing(asked, found, rows, read_as, notes, {"not in a class folder": others} if others else None)


def _label_of(path: str, stem: str) -> str | None:
    folders = path.split("/")[:-1]
    parts = hmdb_parts(stem, folders[-1] if folders else "")
    return parts[0] if parts else folders[-1] if folders else None


def _absent(found: Found, there: object, labels: dict[str, str], name: str) -> list[str]:
    stems = {found.stem_of(path) for path in found.paths}
    classes = {labels[stem] for stem in stems if stem in labels}
    missing = [stem for stem, label in labels.items() if stem not in stems and label in classes]
    elsewhere = set(labels.values()) - classes
    notes = absent_note(missing, "the split lists")
    if elsewhere:
        notes.append(
            f"{len(elsewhere)} classes of the split lists have no video here, such as {min(elsewhere)}"
        )
    return notes


def read_split_files(asked: Asked) -> tuple[dict[str, list[str]], dict[str, str], int]:
    """Video without ending -> its splits, and its class; how many entries say that they are unused."""
    splits: dict[str, list[str]] = defaultdict(list)
    labels: dict[str, str] = {}
    unused = 0
    for file in asked.list_files("*_test_split?.txt"):
        match = SPLIT_LIST.fullmatch(file.name)
        if match is None:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
            if not line.strip():
                continue
            video, _, meaning = line.rstrip().rpartition(" ")
            if meaning not in MEANING or not video:
                raise InputError(f"{file}: line {number}: {line.strip()}: expected <video>.avi and 0, 1 or 2")
            stem = video.strip().removesuffix(".avi")
            labels[stem] = match["label"]
            if (split := MEANING[meaning]) is None:
                unused += 1
            else:
                splits[stem].append(f"{split}{match['number']}")
    return splits, labels, unused
