"""Keypoints as csv: a row a frame with a column for each joint and coordinate, or a row a joint; and DeepLabCut's.

    class,x1,y1,z1,v1,x2,...        label,nose_x,nose_y,nose_z,nose_v,left_shoulder_x,...
    frame,0_x,0_y,0_score,...       frame,landmark,x,y,z,visibility

Columns of other names are read where they say label, clip, frame, person, split or group, and said where not. Rows with
a label but without frame and clip are pictures, not clips: each is a clip of one frame, and said.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Sequence

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import layout_for, layout_of_names
from harray.interchange.formats.source import TABLE, TEXT, Source
from harray.skeleton import SkeletonLayout, own_layout
from harray.videos.listing import some

SCORES = (
    "score",
    "confidence",
    "conf",
    "visibility",
    "vis",
    "likelihood",
    "presence",
    "prob",
    "v",
    "c",
    "s",
    "p",
)
_AXIS = rf"x|y|z|{'|'.join(SCORES)}"
_AXIS_FIRST = re.compile(rf"({_AXIS})[ _.:/-]?(\d+|[ _.:/-].+)", re.IGNORECASE)
_AXIS_LAST = re.compile(rf"(.*[^ _.:/-])[ _.:/-]+({_AXIS})", re.IGNORECASE)
_AXIS_GLUED = re.compile(r"(.*\d)([xyzvcs])", re.IGNORECASE)
_ROLES = {
    "label": "label class action pose target category activity exercise gesture class_name",
    "clip": "clip clip_id clip_name video video_id video_name videoname sequence sequence_id seq seq_id file filename "
    "file_name source path vid",
    "frame": "frame frame_id frame_index frame_number frame_num frame_no frame_idx frames image_id",
    "time": "time timestamp time_sec timestamp_ms time_ms t seconds ms",
    "person": "person person_id track track_id pid subject_id idx pose_id",
    "split": "split subset set",
    "group": "group subject actor performer",
    "joint": "joint landmark keypoint landmark_id joint_id keypoint_id landmark_name joint_name keypoint_name "
    "landmark_index landmark_idx bodypart part name type kp id",
}
ROLES = {role: names.split() for role, names in _ROLES.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column is what."""

    points: dict[str, dict[str, int]]  # joint -> axis -> column
    roles: dict[str, int]  # label, clip, frame, ... -> column
    unread: list[str]


def is_table(source: Source) -> bool:
    if source.kind not in (TABLE,) and not (source.kind == TEXT and "," in source.text[:200]):
        return False
    header, rows = _rows(source)
    if not rows:
        return False
    columns = _columns(header)
    return len(_full(columns)) >= 3 or _is_long(header)


def read_table(source: Source) -> list[FoundClip | FoundFrame]:
    header, rows = _rows(source)
    if _is_long(header) and len(_full(_columns(header))) < 3:
        header, rows = _widened(source, header, rows)
    columns = _columns(header)
    points = _full(columns)
    names = list(points)
    layout, order = _layout(names)
    said = [f"columns that are not read: {', '.join(columns.unread[:8])}"] if columns.unread else []
    axes = ("x", "y")
    score = next((axis for axis in SCORES if all(axis in at for at in points.values())), None)
    if all("z" in at for at in points.values()):
        said.append("z, a guess of depth in another unit, is left out")
    at = np.array([[points[names[i]][axis] for axis in axes] for i in order])
    at_scores = None if score is None else [points[names[i]][score] for i in order]
    table = _numbers(source, rows, header)
    people = []
    for values in table:
        where = np.where((values[at] == 0).all(axis=1)[:, None], np.nan, values[at])
        people.append(
            Person(points_VC=where, scores_V=None if at_scores is None else np.nan_to_num(values[at_scores]))
        )
    return list(_clips(source, layout, columns.roles, rows, people, said))


def is_deeplabcut(source: Source) -> bool:
    if source.kind not in (TABLE,):
        return False
    rows = list(csv.reader(io.StringIO(source.text[:20000])))[:5]
    first = [row[0].strip().lower() if row else "" for row in rows]
    return "bodyparts" in first and "coords" in first


def read_deeplabcut(source: Source) -> list[FoundClip | FoundFrame]:
    """DeepLabCut's csv: header rows scorer, [individuals,] bodyparts, coords; an index column."""
    rows = [row for row in csv.reader(io.StringIO(source.text)) if row]
    heads = {row[0].strip().lower(): row for row in rows[:5]}
    last = next(i for i, row in enumerate(rows) if row[0].strip().lower() == "coords")
    first = 1
    while first < len(rows[last]) and not rows[last][first].strip():
        first += 1  # labelled data has the picture's folder in columns of its own
    parts, coords = heads["bodyparts"], heads["coords"]
    who = heads.get("individuals", [""] * len(parts))
    keys = [(who[i].strip(), parts[i].strip(), coords[i].strip().lower()) for i in range(first, len(parts))]
    values = np.array(
        [
            [_float(row[i]) if i < len(row) else np.nan for i in range(first, len(parts))]
            for row in rows[last + 1 :]
        ]
    )
    numbers = [int(row[0]) for row in rows[last + 1 :] if row[0].strip().isdigit()]
    return [deeplabcut_clip(source, keys, values, numbers)]


def deeplabcut_clip(
    source: Source, keys: Sequence[tuple[str, str, str]], values: np.ndarray, numbers: Sequence[int]
) -> FoundClip:
    """Columns (individual, body part, x, y or likelihood) of a table as a clip.

    Raises:
        InputError: no rows, or a body part without x and y.
    """
    joints = list(dict.fromkeys(part for _, part, _ in keys))
    people = list(dict.fromkeys(who for who, _, _ in keys if who != "single")) or [""]
    alone = [part for who, part, _ in keys if who == "single" and people != ["single"]]
    said = [f"{len(set(alone))} parts of no individual are left out"] if alone and people != [""] else []
    if said:
        joints = [joint for joint in joints if joint not in alone]
    column = {key: i for i, key in enumerate(keys)}
    if not len(values) or any(
        (people[0], joint, axis) not in column for joint in joints for axis in ("x", "y")
    ):
        raise InputError(f"{source.path}: expected x and y of every body part, and a row a frame")
    shape = len(people), len(values), len(joints)
    keypoints, scores = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
    for m, who in enumerate(people):
        for v, joint in enumerate(joints):
            if (x := column.get((who, joint, "x"))) is None:
                continue
            keypoints[m, :, v, 0], keypoints[m, :, v, 1] = values[:, x], values[:, column[who, joint, "y"]]
            at = column.get((who, joint, "likelihood"))
            scores[m, :, v] = 1.0 if at is None else values[:, at]
    is_there = np.isfinite(keypoints).all(-1)
    if not is_there.all():
        said.append("joints with empty cells count as missing")
    first = numbers[0] if len(numbers) == len(values) else 0
    return FoundClip(
        name=_video_of(source.name),
        layout=own_layout(joints),
        keypoints_MTVC=np.nan_to_num(keypoints),
        scores_MTV=np.where(is_there, np.nan_to_num(scores), 0),
        frame_index_T=np.array(numbers) if first and (np.diff(numbers) > 0).all() else None,
        said=tuple(said),
    )


def _video_of(name: str) -> str:
    """The video's name in that of DeepLabCut's file."""
    return re.sub(r"DLC_[A-Za-z0-9]*_?.*$", "", name).rstrip("_- ") or name


def _rows(source: Source) -> tuple[list[str], list[list[str]]]:
    text = source.text
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = [
        row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)
    ]
    return ([cell.strip() for cell in rows[0]], rows[1:]) if rows else ([], [])


def _columns(header: Sequence[str]) -> Columns:
    points: dict[str, dict[str, int]] = {}
    roles: dict[str, int] = {}
    unread = []
    for i, name in enumerate(header):
        role = next((role for role, names in ROLES.items() if name.lower().replace(" ", "_") in names), None)
        if role is not None and role not in roles:
            roles[role] = i
        elif (found := _joint_and_axis(name)) is not None:
            points.setdefault(found[0], {}).setdefault(found[1], i)
        elif name and not name.lower().startswith("unnamed"):
            unread.append(name)
    return Columns(points=points, roles=roles, unread=unread)


def _joint_and_axis(name: str) -> tuple[str, str] | None:
    if found := _AXIS_LAST.fullmatch(name):
        return found[1], found[2].lower()
    if found := _AXIS_FIRST.fullmatch(name):
        return found[2].strip(" _.:/-"), found[1].lower()
    if found := _AXIS_GLUED.fullmatch(name):
        return found[1], found[2].lower()
    return None


def _full(columns: Columns) -> dict[str, dict[str, int]]:
    return {joint: at for joint, at in columns.points.items() if "x" in at and "y" in at}


def _layout(names: Sequence[str]) -> tuple[SkeletonLayout, list[int]]:
    """By names, or where these are numbers by how many there are, in the order of the numbers."""
    found = [re.search(r"(\d+)$", name) for name in names]
    stems = {re.sub(r"\d+$", "", name) for name in names}
    if all(found) and len(stems) == 1:
        numbers = [int(each[1]) for each in found if each]
        return layout_for(len(names)), [int(i) for i in np.argsort(numbers)]
    return layout_of_names(names)


def _is_long(header: Sequence[str]) -> bool:
    lower = [name.lower() for name in header]
    return {"x", "y"} <= set(lower) and any(name in ROLES["joint"] for name in lower)


def _widened(
    source: Source, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """A row a joint as a row a frame."""
    lower = [name.lower() for name in header]
    at = _columns(header).roles
    joint = at.get("joint", lower.index("id") if "id" in lower else 0)
    axes = [axis for axis in ("x", "y", "z", *SCORES) if axis in lower]
    others = [role for role in ("clip", "frame", "time", "person", "label", "split", "group") if role in at]
    if "frame" not in at and "time" not in at:
        raise InputError(
            f"{source.path}: a row a joint without a column of frames; expected frame,{header[joint]},x,y"
        )
    frames: dict[tuple[str, ...], dict[str, str]] = {}
    joints: dict[str, None] = {}
    for row in rows:
        key = tuple(row[at[role]] for role in others)
        joints[row[joint].strip()] = None
        cells = frames.setdefault(key, {})
        for axis in axes:
            cells[f"{row[joint].strip()}_{axis}"] = row[lower.index(axis)]
    columns = [f"{name}_{axis}" for name in joints for axis in axes]
    return [*others, *columns], [
        [*key, *(cells.get(name, "") for name in columns)] for key, cells in frames.items()
    ]


def _numbers(source: Source, rows: Sequence[Sequence[str]], header: Sequence[str]) -> np.ndarray:
    values = np.full((len(rows), len(header)), np.nan)
    for i, row in enumerate(rows):
        if len(row) > len(header):
            raise InputError(
                f"{source.path}: row {i + 2} has {len(row)} cells, expected {len(header)} as the header"
            )
        values[i, : len(row)] = [_float(cell) for cell in row]
    return values


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _clips(
    source: Source,
    layout: SkeletonLayout,
    roles: dict[str, int],
    rows: Sequence[Sequence[str]],
    people: Sequence[Person],
    said: list[str],
) -> list[FoundClip]:
    def cell(row: Sequence[str], role: str) -> str | None:
        at = roles.get(role)
        return row[at].strip() or None if at is not None and at < len(row) else None

    ordered = "frame" in roles or "time" in roles
    pictures = "label" in roles and not ordered and "clip" not in roles
    if pictures:
        said = [*said, "rows have a label, but no clip and no frame: each is taken for a clip of one frame; columns "
                "clip and frame would join them"]  # fmt: skip
    groups: dict[str, list[int]] = {}
    run = 0
    for i, row in enumerate(rows):
        if pictures:
            name = f"{source.name}/{i + 1:06d}"
        elif "clip" in roles:
            name = str(cell(row, "clip"))
        else:
            run += bool(i) and cell(row, "label") != cell(rows[i - 1], "label")
            name = f"{source.name}/{run}" if "label" in roles else source.name
        groups.setdefault(name, []).append(i)
    if len(groups) == 1 and not pictures and "clip" not in roles:
        groups = {source.name: next(iter(groups.values()))}
    clips = []
    for name, members in groups.items():
        labels = {cell(rows[i], "label") for i in members}
        if len(labels) > 1:
            raise InputError(
                f"{source.path}: {name} has the labels {some(sorted(map(str, labels)))}; expected one a clip"
            )
        moments = _moments([rows[i] for i in members], [people[i] for i in members], roles)
        clip = clip_of(name, layout, moments, said=said, fps=source.fps)
        split = cell(rows[members[0]], "split")
        clips.append(
            dataclasses.replace(
                clip,
                label=labels.pop(),
                group=cell(rows[members[0]], "group"),
                splits=(split,) if split else (),
            )
        )
    return clips


def _moments(rows: Sequence[Sequence[str]], people: Sequence[Person], roles: dict[str, int]) -> list[Moment]:
    frame, person = roles.get("frame"), roles.get("person")
    found: dict[tuple[int, int | None], list[Person]] = {}
    by_time: dict[str, int] = {}
    for i, (row, each) in enumerate(zip(rows, people, strict=True)):
        number: int | None = None
        if frame is not None and frame < len(row):
            digits = re.findall(
                r"\d+", row[frame].split(".")[0] if re.fullmatch(r"\d+\.0*", row[frame]) else row[frame]
            )
            number = int(digits[-1]) if digits else i
        elif "time" in roles:
            number = by_time.setdefault(row[roles["time"]], len(by_time))
        track = row[person].strip() if person is not None and person < len(row) else None
        if np.isfinite(each.points_VC).any():
            each = Person(points_VC=each.points_VC, scores_V=each.scores_V, track=track or None)
            found.setdefault((i if number is None else number, number), []).append(each)
        else:
            found.setdefault((i if number is None else number, number), [])
    return [Moment(people=tuple(each), number=number) for (_, number), each in found.items()]
