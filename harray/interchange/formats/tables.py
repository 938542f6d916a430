"""Keypoints as csv: a row a frame with a column for each joint and coordinate, or a row a joint.

    class,x1,y1,z1,v1,x2,...        label,nose_x,nose_y,nose_z,nose_v,left_shoulder_x,...
    frame,0_x,0_y,0_score,...       frame,landmark,x,y,z,visibility

Columns of other names are read where they say label, clip, frame, person, split or group, and said where not. Rows with
a label but without frame and clip are pictures, not clips: each is a clip of one frame, and said.
"""

import ast
import csv
import dataclasses
import io
import re
from collections.abc import Sequence

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import layout_for, layout_of_names, points_of
from harray.interchange.formats.source import TABLE, TEXT, Source, number_in
from harray.skeleton import SkeletonLayout
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
    return len(_full(columns)) >= 3 or _is_long(header) or _points_column(header) is not None


def read_table(source: Source) -> list[FoundClip | FoundFrame]:
    header, rows = _rows(source)
    if _points_column(header) is not None and len(_full(_columns(header))) < 3:
        header, rows = _unpacked(source, header, rows)
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


def _points_column(header: Sequence[str]) -> int | None:
    """The column whose cells hold all keypoints of a frame as text."""
    names = [name.lower() for name in header]
    return next(
        (names.index(name) for name in ("keypoints", "landmarks", "pose_keypoints") if name in names), None
    )


def _unpacked(
    source: Source, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Lists in cells as columns of their own."""
    at = _points_column(header)
    assert at is not None
    cells = [
        points_of(_literal(source, row[at])) if at < len(row) and row[at].strip() else None for row in rows
    ]
    first = next((each for each in cells if each is not None), None)
    if first is None:
        raise InputError(f"{source.path}: column {header[at]}: expected lists of x, y, score in its cells")
    names = first[2] or [f"kp{i}" for i in range(len(first[0]))]
    axes = ["x", "y"] + ["score"] * any(each is not None and each[1] is not None for each in cells)
    rest = [i for i in range(len(header)) if i != at]
    wide = []
    for row, each in zip(rows, cells, strict=True):
        values = np.full((len(names), 3), np.nan)
        if each is not None and len(each[0]) == len(names):
            values[:, :2], values[:, 2] = each[0][:, :2], 1.0 if each[1] is None else each[1]
        elif each is not None:
            raise InputError(
                f"{source.path}: frames of {len(names)} and {len(each[0])} joints, expected one number in all"
            )
        numbers = ["" if np.isnan(value) else repr(float(value)) for value in values[:, : len(axes)].ravel()]
        wide.append([*(row[i] if i < len(row) else "" for i in rest), *numbers])
    return [*(header[i] for i in rest), *(f"{name}_{axis}" for name in names for axis in axes)], wide


def _literal(source: Source, cell: str) -> object:
    """A list or dict that a program wrote as text."""
    try:
        found = ast.literal_eval(cell.replace("nan", "None").replace("null", "None"))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{source.path}: a cell of keypoints is no list ({cell[:40]})") from error
    if isinstance(found, list) and found and all(isinstance(each, int | float) for each in found):
        return [list(each) for each in zip(*[iter(found)] * 3, strict=False)] if len(found) % 3 == 0 else None
    return (
        [list(each) if isinstance(each, tuple) else each for each in found]
        if isinstance(found, list)
        else found
    )


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
        values[i, : len(row)] = [number_in(cell) for cell in row]
    return values


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
