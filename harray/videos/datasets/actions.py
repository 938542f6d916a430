"""Lists of clips: MMAction2, SlowFast and PyTorchVideo (`path label`), Something-Something, Jester, FineGym, AVA."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, Found, absent_note, check_protocol, found_below, listing
from harray.videos.listing import Listing, some
from harray.videos.segments import DEFAULT_RATE, segment_path
from harray.videos.splits import split_named
from harray.videos.tree import VIDEO_SUFFIXES, Tree

_FINEGYM = re.compile(r"(?P<video>.+)_E_(?P<event>\d+)_(?P<event_end>\d+)_A_(?P<start>\d+)_(?P<end>\d+)")
CLASS_LISTS = (
    "*class*.txt",
    "*label_map*.txt",
    "*classInd*.txt",
    "*labels*.csv",
    "*class*.csv",
    "*labels*.json",
    "*class*.json",
)


def is_list(file: Path) -> bool:
    """Whether a text file is a list `path label` without a header."""
    if file.suffix.lower() not in (".txt", ".csv", ".list", ".lst"):
        return False
    try:
        lines = [line for line in _lines(file) if line.strip()][:20]
    except InputError:
        return False
    fields = [_fields(line) for line in lines]
    return bool(lines) and all(
        len(each) >= 2 and all(re.fullmatch(r"-?\d+", word) for word in each[1:]) for each in fields
    )


def list_lists(asked: Asked) -> Listing:
    """Lists of `path label` or `folder frames label`, of one split each by their names."""
    check_protocol(asked, ())
    root = asked.root if asked.root.is_dir() else asked.root.parent
    files = (
        [asked.root]
        if asked.root.is_file()
        else [each for each in asked.list_files("*.txt", "*.csv") if is_list(each)]
    )
    if not files:
        raise InputError(
            f"source {asked.lists or asked.root}: no list of `path label` in it; name one by --splits"
        )
    rows: dict[str, dict[str, Any]] = {}
    notes, numbers = [], list[int]()
    for file in files:
        split, repeated = split_in(file.stem), 0
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            path, label = _entry(file, number, line)
            numbers.append(label)
            row = {
                "path": _placed(root, path),
                "label": label,
                "dataset": None,
                "splits": [split] if split else [],
            }
            known = rows.setdefault(row["path"], row)
            repeated += known is not row
            if known is not row and known["label"] != label:
                raise InputError(
                    f"{file}: line {number}: {path} has label {label} here, and {known['label']} before; keep one"
                )
            known["splits"] = list(dict.fromkeys([*known["splits"], *row["splits"]]))
        notes.append(
            f"{file.name}: " + (f"split {split}, by its name" if split else "its name tells no split")
        )
        if repeated:
            notes.append(f"{file.name}: {repeated} lines name a video again")
    both = [row["path"] for row in rows.values() if len(row["splits"]) > 1]
    if both:
        raise InputError(
            f"{asked.root}: {len(both)} videos are in several splits, such as {both[0]}; keep each in one"
        )
    names, said = class_names(asked, files, numbers)
    notes.append(said)
    for row in rows.values():
        row["label"] = names.get(row["label"], str(row["label"])) if names else str(row["label"])
    absent = [row["path"] for row in rows.values() if not Path(row["path"]).exists()]
    if len(absent) == len(rows):
        known = some(sorted({str(row["label"]) for row in rows.values()}), 3)
        raise InputError(
            f"{files[0]}: none of the {len(rows)} videos is there, such as {absent[0]} (read as lists of path and "
            "label, "
            f"labels {known}); give the folder that paths start from: `harray extract ROOT --dataset lists "
            "--splits LIST`"
        )
    notes += absent_note(absent, "the lists")
    found = Found(tree=_empty(root), paths=[], fps=asked.fps)
    folders = [row for row in rows.values() if Path(row["path"]).is_dir()]
    if folders:
        notes.append(
            f"{len(folders)} folders of pictures are taken as videos of {asked.fps or DEFAULT_RATE:g} frames a second"
        )
    if asked.fps:
        for row in folders:
            row["path"] += f"#fps={asked.fps:g}"
    return listing(asked, found, rows.values(), f"lists ({some([file.name for file in files])})", notes)


def _empty(root: Path) -> Tree:
    return Tree(folder=str(root), videos=[], left_out={}, without_videos=[])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text ({error})") from error


def _fields(line: str) -> list[str]:
    """Path and whole numbers after it; paths may hold blanks."""
    for separator in (",", "\t", ";", None):
        words = [word.strip() for word in line.strip().split(separator)]
        if separator is not None and len(words) < 2:
            continue
        numbers: list[str] = []
        while len(words) > 1 and re.fullmatch(r"-?\d+", words[-1]):
            numbers.insert(0, words.pop())
        return [(separator or " ").join(words), *numbers]
    return [line]


def _entry(file: Path, number: int, line: str) -> tuple[str, int]:
    """Path and label of a line.

    Raises:
        InputError: no label, several, or numbers of which it is not told what they are.
    """
    path, *numbers = _fields(line)
    is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES
    if len(numbers) == 1:
        return path, int(numbers[0])
    if len(numbers) == 2 and not is_video:
        return path, int(numbers[1])  # folder, frames, label
    what = "a clip of one action each" if is_video else "`folder frames label`"
    raise InputError(
        f"{file}: line {number}: {len(numbers)} numbers after {path}: several labels, or an offset; expected "
        f"{what}; write a "
        "manifest.csv with path,label"
    )


def _placed(root: Path, path: str) -> str:
    return str(Path(path) if Path(path).is_absolute() else root / path)


def split_in(stem: str) -> str | None:
    """The one split that the words of a file's name tell.

    >>> split_in("kinetics400_train_list_videos"), split_in("ucf101_val_split_1_rawframes"), split_in("clips")
    ('train', 'val', None)
    """
    if whole := split_named(stem):
        return whole
    found = {split_named(word) for word in re.split(r"[^A-Za-z]+", stem) if word} - {None}
    return found.pop() if len(found) == 1 else None


def class_names(asked: Asked, lists: list[Path], numbers: list[int]) -> tuple[dict[int, str], str]:
    """Names of numbered classes, and what is to be said of them."""
    where = lists[0].parent
    file = asked.classes or next(
        (each for pattern in CLASS_LISTS for each in sorted(where.glob(pattern)) if each not in lists), None
    )
    if file is None:
        return {}, "labels are numbers without names; --classes names a file with one class name a line"
    names = read_classes(file)
    if not set(numbers) <= names.keys() and set(numbers) <= {number - 1 for number in names}:
        names = {number - 1: name for number, name in names.items()}
    if strange := sorted(set(numbers) - names.keys()):
        raise InputError(
            f"classes {file}: label {strange[0]} has no name among {len(names)}; expected one a class"
        )
    said = f"names of the classes are from {file.name}: {min(numbers)} is {names[min(numbers)]}"
    return names, said


def read_classes(file: Path) -> dict[int, str]:
    """Number -> name: a name a line from 0, `number name`, or JSON.

    Raises:
        InputError: it cannot be read as either.
    """
    if file.suffix.lower() == ".json":
        content = json.loads("\n".join(_lines(file)))
        if isinstance(content, list):
            return {i: str(name) for i, name in enumerate(content)}
        if all(str(key).isdigit() for key in content):
            return {int(key): str(name) for key, name in content.items()}
        return {int(number): str(name) for name, number in content.items()}
    lines = [line.strip() for line in _lines(file) if line.strip()]
    numbered = [
        re.fullmatch(r"(?:Clabel:\s*)?(\d+)(?:[\s,;:]+)(?:set:.*?;.*?;\s*)?(.+)", line) for line in lines
    ]
    if all(numbered):
        return {int(each[1]): each[2].strip().strip('"') for each in numbered if each}
    reverse = [re.fullmatch(r"(.+?)[,;\t ]+(\d+)", line) for line in lines]
    if lines and all(reverse):
        return {int(each[2]): each[1].strip().strip('"') for each in reverse if each}
    return {i: line.strip('"') for i, line in enumerate(lines)}


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
        rows = [line.strip().split(";") for line in _lines(file) if line.strip()]
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
        for number, line in enumerate(_lines(file), 1):
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
    rows = [line.split(",") for file in files for line in _lines(file) if line.count(",") >= 6]
    places = {tuple(row[:6]) for row in rows}
    raise InputError(
        f"source {asked.root}: AVA's lists hold {len(rows)} rows, {len(places)} people in "
        f"{len({row[0] for row in rows})} "
        "videos, several actions each; harray classifies clips of one action: cut people out, or write a "
        "manifest.csv with "
        "path,label,start,end"
    )
