"""Lists of clips as MMAction2, SlowFast and PyTorchVideo write them: `path label` or `folder frames label`."""

import json
import re
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, Found, absent_note, check_protocol, listing
from harray.videos.listing import Listing, some
from harray.videos.segments import DEFAULT_RATE
from harray.videos.splits import split_named
from harray.videos.tree import VIDEO_SUFFIXES, Tree

HEADERS = ("action", "class", "class_name", "label", "name", "id,name", "label,name")
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
        lines = [line for line in lines_of(file) if line.strip()][:20]
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
        for number, line in enumerate(lines_of(file), 1):
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


def lines_of(file: Path) -> list[str]:
    """Lines of a text file in UTF-8.

    Raises:
        InputError: it cannot be read as that.
    """
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
        content = json.loads("\n".join(lines_of(file)))
        if isinstance(content, list):
            return {i: str(name) for i, name in enumerate(content)}
        if all(str(key).isdigit() for key in content):
            return {int(key): str(name) for key, name in content.items()}
        return {int(number): str(name) for name, number in content.items()}
    lines = [line.strip() for line in lines_of(file) if line.strip()]
    if lines and lines[0].lower() in HEADERS:
        del lines[0]
    numbered = [
        re.fullmatch(r"(?:Clabel:\s*)?(\d+)(?:[\s,;:]+)(?:set:.*?;.*?;\s*)?(.+)", line) for line in lines
    ]
    if all(numbered):
        return {int(each[1]): each[2].strip().strip('"') for each in numbered if each}
    reverse = [re.fullmatch(r"(.+?)[,;\t ]+(\d+)", line) for line in lines]
    if lines and all(reverse):
        return {int(each[2]): each[1].strip().strip('"') for each in reverse if each}
    return {i: line.strip('"') for i, line in enumerate(lines)}
