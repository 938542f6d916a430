"""The videos of a source and a file of segments, as manifest rows of segments."""

import dataclasses
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.datasets.asked import Found, absent_note
from harray.videos.datasets.lists import read_classes
from harray.videos.listing import Listing, manifest_table, some
from harray.videos.manifest_csv import group_segments
from harray.videos.segment_files import Segment, SegmentFile, read_segments, stem
from harray.videos.segments import segment_path
from harray.videos.splits import canonical_splits, renamed


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentsWanted:
    """Which segments of which file."""

    file: Path
    fps: float | None = None
    """Frames per second, for files that count frames."""
    tier: str | None = None
    """Of ELAN, the only one to take."""
    classes: Path | None = None
    """Names of the classes, for files that number them or name them by codes."""


def list_segments(found: Found, wanted: SegmentsWanted) -> Listing:
    """Segments of the videos that are there.

    Raises:
        InputError: the file cannot be used, or none of its videos is there.
    """
    file = read_segments(wanted.file, wanted.fps, wanted.tier)
    names = _names(wanted)
    videos = _by_name(found)
    rows, absent, used = [], Counter[str](), set[str]()
    called = canonical_splits({each.split for each in file.segments if each.split}, str(wanted.file))
    seen: set[tuple] = set()
    twice = 0
    for segment in file.segments:
        path = _video_of(segment, videos)
        if path is None:
            absent[segment.video] += 1
            continue
        key = (path, segment.start, segment.end, segment.label)
        twice += key in seen
        seen.add(key)
        used.add(path)
        rows.append(_row(found, path, segment, called, names))
    if not rows:
        raise InputError(
            f"segments {wanted.file}: none of its {len(absent)} videos, such as {some(sorted(absent), 3)}, is in "
            f"{found.tree.folder}; name the folder of the videos"
        )
    rows, clashes = _one_label_each(rows)
    notes = [*group_segments(rows, str(wanted.file)), *file.said, *renamed(called)]
    notes += _notes(file, absent, twice, clashes)
    others = [path for path in found.paths if path not in used]
    unused = {"without a segment": others} if others else {}
    return Listing(
        manifest=manifest_table(rows),
        read_as=f"segments of {file.read_as}",
        left_out=found.tree.left_out | unused,
        without_videos=found.tree.without_videos,
        notes=notes,
    )


def _names(wanted: SegmentsWanted) -> dict[str, str]:
    """Code -> name of a class, such as c077 or 77."""
    if wanted.classes is None:
        return {}
    lines = [
        line.strip() for line in wanted.classes.read_text(encoding="utf-8-sig").splitlines() if line.strip()
    ]
    codes = dict(
        line.split(None, 1)
        for line in lines
        if len(line.split(None, 1)) == 2 and line[:1] == "c" and line[1:4].isdigit()
    )
    return codes or {str(number): name for number, name in read_classes(wanted.classes).items()}


def _by_name(found: Found) -> dict[str, list[str]]:
    """Names without ending, of the file alone and with folders -> paths."""
    names: dict[str, list[str]] = {}
    for path in found.paths:
        for name in {found.stem_of(path), path, path.rpartition(".")[0]}:
            names.setdefault(name, []).append(path)
    return names


def _video_of(segment: Segment, videos: dict[str, list[str]]) -> str | None:
    """By its path, its name, or ActivityNet's name with v_ before it.

    Raises:
        InputError: several videos of that name.
    """
    bare = stem(segment.video)
    for name in (
        segment.video,
        segment.video.replace("\\", "/").removeprefix("./"),
        bare,
        f"v_{bare}",
        bare.removeprefix("v_"),
    ):
        paths = videos.get(name, [])
        if len(paths) > 1:
            raise InputError(
                f"{segment.video}: {len(paths)} videos have that name ({some(paths, 3)}); keep one"
            )
        if paths:
            return paths[0]
    return None


def _row(
    found: Found, path: str, segment: Segment, called: dict[str, str], names: dict[str, str]
) -> dict[str, Any]:
    label = None if segment.label is None else names.get(segment.label, segment.label)
    return {
        "path": segment_path(found.full(path), segment.start, segment.end),
        "label": label,
        "group": segment.group or path.rpartition(".")[0] or path,
        "dataset": None,
        "splits": [called[segment.split]] if segment.split else [],
    }


def _one_label_each(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """A path has one row: spans that have several labels have no single one, and are left out."""
    by_path: dict[str, dict[str, Any]] = {}
    clashing = set()
    for row in rows:
        known = by_path.setdefault(row["path"], row)
        if known["label"] != row["label"]:
            clashing.add(row["path"])
    return [row for path, row in by_path.items() if path not in clashing], len(clashing)


def _notes(file: SegmentFile, absent: Counter[str], twice: int, clashes: int) -> list[str]:
    notes = absent_note(absent, "the segments")
    if absent:
        notes.append(f"{sum(absent.values())} segments are of videos that are not there")
    if twice:
        notes.append(f"{twice} segments stand there twice")
    if clashes:
        notes.append(f"{clashes} spans have several labels at once, and are left out")
    overlaps = _overlaps(file.segments)
    return notes + ([f"{overlaps} segments overlap the one before them in their video"] if overlaps else [])


def _overlaps(segments: list[Segment]) -> int:
    ordered = sorted(segments, key=lambda each: (each.video, each.start, each.end))
    return sum(a.video == b.video and b.start < a.end for a, b in itertools.pairwise(ordered))
