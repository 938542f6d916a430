"""Labels of clips that stand elsewhere: a csv, a JSON file, a list, class folders with files of the clips' names, or
the split files of UCF101, HMDB51 and JHMDB.

name,label[,split,group]          {"clip": {"label": "run"}, ...} or {"clip": "run"}          clip run
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path

from harray.errors import InputError
from harray.interchange.pickles import SkeletonFile
from harray.videos.datasets.asked import Asked
from harray.videos.datasets.fixed_splits import read_split_files
from harray.videos.layout import guess_layout, rows_of
from harray.videos.listing import some
from harray.videos.splits import canonical_splits
from harray.videos.ucf101 import SPLIT_LIST, read_lists

NAMES = (
    "name",
    "clip",
    "clip_id",
    "video",
    "video_id",
    "file",
    "filename",
    "file_name",
    "path",
    "id",
    "frame_dir",
    "youtube_id",
)
LABELS = ("label", "class", "action", "category", "label_name", "class_name", "activity")
SPLITS, GROUPS = ("split", "splits", "subset", "set"), ("group", "subject", "actor", "performer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What is said of a clip elsewhere."""

    label: str | None = None
    group: str | None = None
    splits: tuple[str, ...] = ()


def is_class_names(labels: Path, file: SkeletonFile) -> bool:
    """Whether a file of labels is the list of class names by number, for clips whose labels are numbers."""
    numbered = all(isinstance(each.label, int) for each in file.annotations)
    return numbered and not labels.is_dir() and labels.suffix.lower() not in (".csv", ".tsv", ".json")


def with_labels(path: Path, file: SkeletonFile, labels: Path) -> tuple[SkeletonFile, list[str]]:
    """The clips with the labels, groups and splits that `labels` gives them, and what is to be said of that.

    Clips that it does not name keep what they have.

    Raises:
        InputError: it cannot be read, names none of the clips, or one clip twice with different labels.
    """
    about = _table(labels)
    by_name = _by_name(labels, about)
    annotations, splits, absent, used = (
        [],
        {name: list(each) for name, each in file.splits.items()},
        [],
        set[str](),
    )
    for annotation in file.annotations:
        key = next((name for name in _names_of(annotation.frame_dir) if name in by_name), None)
        if key is None:
            absent.append(annotation.frame_dir)
            annotations.append(annotation)
            continue
        used.add(key)
        said = by_name[key]
        label = annotation.label if said.label is None else said.label
        annotations.append(dataclasses.replace(annotation, label=label, group=said.group or annotation.group))
        for split in said.splits:
            splits.setdefault(split, []).append(annotation.frame_dir)
    if not used:
        raise InputError(
            f"labels {labels}: none of its names, such as {some(sorted(about), 3)}, is one of the clips of "
            f"{path}, such as "
            f"{some([each.frame_dir for each in file.annotations], 3)}; name the clips as their files"
        )
    messages = [f"labels of {len(annotations) - len(absent)} of {len(annotations)} clips are from {labels}"]
    if absent:
        messages.append(f"{len(absent)} clips are not in {labels}, such as {some(absent, 3)}")
    if more := len(by_name.keys() - used):
        messages.append(f"{more} names of {labels} are no clip of {path}")
    return dataclasses.replace(file, annotations=annotations, splits=splits), messages


def _names_of(frame_dir: str) -> list[str]:
    """Names under which a clip may be called, the fullest first: its path, its file, the folders that it lies in."""
    parts = [part for part in frame_dir.split("/") if part]
    tails = ["/".join(parts[i:]) for i in range(len(parts))]
    folders = ["/".join(parts[i:-1]) for i in range(len(parts) - 1)] + parts[:-1][::-1]
    return [_bare(name) for name in (*tails, *folders)]


def _bare(name: str) -> str:
    """A name without ending and dots before it."""
    name = name.strip().replace("\\", "/").removeprefix("./").strip("/")
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    if dot and stem and 2 <= len(ending) <= 8 and ending.isalnum() and not ending.isdigit():
        last = stem
    return f"{folder}{slash}{last}"


def _by_name(labels: Path, about: Mapping[str, About]) -> dict[str, About]:
    """By bare names, and by the last part of each where that is of one clip only."""
    found: dict[str, About] = {}
    for name, each in about.items():
        known = found.setdefault(_bare(name), each)
        if known.label != each.label:
            raise InputError(
                f"labels {labels}: {name} has the labels {known.label} and {each.label}; keep one"
            )
    lasts: dict[str, list[str]] = {}
    for name in found:
        lasts.setdefault(name.rpartition("/")[2], []).append(name)
    return {last: found[names[0]] for last, names in lasts.items() if len(names) == 1} | found


def _table(labels: Path) -> dict[str, About]:
    if not labels.exists():
        raise InputError(
            f"labels {labels}: no such file or folder; expected a csv with name,label, or class folders"
        )
    if labels.is_dir():
        return _of_folders(labels)
    try:
        text = labels.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"labels {labels}: not a text file in UTF-8; expected a csv with name,label"
        ) from error
    if labels.suffix.lower() == ".json":
        return _of_json(labels, text)
    return _of_csv(labels, text)


def _of_split_files(folder: Path) -> dict[str, About]:
    """Official lists of UCF101, HMDB51 or JHMDB: class and splits of every clip; empty where there are none."""
    if any(folder.rglob("*_test_split?.txt")):
        splits, labels, _ = read_split_files(Asked(root=folder))
        return {
            name: About(label=label, splits=tuple(splits.get(name, ()))) for name, label in labels.items()
        }
    if any(SPLIT_LIST.search(file.name) for file in folder.glob("*list*.txt")):
        return {
            name: About(label=name.partition("/")[0], splits=tuple(splits))
            for name, splits in read_lists(folder).items()
        }
    return {}


def _of_folders(folder: Path) -> dict[str, About]:
    if found := _of_split_files(folder):
        return found
    files = sorted(each.relative_to(folder) for each in folder.rglob("*"))  # a clip may be a folder of frames
    files = [
        each for each in files if not any(part.startswith(".") for part in each.parts) and len(each.parts) > 1
    ]
    if not files:
        raise InputError(
            f"labels {folder}: no class folders with files in it; expected {folder.name}/run/clip1.mp4"
        )
    parts = [each.parts[:-1] for each in files]
    rows = rows_of([str(each) for each in files], parts, guess_layout(str(folder), set(parts)), str(folder))
    return {
        row["path"]: About(label=row["label"], group=row["group"], splits=tuple(row["splits"]))
        for row in rows
    }


def _of_json(labels: Path, text: str) -> dict[str, About]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"labels {labels}: not JSON ({error}); expected clips by name with their labels"
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"labels {labels}: found {type(content).__name__}, expected clips by name with their labels"
        )
    found = {}
    for name, value in content.items():
        fields = value if isinstance(value, Mapping) else {"label": value}
        label = next((fields[key] for key in LABELS if fields.get(key) is not None), None)
        if label is None or not isinstance(label, str | int):
            raise InputError(f"labels {labels}: {name}: no label in it; expected {{clip: {{label: ...}}}}")
        split = next((str(fields[key]) for key in SPLITS if fields.get(key)), None)
        found[str(name)] = About(label=str(label), splits=(split,) if split else ())
    return found


def _of_csv(labels: Path, text: str) -> dict[str, About]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t ", key=lambda each: (first.count(each) > 0, -",;\t ".index(each)))
    rows = [
        [cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row
    ]
    if not rows:
        raise InputError(f"labels {labels}: it is empty; expected a csv with name,label")
    header = [cell.lower() for cell in rows[0]]
    at = {
        what: next((header.index(name) for name in names if name in header), None)
        for what, names in (("name", NAMES), ("label", LABELS), ("split", SPLITS), ("group", GROUPS))
    }
    if at["name"] is None or at["label"] is None:
        if any(len(row) != 2 for row in rows) or at["name"] is not None or at["label"] is not None:
            raise InputError(
                f"labels {labels}: found the columns {', '.join(rows[0])}, expected name,label and optionally "
                "split,group"
            )
        at, rows = {"name": 0, "label": 1, "split": None, "group": None}, [[], *rows]
    splits = {row[at["split"]] for row in rows[1:] if at["split"] is not None and row[at["split"]]}
    called = canonical_splits(splits, str(labels))
    found: dict[str, About] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) < len(header) and at["split"] is not None:
            raise InputError(
                f"labels {labels}: line {number}: {len(row)} fields, expected {len(header)} as the header"
            )
        cells = {what: row[place] if place is not None else "" for what, place in at.items()}
        each = About(
            label=cells["label"] or None,
            group=cells["group"] or None,
            splits=(called[cells["split"]],) if cells["split"] else (),
        )
        if found.setdefault(cells["name"], each) != each:
            raise InputError(
                f"labels {labels}: line {number}: {cells['name']} stands there twice, with different values; keep one"
            )
    return found
