"""Files that say which parts of videos show what: ActivityNet, Charades, BORIS, ELAN, VIA, Label Studio, plain csv.

Times are seconds here, on the video's own clock; Label Studio counts frames, which needs their rate.
"""

import csv
import dataclasses
import io
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.videos.listing import some
from harray.videos.segments import checked_span

VIDEO_COLUMNS = ("path", "video", "file", "filename", "video_id", "youtube_id", "clip", "media", "name", "id")
START_COLUMNS = ("start", "start_sec", "time_start", "start_time", "t_start", "begin", "start (s)", "onset")
END_COLUMNS = ("end", "end_sec", "time_end", "end_time", "t_end", "stop", "stop (s)", "offset")
LABEL_COLUMNS = ("label", "class", "action", "behavior", "behaviour", "category", "activity")
_VIA_HEADER = "# CSV_HEADER = "
_CHARADES = re.compile(r"(c\d{3}) (\d+\.?\d*) (\d+\.?\d*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a video."""

    video: str  # name of the video, with or without folder and ending
    start: float  # seconds
    end: float
    label: str | None
    split: str | None = None
    group: str | None = None
    tier: str | None = None  # of ELAN


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentFile:
    """All segments of a file, and what is to be said of it."""

    segments: list[Segment]
    read_as: str
    said: list[str] = dataclasses.field(default_factory=list)


def read_segments(file: Path, fps: float | None = None, tier: str | None = None) -> SegmentFile:
    """Read a file of segments; its format is told by its content.

    Args:
        fps: frames per second, for files that count frames.
        tier: of ELAN, the only one to take.

    Raises:
        InputError: no such file, none of the formats, no segments in it, or times that are none.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"segments {file}: cannot be read ({error}); expected a text file in UTF-8"
        ) from error
    if text.lstrip().startswith("<"):
        found = _elan(file, text, tier)
    elif text.lstrip()[:1] in ("{", "["):
        found = _json(file, text, fps)
    elif _VIA_HEADER in text:
        found = _via_csv(file, text)
    else:
        found = _csv(file, text)
    if not found.segments:
        reasons = "; ".join(found.said) or "nothing in it"
        raise InputError(f"segments {file}: read as {found.read_as}, no segments ({reasons})")
    bad = [each for each in found.segments if not 0 <= each.start < each.end]
    kept = [each for each in found.segments if 0 <= each.start < each.end]
    said = [f"{len(bad)} segments without length are left out"] if bad else []
    return dataclasses.replace(found, segments=kept, said=[*found.said, *said])


def _json(file: Path, text: str, fps: float | None) -> SegmentFile:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"segments {file}: not JSON ({error}); expected the whole export, unchanged"
        ) from error
    if isinstance(content, list):
        return _label_studio(file, content, fps)
    if {"metadata", "file"} <= set(content):
        return _via(file, content)
    return _activitynet(file, content)


def _activitynet(file: Path, content: Mapping[str, Any]) -> SegmentFile:
    """{video: {"annotations": [{"segment", "label"}], "subset", "duration"}}, alone or under database or results."""
    videos = content.get("database") or content.get("results") or content
    if not isinstance(videos, Mapping) or not all(
        isinstance(each, Mapping | list) for each in videos.values()
    ):
        raise InputError(
            f"segments {file}: found the keys {some(sorted(map(str, content)))}, expected ActivityNet's, VIA's or "
            "Label Studio's JSON"
        )
    segments, scored, late = [], 0, 0
    for video, about in videos.items():
        entries = about if isinstance(about, list) else about.get("annotations", [])
        for each in [entries] if isinstance(entries, Mapping) else entries:
            if not isinstance(each, Mapping) or len(each.get("segment") or ()) != 2:
                raise InputError(f"segments {file}: {video}: expected annotations with segment and label")
            scored += "score" in each
            start, end = map(float, each["segment"])
            duration = about.get("duration") if isinstance(about, Mapping) else None
            late += duration is not None and end > float(duration) + 0.05
            split = about.get("subset") if isinstance(about, Mapping) else None
            segments.append(Segment(video=video, start=start, end=end, label=str(each["label"]), split=split))
    said = [f"{scored} segments have scores: answers of a program, not what somebody saw"] if scored else []
    said += [f"{late} segments end after their video's duration"] if late else []
    return SegmentFile(segments=segments, read_as="ActivityNet's JSON", said=said)


def _via(file: Path, content: Mapping[str, Any]) -> SegmentFile:
    """VIA 3: metadata with z [start, end]; one time with a box is a place in a frame, no segment."""
    files = {str(key): value for key, value in content["file"].items()}
    attributes = content.get("attribute", {})
    views = content.get("view", {})
    segments, pictures = [], 0
    for each in content["metadata"].values():
        z = each.get("z") or []
        if len(z) != 2:
            pictures += 1
            continue
        view = str(each.get("vid", ""))
        fids = views.get(view, {}).get("fid_list", [view])
        name = str(files.get(str(fids[0]), {}).get("fname") or files.get(str(fids[0]), {}).get("src") or view)
        label = next(
            (_via_value(attributes, key, value) for key, value in each.get("av", {}).items() if value), None
        )
        segments.append(Segment(video=name, start=float(z[0]), end=float(z[1]), label=label))
    said = [f"{pictures} entries of a single frame are left out"] if pictures else []
    return SegmentFile(segments=segments, read_as="VIA's project", said=said)


def _via_csv(file: Path, text: str) -> SegmentFile:
    """VIA 3's csv, and that of its segment annotator, which has start and end in columns of their own."""
    lines = text.splitlines()
    comments = dict(line[2:].split(" = ", 1) for line in lines if line.startswith("# ") and " = " in line)
    names = [name.strip() for name in comments["CSV_HEADER"].split(",") if name.strip()]
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    segments, pictures = [], 0
    try:
        attributes = json.loads(comments.get("ATTRIBUTE", "{}"))
        for row in csv.DictReader(lines, names):
            spans: list[Any] = [row.get(f"temporal_segment_{edge}") for edge in ("start", "end")]
            z = spans if None not in spans else json.loads(row["temporal_coordinates"])
            if len(z) != 2:
                pictures += 1
                continue
            values = json.loads(row["metadata"]).items()
            label = next((_via_value(attributes, key, value) for key, value in values if value), None)
            video = _bare(json.loads(row["file_list"])[0])
            segments.append(Segment(video=video, start=float(z[0]), end=float(z[1]), label=label))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"segments {file}: not VIA's csv as it was exported ({error}); export it again"
        ) from error
    said = [f"{pictures} entries of a single frame are left out"] if pictures else []
    return SegmentFile(segments=segments, read_as="VIA's csv", said=said)


def _via_value(attributes: Mapping[str, Any], key: str, value: Any) -> str:
    options = attributes.get(key, {}).get("options", {})
    return str(options.get(str(value), value)).strip()


def _label_studio(file: Path, content: Sequence[Any], fps: float | None) -> SegmentFile:
    """Tasks of a whole export, of JSON-MIN, or the cell of one video; timelines are in frames."""
    cells: list[tuple[str, Any]] = []
    for task in content:
        if not isinstance(task, Mapping):
            raise InputError(
                f"segments {file}: found {type(task).__name__} in the list, expected Label Studio's tasks"
            )
        if "ranges" in task or "timelinelabels" in task:
            cells.append((file.name.rsplit(".", 1)[0], task))
            continue
        data = task.get("data") if isinstance(task.get("data"), Mapping) else task
        video = next(
            (str(data[key]) for key in ("video", "video_url", "url", "file_upload") if data.get(key)), None
        )
        video = video or str(task.get("file_upload") or task.get("id"))
        results = [each for entry in task.get("annotations", []) for each in entry.get("result", [])]
        values = [each.get("value", {}) for each in results]
        if not results:
            values = [
                each
                for cell in task.values()
                if isinstance(cell, list)
                for each in cell
                if isinstance(each, Mapping)
            ]
        cells += [(video, value) for value in values]
    segments, others = [], 0
    for video, value in cells:
        labels = value.get("timelinelabels") or value.get("labels") or value.get("videolabels")
        ranges = value.get("ranges") or ([value] if {"start", "end"} <= set(value) else [])
        if not labels or not ranges:
            others += 1
            continue
        if "ranges" in value and fps is None:
            raise InputError(
                f"segments {file}: Label Studio's timelines are in frames, and their rate is not in it; say it by "
                "--frame-rate, such as --frame-rate 25"
            )
        rate = float(fps or 1) if "ranges" in value else 1.0
        first = 1 if "ranges" in value else 0  # frames count from 1
        for span in ranges:
            start, end = (float(span["start"]) - first) / rate, float(span["end"]) / rate
            segments += [
                Segment(video=_bare(video), start=start, end=end, label=str(label)) for label in labels
            ]
    said = [f"{others} annotations of another kind are left out"] if others else []
    return SegmentFile(segments=segments, read_as="Label Studio's JSON", said=said)


def _bare(video: str) -> str:
    """The file's name in a URL; Label Studio puts eight digits of its own before it."""
    name = video.split("?d=")[-1].split("?")[0].replace("\\", "/").rpartition("/")[2]
    return re.sub(r"^[0-9a-f]{8}-", "", name)


def _elan(file: Path, text: str, tier: str | None) -> SegmentFile:
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise InputError(f"segments {file}: not XML ({error}); expected ELAN's .eaf") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"segments {file}: XML of {root.tag}, expected ELAN's .eaf")
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    media = next(
        (each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL") for each in root.iter("MEDIA_DESCRIPTOR")),
        None,
    )
    video = _bare(media) if media else file.stem
    segments, unplaced, empty, counts = [], 0, 0, dict[str, int]()
    for element in root.iter("TIER"):
        name = str(element.get("TIER_ID"))
        for each in element.iter("ALIGNABLE_ANNOTATION"):
            start, end = times.get(each.get("TIME_SLOT_REF1")), times.get(each.get("TIME_SLOT_REF2"))
            value = (each.findtext("ANNOTATION_VALUE") or "").strip()
            counts[name] = counts.get(name, 0) + 1
            if start is None or end is None:
                unplaced += 1
            elif tier is None or tier == name:
                empty += not value
                span = int(start) / 1000, int(end) / 1000
                segments.append(
                    Segment(video=video, start=span[0], end=span[1], label=value or None, tier=name)
                )
    if tier is not None and tier not in counts:
        raise InputError(f"segments {file}: no tier {tier}; expected one of {some(sorted(counts), 20)}")
    said = [f"{unplaced} annotations without times are left out"] if unplaced else []
    said += [f"{empty} annotations have no text, and no label"] if empty else []
    if tier is None and len(counts) > 1:
        tiers = some([f"{name} ({count})" for name, count in counts.items()], 20)
        said.append(f"annotations of {len(counts)} tiers beside one another: {tiers}; --tier takes one alone")
    return SegmentFile(segments=segments, read_as="ELAN's .eaf", said=said)


def _csv(file: Path, text: str) -> SegmentFile:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    for number, row in enumerate(rows[:60]):
        names = [cell.lower() for cell in row]
        if {"time", "behavior", "status"} <= set(names) or {"time", "behavior", "behavior type"} <= set(
            names
        ):
            return _boris(file, names, rows[number + 1 :])
        if {"id", "actions", "length"} <= set(names):
            return _charades(file, names, rows[number + 1 :])
        at = [
            next((names.index(name) for name in known if name in names), None)
            for known in (START_COLUMNS, END_COLUMNS, LABEL_COLUMNS)
        ]
        if None not in at:
            return _plain(file, names, rows[number + 1 :], number + 2)
    raise InputError(
        f"segments {file}: no header that is known in it (first line: {first[:60]}); expected "
        "video,start,end,label, or the file of ActivityNet, Charades, BORIS, ELAN, VIA or Label Studio"
    )


def _plain(file: Path, names: Sequence[str], rows: Sequence[Sequence[str]], line: int) -> SegmentFile:
    def place(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    media = next((i for i, name in enumerate(names) if name.startswith("media file")), None)
    video, start, end, label = (
        place(known) for known in (VIDEO_COLUMNS, START_COLUMNS, END_COLUMNS, LABEL_COLUMNS)
    )
    video = media if video is None or media is not None else video
    split, group = place(("split", "subset")), place(("group", "subject"))
    segments, points = [], 0
    for number, row in enumerate(rows, line):
        if not any(row):
            continue
        if len(row) < len(names):
            raise InputError(
                f"segments {file}: line {number}: {len(row)} fields, expected {len(names)} as the header"
            )
        assert start is not None and end is not None and label is not None
        if row[start] and row[start] == row[end]:
            points += 1
            continue
        span = checked_span(row[start], row[end], f"segments {file}: line {number}")
        if span is not None:
            segments.append(
                Segment(
                    video=row[video] if video is not None else file.stem,
                    start=span[0],
                    end=span[1],
                    label=row[label] or None,
                    split=(row[split] or None) if split is not None else None,
                    group=(row[group] or None) if group is not None else None,
                )
            )
    said = [f"{points} events without length are left out"] if points else []
    return SegmentFile(segments=segments, read_as="a csv of segments", said=said)


def _boris(file: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> SegmentFile:
    """START and STOP rows, paired by video, subject and behaviour; points are left out."""
    status = names.index("status") if "status" in names else names.index("behavior type")
    media = next((i for i, name in enumerate(names) if name.startswith("media file")), None)
    time, behaviour = names.index("time"), names.index("behavior")
    subject = names.index("subject") if "subject" in names else None
    open_since: dict[tuple[str, str, str], float] = {}
    segments, points = [], 0
    for row in rows:
        if len(row) <= max(status, time, behaviour) or not row[time]:
            continue
        video = row[media] if media is not None and row[media] else file.stem
        key = video, row[subject] if subject is not None else "", row[behaviour]
        try:
            at = float(row[time])
        except ValueError as error:
            raise InputError(f"segments {file}: time {row[time]}: expected seconds") from error
        what = row[status].upper()
        if what == "START":
            open_since[key] = at
        elif what == "STOP" and key in open_since:
            segments.append(
                Segment(video=_bare(video), start=open_since.pop(key), end=at, label=row[behaviour])
            )
        else:
            points += 1
    said = [f"{points} events without length are left out"] if points else []
    said += [f"{len(open_since)} segments never stop and are left out"] if open_since else []
    return SegmentFile(
        segments=sorted(segments, key=lambda each: each.start), read_as="BORIS's events", said=said
    )


def _charades(file: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> SegmentFile:
    """A row a video: "c077 12.10 18.00;c079 11.80 17.30" in its column actions."""
    at, name, length = names.index("actions"), names.index("id"), names.index("length")
    segments, without, late = [], 0, 0
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        spilled = [cell for i, cell in enumerate(row) if i != at and _CHARADES.fullmatch(cell)]
        if spilled or len(row) < len(names):
            raise InputError(
                f"segments {file}: line {number}: actions stand in columns of their own "
                f"({spilled[0] if spilled else '?'}); a spreadsheet broke the file: take Charades' own csv"
            )
        found = [_CHARADES.fullmatch(each.strip()) for each in row[at].split(";") if each.strip()]
        if None in found:
            raise InputError(
                f"segments {file}: line {number}: actions: {row[at][:60]}, expected c077 12.10 18.00;..."
            )
        without += not found
        for each in found:
            assert each is not None
            late += float(each[3]) > float(row[length] or 0)
            segments.append(Segment(video=row[name], start=float(each[2]), end=float(each[3]), label=each[1]))
    said = [f"{without} videos without an action"] if without else []
    said += [f"{late} segments end after their video's length; they are taken up to its end"] if late else []
    return SegmentFile(segments=segments, read_as="Charades' csv", said=said)


def stem(name: str) -> str:
    """A video's name without folder and ending."""
    last = name.replace("\\", "/").rpartition("/")[2]
    bare, ending = os.path.splitext(last)
    return bare if 2 <= len(ending) <= 6 and not ending[1:].isdigit() else last
