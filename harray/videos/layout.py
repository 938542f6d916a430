"""What each level of folders names: class, split, group or nothing. Pure; a folder tree becomes manifest rows here.

    ROOT/run/1.mp4                 class
    ROOT/train/run/1.mp4           split/class
    ROOT/run/train/1.mp4           class/split
    ROOT/videos/train/run/1.mp4    _/split/class

Folders named like splits (`splits.looks_like_split`) must all stand on one level, with nothing else on it and usual
names; the class is then the level below, or where nothing is below, the level above. Anything else is refused: a
class that is really called "test" is told by `--layout class`, or by a manifest.csv.
"""

from collections.abc import Collection, Sequence
from typing import Any

from harray.errors import InputError
from harray.videos.listing import some
from harray.videos.splits import canonical_splits, looks_like_split, renamed, split_named, tidy

Layout = tuple[str, ...]  # for each level below the source, one of LEVELS
Folders = tuple[str, ...]  # of a video, from the source down

CLASS, SPLIT, GROUP, NOTHING = "class", "split", "group", "_"
LEVELS = (CLASS, SPLIT, GROUP, NOTHING)
CONTAINERS = frozenset(("clips", "data", "dataset", "video", "videos"))  # folders that name nothing
WAY_OUT = (
    "say what the levels of folders are by --layout, such as --layout class or --layout split/class, or write a "
    "manifest.csv with path,label,split"
)


def parse_layout(text: str) -> Layout:
    """ "split/class" as a layout.

    Raises:
        InputError: other words, no class, or one of them twice.
    """
    layout = tuple(word.strip() for word in text.strip("/").split("/"))
    named = [level for level in layout if level != NOTHING]
    if not set(layout) <= set(LEVELS) or CLASS not in layout or len(named) != len(set(named)):
        raise InputError(
            f"--layout {text}: expected what the levels of folders below the source are, {', '.join(LEVELS)}, with "
            "one class, such as split/class"
        )
    return layout


def guess_layout(source: str, found: Collection[Folders]) -> Layout:
    """Guess from the folders' names what each level is.

    Raises:
        InputError: folders that look like splits but are ambiguous.
    """
    folders = {tuple(map(tidy, parts)) for parts in found if parts}
    levels = sorted({i for parts in folders for i, name in enumerate(parts) if looks_like_split(name)})
    if not levels:
        return _of_classes(folders)
    if len(levels) > 1:
        examples = [next(p for p in sorted(folders) if len(p) > i and looks_like_split(p[i])) for i in levels]
        paths = " and ".join("/".join(p[: i + 1]) for i, p in zip(levels, examples, strict=True))
        raise InputError(f"source {source}: folders on several levels look like splits ({paths}); {WAY_OUT}")
    [level] = levels
    _check_splits(source, folders, level)
    return _around(source, folders, level)


def rows_of(
    paths: Sequence[str], found: Sequence[Folders], layout: Layout, source: str
) -> list[dict[str, Any]]:
    """Manifest rows; a video above the level of its class has no label.

    Raises:
        InputError: two words for one split.
    """
    named = [dict(zip(layout, map(tidy, parts), strict=False)) for parts in found]
    splits = canonical_splits({at[SPLIT] for at in named if SPLIT in at}, f"source {source}")
    return [
        {
            "path": path,
            "label": at.get(CLASS),
            "group": at.get(GROUP),
            "splits": [splits[at[SPLIT]]] if SPLIT in at else [],
        }
        for path, at in zip(paths, named, strict=True)
    ]


def notes_of(source: str, found: Sequence[Folders], layout: Layout, is_guess: bool) -> list[str]:
    """Remarks about choices that the user may want to change."""
    named = [dict(zip(layout, map(tidy, parts), strict=False)) for parts in found]
    notes = renamed(canonical_splits({at[SPLIT] for at in named if SPLIT in at}, f"source {source}"))
    if is_guess and NOTHING in layout:
        tops = sorted({"/".join(parts[: layout.index(NOTHING) + 1]) for parts in found if parts})
        notes.append(
            f"{some(tops)} names nothing, {'/'.join(layout)} was understood; say otherwise by --layout"
        )
    own = source.rpartition("/")[2]
    if is_guess and SPLIT not in layout and looks_like_split(own):
        notes.append(
            f"the folder's own name {own} makes no split; give the folder above it to have its splits"
        )
    return notes


def _of_classes(folders: set[Folders]) -> Layout:
    """A layout without splits: enclosing folders that name nothing, then the class."""
    level = _num_above(folders)
    several = len({parts[level] for parts in folders if len(parts) > level}) > 1
    if not several:  # one class only, which may have folders of its own
        level = 0
        while folders and all(len(at) > level + 1 and at[level].casefold() in CONTAINERS for at in folders):
            level += 1
    return (NOTHING,) * level + (CLASS,)


def _num_above(folders: set[Folders]) -> int:
    """Number of enclosing levels: a single folder each, without videos beside it."""
    level = 0
    while (
        all(len(parts) > level + 1 for parts in folders)
        and len({parts[: level + 1] for parts in folders}) == 1
    ):
        level += 1
    return level


def _check_splits(source: str, folders: set[Folders], level: int) -> None:
    """Refuse a level that mixes split folders with others."""
    names = {parts[level] for parts in folders if len(parts) > level}
    like = sorted(name for name in names if looks_like_split(name))
    others = sorted(names - set(like))
    beside = sorted("/".join(parts) for parts in folders if len(parts) <= level)
    unusual = [name for name in like if split_named(name) is None]
    if others:
        found = f"look like splits ({some(like)}), those beside them do not ({some(others)})"
    elif beside:
        found = f"look like splits ({some(like)}), but videos stand in {some(beside)} without one"
    elif unusual:
        found = f"look like splits ({some(unusual)}), by none of the usual names (train, val, test)"
    else:
        return
    raise InputError(f"source {source}: folders {found}; {WAY_OUT}")


def _around(source: str, folders: set[Folders], level: int) -> Layout:
    """The layout around the level of the splits: is the class above or below it?"""
    above = {parts[:level] for parts in folders}
    if any(len(parts) > level + 1 for parts in folders):
        if len(above) > 1:
            tops = some(sorted("/".join(parts) for parts in above))
            raise InputError(
                f"source {source}: folders above the splits ({tops}) and below them could be the classes; {WAY_OUT}"
            )
        below = {parts[level + 1 :] for parts in folders if len(parts) > level + 1}
        return ((NOTHING,) * level) + (SPLIT, *_of_classes(below))
    if level == 0 or (level == 1 and all(parts[0].casefold() in CONTAINERS for parts in folders)):
        raise InputError(
            f"source {source}: folders of splits ({some(sorted({parts[level] for parts in folders}))}) hold videos "
            "without class folders; expected class folders in them, such as train/run/1.mp4, or a manifest.csv with "
            "path,label,split"
        )
    if len({parts[: level - 1] for parts in above}) > 1:
        tops = some(sorted("/".join(parts) for parts in above))
        raise InputError(f"source {source}: which of the folders {tops} are classes is not clear; {WAY_OUT}")
    return (NOTHING,) * (level - 1) + (CLASS, SPLIT)
