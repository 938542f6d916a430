"""CFN's attention on objects, in rendered clips whose truth says where these are.

    truth: object's box, actor's box -> the object's region about the actor -> cells of the scene's grid
    attention inside the region / the region's share of the frame = 1 where attention is even

The same region about the actor in the same scene without any object tells whether the object draws the attention,
or just its place.

Letters: N clips, F scene frames, G cells along a side of the scene's grid.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harray.evaluation.evaluate import clips_for
from harray.evaluation.findings import AttentionView, ObjectAttention
from harray.evaluation.report import EvaluationReport
from harray.features.tensors import ClipTensors
from harray.inference.predictor import Predictor
from harray.scenes.encoder import scene_frame_indices
from harray.store import FeatureStore
from harray.synth.actions import ACTIONS
from harray.synth.config import HEIGHT_PX, WIDTH_PX
from harray.synth.render import DATASET, truth_of_video
from harray.synth.truth import Truth, load_truth


def with_objects(report: EvaluationReport, predictor: Predictor, store: FeatureStore) -> EvaluationReport:
    """The report of a rendered store with the attention on objects, by pose and scene and by the scene alone; that of
    any other store as it is."""
    if DATASET not in store.snapshot().extracted["dataset"].unique().to_pylist():
        return report
    clips = clips_for(predictor, store, report.split)
    objects = {
        part: object_attention(predictor, store, clips, use_pose=use_pose)
        for part, use_pose in (("fusion", True), ("scene_only", False))
    }
    return dataclasses.replace(report, objects=objects)


def object_attention(
    predictor: Predictor, store: FeatureStore, clips: ClipTensors, *, use_pose: bool = True
) -> dict[str, ObjectAttention]:
    """By label; empty without scene branch or for clips that `harray synth` did not render.

    Args:
        use_pose: whether motion queries the scene, or the scene decides alone.
    """
    grid = clips.scene_grid
    rendered = {} if grid is None or predictor.network.cfn is None else _rendered(store, clips, grid[0])
    if grid is None or not rendered:
        return {}
    rows = sorted(rendered)
    attention_NS = predictor.predict_clips(clips.select(rows), use_pose=use_pose).attention_scene_NS
    assert attention_NS is not None
    attention_NFGG = attention_NS.reshape(-1, grid[0], grid[1], grid[1])
    seen = [
        _RenderedClip(clips.paths[row], *rendered[row], attention_FGG)
        for row, attention_FGG in zip(rows, attention_NFGG, strict=True)
    ]
    bare = {action.name for action in ACTIONS if action.object is None}
    found = {}
    for action in ACTIONS:
        having = [clip for clip in seen if clip.truth.label == action.name]
        others = [clip for clip in seen if clip.truth.label in bare and clip.truth.scene in action.scenes]
        if action.object is not None and having and others:
            found[action.name] = _compared(action.object, having, others)
    return found


class _RenderedClip(NamedTuple):
    """A rendered clip, what is true of its scene frames, and CFN's attention in them."""

    path: str
    frames_F: np.ndarray
    truth: Truth
    attention_FGG: np.ndarray

    def view(self, box_F4: np.ndarray) -> AttentionView:
        relative_GG = self.attention_FGG[-1] * self.attention_FGG.size
        return AttentionView(
            path=self.path, frame_index=int(self.frames_F[-1]), attention_GG=relative_GG, box_4=box_F4[-1]
        )


def _compared(thing: str, having: list[_RenderedClip], others: list[_RenderedClip]) -> ObjectAttention:
    having = [clip for clip in having if not _is_covered(clip.truth)] or having
    on_object = [relative_attention(clip.attention_FGG, clip.truth.object_box_T4) for clip in having]
    places = [[_placed(_about_actor(clip.truth), other.truth) for clip in having] for other in others]
    on_place = [
        np.nanmean([relative_attention(other.attention_FGG, box_F4) for box_F4 in boxes])
        for other, boxes in zip(others, places, strict=True)
    ]
    shown, beside = _median(on_object), _median(on_place)
    return ObjectAttention(
        object=thing,
        on_object=float(np.nanmean(on_object)),
        on_its_place=float(np.nanmean(on_place)),
        without=tuple(sorted({clip.truth.label for clip in others})),
        num_clips=len(having),
        look_with=having[shown].view(having[shown].truth.object_box_T4),
        look_without=others[beside].view(places[beside][shown]),
    )


def _median(values: list[float]) -> int:
    """Index of the median, so that the picture shown is neither the best nor the worst."""
    return int(np.argsort(values)[len(values) // 2])


def _is_covered(truth: Truth) -> bool:
    """Whether an occluder lies over most of the object, so that there is little to look at."""
    low = np.maximum(truth.object_box_T4[:, :2], truth.occluder_box_T4[:, :2])
    high = np.minimum(truth.object_box_T4[:, 2:], truth.occluder_box_T4[:, 2:])
    overlap_F = np.nan_to_num(np.clip(high - low, 0, None)).prod(axis=1)
    size_F = (truth.object_box_T4[:, 2:] - truth.object_box_T4[:, :2]).prod(axis=1)
    return bool((overlap_F > size_F / 2).any())


def _rendered(
    store: FeatureStore, clips: ClipTensors, num_scene_frames: int
) -> dict[int, tuple[np.ndarray, Truth]]:
    """Scene frames `[F]` and what is true of them, by row, of the clips that have a truth beside them."""
    files = {row: truth_of_video(Path(path)) for row, path in enumerate(clips.paths)}
    files = {row: file for row, file in files.items() if file.is_file() and Path(clips.paths[row]).is_file()}
    if not files:
        return {}
    table = store.read(None, columns=["frame_index"])
    frames_of = dict(zip(table["path"].to_pylist(), table["frame_index"].to_pylist(), strict=True))
    rendered = {}
    for row, file in files.items():
        frames_T = np.array(frames_of[clips.paths[row]])
        frames_F = frames_T[scene_frame_indices(len(frames_T), num_scene_frames)]
        rendered[row] = frames_F, load_truth(file).at(frames_F)
    return rendered


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
