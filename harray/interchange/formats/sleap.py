"""SLEAP's analysis h5 (tracks, node_names, edge_inds, point_scores) and its own .slp (instances, points, frames).

Source: https://sleap.ai/develop/api/sleap.info.write_tracking_h5.html, https://github.com/talmolab/sleap-io.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.arrays import texts
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.source import HDF5, Source
from harray.skeleton import own_layout

EDGE = 1  # SLEAP's type of a bone; 2 is a symmetry


def is_sleap(source: Source) -> bool:
    if source.kind != HDF5:
        return False
    with source.hdf5() as file:
        return {"tracks", "node_names"} <= set(file)


def read_sleap(source: Source) -> list[FoundClip | FoundFrame]:
    with source.hdf5() as file:
        names = texts(file["node_names"][()])
        tracks = np.asarray(file["tracks"][()], np.float64)
        num_tracks = len(file["track_names"]) or None if "track_names" in file else None
        arranged = _arranged(source, tracks, len(names), num_tracks)
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


def _arranged(source: Source, tracks: np.ndarray, num_nodes: int, num_tracks: int | None) -> np.ndarray:
    """[tracks, frames, nodes, 2]; files have [tracks, 2, nodes, frames], as MATLAB does, the reverse, or frames first.

    Args:
        num_tracks: by the tracks' names; None where there are none.
    """
    for order in ((0, 3, 2, 1), (3, 0, 1, 2), (1, 0, 2, 3)) if tracks.ndim == 4 else ():
        arranged = tracks.transpose(order)
        if arranged.shape[2:] == (num_nodes, 2) and num_tracks in (None, len(arranged)):
            return arranged
    raise InputError(
        f"{source.path}: tracks of shape {tracks.shape}, expected [tracks, 2, {num_nodes} nodes, frames] or the reverse"
    )


def _like(scores: np.ndarray, shape: Sequence[int], is_transposed: bool) -> np.ndarray | None:
    for order in ((0, 2, 1), (2, 0, 1), (1, 0, 2), (0, 1, 2)):
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
    bones, kinds = [], list[int]()  # jsonpickle writes a type once, and its number from then on
    for link in skeleton.get("links", []):
        kind = link.get("type") if isinstance(link.get("type"), dict) else {}
        if values := kind.get("py/reduce"):
            kinds.append(next((each["py/tuple"][0] for each in values if "py/tuple" in each), EDGE))
            number = kinds[-1]
        else:
            known = int(kind.get("py/id", 1))
            number = kinds[known - 1] if 0 < known <= len(kinds) else EDGE
        if number == EDGE and link["source"] in place and link["target"] in place:
            bones.append((place[link["source"]], place[link["target"]]))
    return [every[i] for i in ids], bones


def _slp_video(videos: Sequence[Any], number: int) -> str:
    backend = videos[number].get("backend", {}) if number < len(videos) else {}
    name = str(backend.get("filename", number)).replace("\\", "/").rpartition("/")[2]
    return name.rsplit(".", 1)[0] or str(number)
