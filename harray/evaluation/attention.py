"""Where CFN looks: how much attention falls on an object, in rendered clips whose truth says where it is.

    truth: object's box, actor's box -> the object's region about the actor -> cells of the scene's grid
    attention inside the region / the region's share of the frame = 1 where attention is even

The same region about the actor in clips without any object tells whether the object draws the attention, or
just its place.

Letters: N clips, F scene frames, G cells along a side of the scene's grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harray.features.tensors import ClipTensors
from harray.inference.predictor import Predictor
from harray.scenes.encoder import scene_frame_indices
from harray.store import FeatureStore
from harray.synth.actions import ACTIONS
from harray.synth.config import HEIGHT_PX, WIDTH_PX
from harray.synth.render import truth_of_video
from harray.synth.truth import Truth, load_truth


@dataclass(frozen=True, kw_only=True)
class ObjectAttention:
    """Mean attention on an object's region, relative to even attention."""

    object: str
    on_object: float  # in the clips that have it
    on_its_place: float  # at the same place about the actor, in clips without an object
    without: tuple[str, ...]  # labels of these: those that share the motion, else all without an object
    num_clips: int


def object_attention(
    predictor: Predictor, store: FeatureStore, clips: ClipTensors
) -> dict[str, ObjectAttention]:
    """By label; empty without scene branch or for clips that `harray synth` did not render."""
    truths = _truths(store, clips)
    said = predictor.predict_clips(clips)
    if not truths or said.attention_scene_NS is None or clips.scene_grid is None:
        return {}
    frames, side = clips.scene_grid
    attention_NFGG = said.attention_scene_NS.reshape(-1, frames, side, side)
    by_label: dict[str, list[int]] = {}
    for row in truths:
        by_label.setdefault(truths[row].label, []).append(row)
    found = {}
    for action in ACTIONS:
        rows = by_label.get(action.name, [])
        bare = [other for other in ACTIONS if other.object is None and by_label.get(other.name)]
        bare = [other for other in bare if other.motion is action.motion] or bare
        if action.object is None or not rows or not bare:
            continue
        others = [row for other in bare for row in by_label[other.name]]
        region_F4 = np.mean([_about_actor(truths[row]) for row in rows], axis=0)
        found[action.name] = ObjectAttention(
            object=action.object,
            on_object=_mean([relative_attention(attention_NFGG[i], truths[i].object_box_T4) for i in rows]),
            on_its_place=_mean(
                [relative_attention(attention_NFGG[i], _placed(region_F4, truths[i])) for i in others]
            ),
            without=tuple(other.name for other in bare),
            num_clips=len(rows),
        )
    return found


def _truths(store: FeatureStore, clips: ClipTensors) -> Mapping[int, Truth]:
    """The truth of the clips' scene frames, by row; of clips that have one."""
    table = store.read(None, columns=["frame_index"])
    frames_of = dict(zip(table["path"].to_pylist(), table["frame_index"].to_pylist(), strict=True))
    truths = {}
    for row, path in enumerate(clips.paths):
        file = truth_of_video(Path(path))
        if clips.scene_grid and file.is_file():
            frames = np.array(frames_of[path])
            truths[row] = load_truth(file).at(frames[scene_frame_indices(len(frames), clips.scene_grid[0])])
    return truths


def _about_actor(truth: Truth) -> np.ndarray:
    """The object's box `[F, 4]` in units of the actor's box."""
    corner, size = _corner_and_size(truth)
    return (truth.object_box_T4 - np.tile(corner, 2)) / np.tile(size, 2)


def _placed(region_F4: np.ndarray, truth: Truth) -> np.ndarray:
    corner, size = _corner_and_size(truth)
    return region_F4 * np.tile(size, 2) + np.tile(corner, 2)


def _corner_and_size(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    box_F4 = truth.person_box_TP4[:, 0]
    return box_F4[:, :2], box_F4[:, 2:] - box_F4[:, :2]


def relative_attention(attention_FGG: np.ndarray, box_F4: np.ndarray) -> float:
    """Attention inside the boxes over their area's share; NaN where a clip's boxes lie outside the frame."""
    inside_FGG = covered(box_F4, attention_FGG.shape[1])
    share = inside_FGG.mean()
    return float((attention_FGG * inside_FGG).sum() / share) if share > 0 else np.nan


def covered(box_F4: np.ndarray, side: int) -> np.ndarray:
    """How much of each cell of a grid over the frame lies in the frame's box (x0, y0, x1, y1 px), `[F, G, G]`."""
    edges = np.linspace(0, 1, side + 1)
    along = []
    for axis, size in ((0, WIDTH_PX), (1, HEIGHT_PX)):
        low, high = box_F4[:, axis, None] / size, box_F4[:, axis + 2, None] / size
        overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
        along.append(np.clip(overlap, 0, None) * side)
    return along[1][:, :, None] * along[0][:, None, :]


def _mean(values: list[float]) -> float:
    return float(np.nanmean(values))
