"""UCF101 as published: <root>/<Class>/v_<Class>_gNN_cNN.avi, and lists trainlistNN.txt and testlistNN.txt.

Source: https://www.crcv.ucf.edu/data/UCF101.php. Videos of one group come from one source video, so a group
must not stand on both sides of a split; the official lists respect that.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.listing import Listing, manifest_table
from harray.videos.tree import tree_below

GROUP = re.compile(r"_(g\d+)_c\d+$")
SPLIT_LIST = re.compile(r"(train|test)list(\d+)\.txt$")


def list_ucf101(
    root: Path, splits_dir: Path | str | None, on_found: Callable[[int], None] = lambda found: None
) -> Listing:
    """The classes whose folders are there.

    A video that a list names and the class folder lacks has its row too, so that it is counted as missing;
    a video that no list names has no split.

    Args:
        root: the folder of class folders, or the folder above `UCF-101`.
        splits_dir: folder of the official lists; splits are then named train1, test1, train2 and so on.

    Raises:
        InputError: no class folders, or no lists in `splits_dir`.
    """
    root = next((folder for folder in (root / "UCF-101", root / "UCF101") if folder.is_dir()), root)
    if not root.is_dir():
        raise InputError(f"source {root}: not a folder; expected UCF101 as <root>/ApplyEyeMakeup/*.avi")
    tree = tree_below(str(root), on_found)
    found = {path for path in tree.videos if path.count("/") == 1}
    if not found:
        raise InputError(
            f"source {root}: no videos in class folders; expected UCF101 as <root>/ApplyEyeMakeup/*.avi"
        )
    classes = {entry.name for entry in root.iterdir() if entry.is_dir()}
    splits = read_lists(Path(splits_dir)) if splits_dir is not None else {}
    listed = {name for name in splits if name.partition("/")[0] in classes}
    elsewhere = [path for path in tree.videos if path not in found]
    return Listing(
        manifest=manifest_table(_row(root, name, splits.get(name, [])) for name in found | listed),
        read_as="ucf101" + (" with its split lists" if splits else ""),
        left_out=tree.left_out | ({"not in a class folder": elsewhere} if elsewhere else {}),
        without_videos=tree.without_videos,
        notes=_notes(found, listed, splits),
    )


def _row(root: Path, name: str, splits: list[str]) -> dict[str, Any]:
    return {
        "path": str(root / name),
        "label": name.partition("/")[0],
        "group": group.group(1) if (group := GROUP.search(Path(name).stem)) else None,
        "dataset": "ucf101",
        "splits": splits,
    }


def _notes(found: set[str], listed: set[str], splits: dict[str, list[str]]) -> list[str]:
    notes = []
    if absent := listed - found:
        notes.append(f"{len(absent)} videos of the split lists are not there, such as {min(absent)}")
    if others := splits.keys() - listed:
        classes = {name.partition("/")[0] for name in others}
        notes.append(f"{len(classes)} classes of the split lists have no folder here, such as {min(classes)}")
    return notes


def read_lists(folder: Path) -> dict[str, list[str]]:
    """`Class/file.avi` -> its splits, such as ["train1", "test2", "train3"]."""
    splits: dict[str, list[str]] = defaultdict(list)
    lists = [
        (file, match) for file in sorted(folder.glob("*list*.txt")) if (match := SPLIT_LIST.search(file.name))
    ]
    if not lists:
        raise InputError(
            f"split lists {folder}: no trainlist01.txt or testlist01.txt; unpack UCF101's split lists"
        )
    for file, match in lists:
        for line in file.read_text().splitlines():
            if line.strip():  # trainlists carry the class number after the name
                splits[line.split()[0]].append(f"{match.group(1)}{int(match.group(2))}")
    return splits
