"""MATLAB files of Penn Action and JHMDB.

    Penn Action   labels/0001.mat: action, x, y, visibility [T, 13], dimensions (h, w, T), train 1 or -1
    JHMDB         <class>/<video>/joint_positions.mat: pos_img [2, 15, T] px, from 1

Sources: http://dreamdragon.github.io/PennAction, http://jhmdb.is.tue.mpg.de.
"""

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.arrays import text_of
from harray.interchange.formats.clips import FoundClip, FoundFrame
from harray.interchange.formats.source import MAT, Source
from harray.skeleton import JHMDB15, PENN13
from harray.videos.named import hmdb_parts

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
    parts = hmdb_parts(video, folder)
    return parts if parts is not None else (None, None)
