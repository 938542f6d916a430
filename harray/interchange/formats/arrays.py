"""MATLAB and HDF5: Penn Action, JHMDB, SLEAP, DeepLabCut.

Penn Action   labels/0001.mat: action, x, y, visibility [T, 13], dimensions (h, w, T), train 1 or -1
JHMDB         <class>/<video>/joint_positions.mat: pos_img [2, 15, T] px, from 1
SLEAP         analysis .h5: tracks, node_names, edge_inds, point_scores; .slp: instances, points, frames
DeepLabCut    .h5 of pandas: a table with columns (scorer, [individual,] bodypart, coordinate)
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.source import HDF5, MAT, Source
from harray.interchange.formats.tables import deeplabcut_clip
from harray.skeleton import JHMDB15, PENN13, own_layout

JHMDB_HW = (240, 320)


def is_penn(source: Source) -> bool:
    return source.kind == MAT and {"action", "x", "y"} <= set(source.mat)


def read_penn(source: Source) -> list[FoundClip | FoundFrame]:
    mat = source.mat
    x, y = (np.asarray(mat[name], np.float64) for name in ("x", "y"))  # some are uint8
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 13:
        raise InputError(f"{source.path}: x and y of shapes {x.shape} and {y.shape}, expected [frames, 13]")
    keypoints = np.stack([x, y], axis=-1)[None]
    visibility = mat.get("visibility")
    scores = np.ones(x.shape) if visibility is None else np.asarray(visibility, np.float64)
    if scores.shape != x.shape:
        raise InputError(f"{source.path}: visibility of shape {scores.shape}, expected {x.shape} as x")
    size = np.asarray(mat.get("dimensions", [[0, 0]])).ravel()
    train = float(np.asarray(mat.get("train", 0)).ravel()[0])
    return [
        FoundClip(
            name=source.name,
            layout=PENN13,
            keypoints_MTVC=keypoints,
            scores_MTV=scores[None].clip(0, 1),
            size_hw=(int(size[0]), int(size[1])),
            label=text_of(mat["action"]),
            splits=() if "train" not in mat else ("train",) if train > 0 else ("test",),
        )
    ]


def is_jhmdb(source: Source) -> bool:
    return source.kind == MAT and "pos_img" in source.mat


def read_jhmdb(source: Source) -> list[FoundClip | FoundFrame]:
    found = np.asarray(source.mat["pos_img"], np.float64)
    if found.ndim != 3 or 2 not in found.shape or 15 not in found.shape:
        raise InputError(f"{source.path}: pos_img of shape {found.shape}, expected [2, 15, frames]")
    axes = [found.shape.index(2), found.shape.index(15)]
    points = (
        np.transpose(found, [({0, 1, 2} - set(axes)).pop(), axes[1], axes[0]]) - 1
    )  # MATLAB counts from 1
    video = source.folder if source.stem == "joint_positions" else source.name
    video = video or source.path.parent.name
    parts = [*source.path.parts[:-2], video.rpartition("/")[2]]
    label, group = _jhmdb_label(parts[-1], parts[-2] if len(parts) > 1 else "")
    return [
        FoundClip(
            name=video,
            layout=JHMDB15,
            keypoints_MTVC=points[None],
            size_hw=JHMDB_HW,
            label=label,
            group=group,
            said=("pixels count from 1 there, and from 0 here",),
        )
    ]


def _jhmdb_label(video: str, folder: str) -> tuple[str | None, str | None]:
    """Class and source video by JHMDB's names: <source>_<class>_<body>_<camera>_np<n>_<side>_<quality>_<number>."""
    from harray.videos.named import hmdb_parts

    parts = hmdb_parts(video, folder)
    return parts if parts is not None else (None, None)


def is_sleap(source: Source) -> bool:
    if source.kind != HDF5:
        return False
    with source.hdf5() as file:
        return {"tracks", "node_names"} <= set(file)


def read_sleap(source: Source) -> list[FoundClip | FoundFrame]:
    with source.hdf5() as file:
        names = texts(file["node_names"][()])
        tracks = np.asarray(file["tracks"][()], np.float64)
        arranged = _arranged(source, tracks, len(names))
        bones = (
            np.asarray(file["edge_inds"][()], int).reshape(-1, 2)
            if "edge_inds" in file and file["edge_inds"].size
            else []
        )
        scores = None
        if "point_scores" in file and file["point_scores"].size:
            found = np.asarray(file["point_scores"][()], np.float64)
            scores = _like(found, arranged.shape[:3], tracks.shape[-1] == arranged.shape[1])
    is_there = np.isfinite(arranged).all(-1)
    confidence = (
        is_there.astype(float) if scores is None or not np.nan_to_num(scores).any() else np.nan_to_num(scores)
    )
    return [
        FoundClip(
            name=source.name.removesuffix(".analysis"),
            layout=own_layout(names, [(int(a), int(b)) for a, b in bones]),
            keypoints_MTVC=np.nan_to_num(arranged),
            scores_MTV=np.where(is_there, confidence, 0),
            said=() if is_there.all() else ("joints without coordinates count as missing",),
        )
    ]


def _arranged(source: Source, tracks: np.ndarray, num_nodes: int) -> np.ndarray:
    """[tracks, frames, nodes, 2]; the file has [tracks, 2, nodes, frames], as MATLAB counts, or the reverse."""
    if tracks.ndim == 4 and tracks.shape[1:3] == (2, num_nodes):
        return tracks.transpose(0, 3, 2, 1)
    if tracks.ndim == 4 and tracks.shape[1:3] == (num_nodes, 2):
        return tracks.transpose(3, 0, 1, 2)
    raise InputError(
        f"{source.path}: tracks of shape {tracks.shape}, expected [tracks, 2, {num_nodes} nodes, frames] or the reverse"
    )


def _like(scores: np.ndarray, shape: Sequence[int], is_transposed: bool) -> np.ndarray | None:
    for order in ((0, 2, 1), (2, 0, 1), (0, 1, 2)):
        if scores.ndim == 3 and scores.transpose(order).shape == tuple(shape):
            return scores.transpose(order)
    return None


def is_slp(source: Source) -> bool:
    if source.kind != HDF5:
        return False
    with source.hdf5() as file:
        return {"instances", "frames", "metadata"} <= set(file)


def read_slp(source: Source) -> list[FoundClip | FoundFrame]:
    """SLEAP's own project file, a clip a video; of a frame the user's instances, or else the predicted ones."""
    with source.hdf5() as file:
        about = json.loads(file["metadata"].attrs["json"])
        names, bones = _slp_skeleton(about)
        frames, instances = file["frames"][()], file["instances"][()]
        tables = {0: file["points"][()], 1: file["pred_points"][()]}
        videos = (
            [json.loads(each) for each in texts(file["videos_json"][()])] if "videos_json" in file else []
        )
    layout = own_layout(names, bones)
    moments: dict[int, list[Moment]] = {}
    for frame in frames:
        of_frame = instances[int(frame["instance_id_start"]) : int(frame["instance_id_end"])]
        users = [each for each in of_frame if int(each["instance_type"]) == 0]
        people = [_slp_person(each, tables, len(names)) for each in users or of_frame]
        moment = Moment(people=tuple(people), number=int(frame["frame_idx"]))
        moments.setdefault(int(frame["video"]), []).append(moment)
    clips = []
    for video, found in sorted(moments.items()):
        name = source.name if len(moments) == 1 else f"{source.name}/{_slp_video(videos, video)}"
        clips.append(clip_of(name, layout, found, fps=source.fps))
    if not clips:
        raise InputError(f"{source.path}: no frames with instances in it")
    return list(clips)


def _slp_person(instance: Any, tables: Mapping[int, Any], num_nodes: int) -> Person:
    points = tables[int(instance["instance_type"])][
        int(instance["point_id_start"]) : int(instance["point_id_end"])
    ]
    where = np.full((num_nodes, 2), np.nan)
    scores = np.zeros(num_nodes)
    count = min(num_nodes, len(points))
    where[:count, 0], where[:count, 1] = points["x"][:count], points["y"][:count]
    seen = points["visible"][:count].astype(bool) & np.isfinite(where[:count]).all(-1)
    scored = "score" in (points.dtype.names or ())
    scores[:count] = np.where(seen, points["score"][:count] if scored else 1.0, 0)
    track = int(instance["track"])
    return Person(points_VC=where, scores_V=scores, track=track if track >= 0 else None)


def _slp_skeleton(about: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    every = [str(node["name"]) for node in about["nodes"]]
    skeleton = about["skeletons"][0]
    ids = [
        node["id"] if isinstance(node["id"], int) else int(re.sub(r"\D", "", str(node["id"])))
        for node in skeleton["nodes"]
    ]
    place = {node: i for i, node in enumerate(ids)}
    bones = []
    for link in skeleton.get("links", []):
        kind = link.get("type", {})
        values = kind.get("py/reduce", [{}, {"py/tuple": [1]}]) if isinstance(kind, dict) else []
        is_symmetry = len(values) > 1 and values[1].get("py/tuple", [1])[0] == 2
        if not is_symmetry and link["source"] in place and link["target"] in place:
            bones.append((place[link["source"]], place[link["target"]]))
    return [every[i] for i in ids], bones


def _slp_video(videos: Sequence[Any], number: int) -> str:
    backend = videos[number].get("backend", {}) if number < len(videos) else {}
    name = str(backend.get("filename", number)).replace("\\", "/").rpartition("/")[2]
    return name.rsplit(".", 1)[0] or str(number)


def is_deeplabcut(source: Source) -> bool:
    if source.kind != HDF5:
        return False
    with source.hdf5() as file:
        return _dlc_table(file) is not None


def read_deeplabcut(source: Source) -> list[FoundClip | FoundFrame]:
    with source.hdf5() as file:
        group = _dlc_table(file)
        assert group is not None
        try:
            columns, values = (
                _dlc_fixed(group) if "axis0" in group or "block0_values" in group else _dlc_rows(group)
            )
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{source.path}: a pandas table that is not DeepLabCut's ({error}); save it as csv beside"
            ) from error
    keys = [(names[1] if len(names) > 3 else "", names[-2], names[-1].lower()) for names in columns]
    return [deeplabcut_clip(source, keys, values, range(len(values)))]


def _dlc_table(file: Any) -> Any:
    return next(
        (
            group
            for group in file.values()
            if hasattr(group, "attrs") and str(_attr(group, "pandas_type")) in ("frame_table", "frame")
        ),
        None,
    )


def _attr(group: Any, name: str) -> Any:
    value = group.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else value


def _dlc_rows(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """pandas' table format: columns stand pickled in an attribute; plain containers are read, nothing is run."""
    from harray.interchange.safe_pickle import load_plain

    axes = group.attrs["non_index_axes"]
    raw = axes.tobytes() if hasattr(axes, "tobytes") else axes
    columns = load_plain(io.BytesIO(raw if isinstance(raw, bytes) else str(raw).encode("latin-1")))[0][1]
    values = np.concatenate(
        [group["table"][name] for name in group["table"].dtype.names if name.startswith("values_block")],
        axis=1,
    )
    return [tuple(map(str, each)) for each in columns], np.asarray(values, np.float64)


def _dlc_fixed(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray]:
    levels = sorted(name for name in group if re.fullmatch(r"block0_items_level\d+", name))
    codes = sorted(name for name in group if re.fullmatch(r"block0_items_label\d+", name))
    names = [texts(group[name][()]) for name in levels]
    places = [np.asarray(group[name][()], int) for name in codes]
    columns = list(
        zip(*([level[i] for i in place] for level, place in zip(names, places, strict=True)), strict=True)
    )
    return columns, np.asarray(group["block0_values"][()], np.float64)


def texts(values: Any) -> list[str]:
    return [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in np.ravel(values)
    ]


def text_of(value: Any) -> str:
    """A MATLAB string, however deep it is wrapped."""
    while isinstance(value, np.ndarray) and value.size:
        value = value.ravel()[0] if value.dtype.kind != "U" or value.size == 1 else "".join(value.ravel())
    return str(value).strip()
