"""What a source contains, before any work starts: videos, classes, splits, groups, and which files are left out."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from harray.schema import MANIFEST

SHOWN = 12  # names in a line; --json has them all
EXAMPLES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """A source as manifest rows, with a summary for the user.

    Attributes:
        manifest: of `schema.MANIFEST`, sorted by path.
        read_as: how the source was read, such as "folders split/class" or "manifest.csv".
        left_out: reason -> paths of files that are not videos, as in `Tree`.
        without_videos: folders that hold no video.
        notes: remarks for the user, a line each.
    """

    manifest: pa.Table
    read_as: str
    left_out: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    without_videos: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        """For --json: names with counts, sorted by name."""
        columns = {name: self.manifest[name].to_pylist() for name in ("label", "group", "splits")}
        return {
            "videos": len(self.manifest),
            "read_as": self.read_as,
            "classes": _counted(label for label in columns["label"] if label is not None),
            "without_class": columns["label"].count(None),
            "splits": _counted(split for splits in columns["splits"] for split in splits),
            "without_split": columns["splits"].count([]),
            "groups": _counted(group for group in columns["group"] if group is not None),
            "left_out": {why: len(paths) for why, paths in sorted(self.left_out.items())},
            "folders_without_videos": self.without_videos,
            "notes": self.all_notes(),
        }

    def all_notes(self) -> list[str]:
        """The notes, and a warning about class names that differ by case or blanks only."""
        return [*self.notes, *_alike(self.manifest["label"].drop_null().unique().to_pylist())]

    def lines(self) -> list[str]:
        """The summary for people, line by line."""
        counts = self.counts()
        lines = [
            f"found {counts['videos']} videos, read as {self.read_as}",
            named("class", "classes", counts["classes"], counts["without_class"]),
            named("split", "splits", counts["splits"], counts["without_split"] if counts["splits"] else 0),
            named("group", "groups", counts["groups"]),
        ]
        if self.left_out:
            lines.append(f"left out: {left_out_line(self.left_out)}")
        if self.without_videos:
            lines.append(f"folders without videos: {some(self.without_videos, SHOWN)}")
        return lines + [f"note: {note}" for note in self.all_notes()]


def manifest_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a manifest, sorted by path; absent columns are null, absent `splits` empty."""
    ordered = sorted(rows, key=lambda row: str(row["path"]))
    absent = {"splits": ()}
    columns = [
        pa.array([row.get(field.name, absent.get(field.name)) for row in ordered], field.type)
        for field in MANIFEST
    ]
    return pa.Table.from_arrays(columns, schema=MANIFEST)


def left_out_line(left_out: dict[str, list[str]]) -> str:
    """Counts by reason, most common first, with examples unless the reason is a file extension.

    >>> left_out_line({".txt": ["a.txt", "b.txt"], "hidden": [".git/"]})
    '2 .txt, 1 hidden (.git/)'
    """
    ordered = sorted(left_out.items(), key=lambda item: (-len(item[1]), item[0]))
    parts = [
        f"{len(paths)} {why}" + ("" if why.startswith(".") else f" ({some(paths, EXAMPLES)})")
        for why, paths in ordered
    ]
    return some(parts, SHOWN)


def named(one: str, many: str, counts: dict[str, int], num_without: int = 0) -> str:
    """ "2 classes: run (3), walk (1); 1 without a class" """
    line = f"{many}: none"
    if counts:
        names = [f"{name} ({count})" for name, count in counts.items()]
        line = f"{len(counts)} {many if len(counts) > 1 else one}: {some(names, SHOWN)}"
    return line + (f"; {num_without} without a {one}" if num_without else "")


def some(names: Sequence[str], num_shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - num_shown} more" if len(names) > num_shown else ""
    return ", ".join(names[:num_shown]) + more


def _alike(labels: Iterable[str]) -> list[str]:
    spellings: dict[str, list[str]] = {}
    for label in sorted(labels):
        spellings.setdefault(" ".join(label.replace("_", " ").split()).casefold(), []).append(label)
    pairs = [" and ".join(ways) for ways in spellings.values() if len(ways) > 1]
    return [f"classes that differ by case or blanks only: {some(pairs, EXAMPLES)}"] if pairs else []


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
