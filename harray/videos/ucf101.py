"""UCF101 as published: <root>/<Class>/v_<Class>_gNN_cNN.avi, and lists trainlistNN.txt and testlistNN.txt.

Source: https://www.crcv.ucf.edu/data/UCF101.php. Videos of one group come from one source video, so a group
must not stand on both sides of a split; the official lists respect that.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from harray.errors import InputError

GROUP = re.compile(r"_(g\d+)_c\d+$")
SPLIT_LIST = re.compile(r"(train|test)list(\d+)\.txt$")


def list_ucf101(root: Path, splits_dir: Path | str | None) -> list[dict[str, Any]]:
    """Manifest rows of the classes whose folders are there.

    A video that a list names and the class folder lacks has its row too, so that it is counted as missing;
    a video that no list names has no split.

    Args:
        root: the folder of class folders, or the folder above `UCF-101`.
        splits_dir: folder of the official lists; splits are then named train1, test1, train2 and so on.

    Raises:
        InputError: no class folders, or no lists in `splits_dir`.
    """
    from harray.videos.sources import find_videos

    root = next((folder for folder in (root / "UCF-101", root / "UCF101") if folder.is_dir()), root)
    classes = {entry.name for entry in root.iterdir() if entry.is_dir()} if root.is_dir() else set()
    names = (path.removeprefix(f"{root}/") for path in find_videos(str(root)))
    found = {name for name in names if name.count("/") == 1}
    if not found:
        raise InputError(
            f"source {root}: no videos in class folders; expected UCF101 as <root>/ApplyEyeMakeup/*.avi"
        )
    splits = _read_lists(Path(splits_dir)) if splits_dir is not None else {}
    listed = {name for name in splits if name.partition("/")[0] in classes}
    return [
        {
            "path": str(root / name),
            "label": name.partition("/")[0],
            "group": group.group(1) if (group := GROUP.search(Path(name).stem)) else None,
            "dataset": "ucf101",
            "splits": splits.get(name, []),
        }
        for name in sorted(found | listed)
    ]


def _read_lists(folder: Path) -> dict[str, list[str]]:
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
