"""What is asked of a data set, and the videos that are there, by name."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.frame_folders import PICTURES, folders_among
from harray.videos.listing import Listing, manifest_table, some
from harray.videos.named_groups import derive_groups
from harray.videos.segments import DEFAULT_RATE
from harray.videos.tree import Tree, tree_below


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """Where a data set lies and what of it is wanted."""

    root: Path
    lists: Path | None = None
    """Folder or file of the official lists; None: in the root."""
    protocol: str | None = None
    """Which of the official splits become train and test; None: all of them, each under a name of its own."""
    classes: Path | None = None
    """Names of the classes, for lists that number them."""
    fps: float | None = None
    """Frames per second of folders of pictures."""
    on_found: Callable[[int], None] = lambda found: None

    def list_files(self, *patterns: str) -> list[Path]:
        """Lists of some names, below the folder of lists or in the root.

        Raises:
            InputError: no such folder of lists.
        """
        where = self.lists or self.root
        if not where.exists():
            raise InputError(
                f"split lists {where}: no such file or folder; name the folder of the official lists"
            )
        if where.is_file():
            return [where]
        return sorted({file for pattern in patterns for file in where.rglob(pattern) if file.is_file()})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """Videos, and folders of numbered pictures, below a folder."""

    tree: Tree
    paths: list[str]  # below the folder
    fps: float | None

    def by_stem(self) -> dict[str, list[str]]:
        """Name without folder and ending -> paths below the folder."""
        stems: dict[str, list[str]] = {}
        for path in self.paths:
            stems.setdefault(self.stem_of(path), []).append(path)
        return stems

    def stem_of(self, path: str) -> str:
        name = path.rpartition("/")[2]
        return name if path in self._folders else os.path.splitext(name)[0]

    @functools.cached_property
    def _folders(self) -> set[str]:
        return set(self.paths) - set(self.tree.videos)

    def notes(self) -> list[str]:
        """What is to be said of folders of pictures."""
        if not self._folders:
            return []
        rate = self.fps or DEFAULT_RATE
        said = f"{len(self._folders)} folders of pictures are taken as videos of {rate:g} frames a second"
        return [said if self.fps else f"{said}; --frame-rate says otherwise"]

    def full(self, path: str) -> str:
        """As a manifest has it; a folder of pictures with its rate."""
        rate = f"#fps={self.fps:g}" if self.fps and path in self._folders else ""
        return f"{self.tree.full(path)}{rate}"


def with_frame_folders(tree: Tree, fps: float | None = None) -> Found:
    """The videos of a tree; where it has none, its folders of numbered pictures."""
    if tree.videos:
        return Found(tree=tree, paths=tree.videos, fps=fps)
    pictures = [path for ending in PICTURES for path in tree.left_out.get(ending, [])]
    folders = folders_among(pictures)
    if not folders:
        return Found(tree=tree, paths=[], fps=fps)
    taken = {path for paths in folders.values() for path in paths}
    left_out = {why: [path for path in paths if path not in taken] for why, paths in tree.left_out.items()}
    rest = dataclasses.replace(
        tree, left_out={why: paths for why, paths in left_out.items() if paths}, without_videos=[]
    )
    return Found(tree=rest, paths=sorted(folders), fps=fps)


def found_below(asked: Asked) -> Found:
    """Raises InputError: no such folder."""
    if not asked.root.is_dir():
        raise InputError(f"source {asked.root}: not a folder; expected the data set's root")
    return with_frame_folders(tree_below(str(asked.root), asked.on_found), asked.fps)


def listing(
    asked: Asked,
    found: Found,
    rows: Iterable[dict[str, Any]],
    read_as: str,
    notes: Iterable[str] = (),
    unused: dict[str, list[str]] | None = None,
) -> Listing:
    """Rows as a listing.

    Args:
        unused: why -> paths of videos that are there and no input.

    Raises:
        InputError: no rows.
    """
    rows = list(rows)
    if not rows:
        there = some(found.paths, 3) or "no videos and no folders of pictures"
        raise InputError(
            f"source {asked.root}: nothing of {read_as} in it (found {there}); expected the data set's root"
        )
    derived = derive_groups(rows)
    return Listing(
        manifest=manifest_table(rows),
        read_as=read_as,
        left_out=found.tree.left_out | (unused or {}),
        without_videos=found.tree.without_videos,
        notes=[*found.notes(), *derived, *notes],
    )


def absent_note(absent: Iterable[str], what: str) -> list[str]:
    """What lists name and the folder lacks."""
    names = sorted(absent)
    return [f"{len(names)} videos of {what} are not there, such as {names[0]}"] if names else []


def chosen(splits: Iterable[str], protocol: str | None) -> list[str]:
    """Of splits such as train1 or xsub_train those of one protocol, as train and test; all where none is asked for.

    >>> chosen(["train1", "test2"], "1"), chosen(["xsub_train", "xview_test"], "xview"), chosen(["train1"], None)
    (['train'], ['test'], ['train1'])
    """
    splits = list(splits)
    if protocol is None:
        return splits
    if protocol.isdigit():
        return [
            split.removesuffix(protocol)
            for split in splits
            if split in (f"train{protocol}", f"test{protocol}")
        ]
    return [split.removeprefix(f"{protocol}_") for split in splits if split.startswith(f"{protocol}_")]


def check_protocol(asked: Asked, known: Iterable[str]) -> None:
    """Raises InputError: a protocol that the data set does not have."""
    known = list(known)
    if asked.protocol is not None and asked.protocol not in known:
        raise InputError(f"--protocol {asked.protocol}: expected one of {', '.join(known) or 'none'}")
