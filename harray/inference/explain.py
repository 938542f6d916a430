"""Explain a prediction of a video: overlay video, attention over time and over the scene, as files."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from harray.errors import InputError
from harray.inference.lettering import save_figure
from harray.inference.pictures import (
    attention_over_scene,
    attention_over_time,
    draw_skeletons,
    explanation_card,
    write_overlay,
)
from harray.inference.predictor import Prediction
from harray.scenes.encoder import scene_frame_indices
from harray.skeleton import SkeletonLayout
from harray.videos.files import local_copy
from harray.videos.frames import read_frames_at
from harray.videos.picture import Needed

DRAWN = Needed(long_px=1280, short_px=0)  # pictures need no more


@dataclass(frozen=True, kw_only=True)
class _Scenes:
    """The frames of a predicted video, decoded once more: a prediction keeps features, not pictures."""

    frames_THWC: np.ndarray
    seconds_T: np.ndarray
    drawn_PTKC: np.ndarray  # completed keypoints in pixels of these frames; NaN while a person is not there
    visible_PTK: np.ndarray
    attention_T: np.ndarray
    attention_FGG: np.ndarray | None  # over the scene; None without a scene branch
    shown_F: np.ndarray  # places of those frames among the clip's


def explain(prediction: Prediction, folder: Path, name: str) -> list[Path]:
    """Write NAME_overlay.mp4, NAME_time.png, NAME_card.png and, with a scene branch, NAME_scene.png.

    Returns:
        The paths, the overlay first.

    Raises:
        InputError: the prediction is of keypoints, not of a video.
    """
    scenes, gate_N = _scenes(prediction), prediction.clips.gate_N
    folder.mkdir(parents=True, exist_ok=True)
    caption, overlay = prediction.headline(), folder / f"{name}_overlay.mp4"
    write_overlay(
        overlay,
        scenes.frames_THWC,
        scenes.drawn_PTKC,
        scenes.visible_PTK,
        _layout(prediction),
        caption,
        scenes.attention_T,
        scenes.seconds_T,
    )
    seconds = scenes.seconds_T.tolist()
    figures = {"time": attention_over_time(scenes.frames_THWC, seconds, scenes.attention_T, caption)}
    if scenes.attention_FGG is not None and gate_N is not None:
        shown = scenes.shown_F
        figures["scene"] = attention_over_scene(
            scenes.frames_THWC[shown],
            scenes.attention_FGG,
            scenes.seconds_T[shown].tolist(),
            f"{caption}, gate {gate_N[0]:.2f}",
        )
    figures["card"] = _card(prediction, scenes)
    for kind, figure in figures.items():
        save_figure(figure, folder / f"{name}_{kind}.png")
    return [overlay, *(folder / f"{name}_{kind}.png" for kind in figures)]


def card(prediction: Prediction) -> Figure:
    """One page: a drawn frame, where the motion looked in the scene, when, and the likeliest labels.

    Raises:
        InputError: the prediction is of keypoints, not of a video.
    """
    return _card(prediction, _scenes(prediction))


def _card(prediction: Prediction, scenes: _Scenes) -> Figure:
    t = int(scenes.shown_F[-1])
    drawn, visible = scenes.drawn_PTKC[:, t], scenes.visible_PTK[:, t]
    picture = draw_skeletons(scenes.frames_THWC[t], drawn, visible, _layout(prediction))
    last_GG = None if scenes.attention_FGG is None else scenes.attention_FGG[-1]
    seconds = scenes.seconds_T.tolist()
    return explanation_card(picture, last_GG, seconds, scenes.attention_T, prediction.top(3))


def _layout(prediction: Prediction) -> SkeletonLayout:
    assert prediction.skeleton is not None, "a predictor names the layout"
    return prediction.skeleton


def _scenes(prediction: Prediction) -> _Scenes:
    features, clips = prediction.features, prediction.clips
    if features is None:
        raise InputError(f"{prediction.source}: only predictions of videos can be drawn, there are no frames")
    assert clips.completed_NPTKC is not None and clips.attention_time_NT is not None
    with local_copy(prediction.source) as file:
        frames = read_frames_at(file, features.frame_index_T, needed=DRAWN)
    visible_PTK = clips.visible_NPTK[0]
    scale = frames.rgb_THWC.shape[2] / frames.width_px
    attention_FGG, shown_F = _scene_attention(prediction)
    return _Scenes(
        frames_THWC=frames.rgb_THWC,
        seconds_T=features.frame_sec_T,
        drawn_PTKC=scale * while_present(clips.completed_NPTKC[0], visible_PTK),
        visible_PTK=visible_PTK,
        attention_T=clips.attention_time_NT[0],
        attention_FGG=attention_FGG,
        shown_F=shown_F,
    )


def _scene_attention(prediction: Prediction) -> tuple[np.ndarray | None, np.ndarray]:
    """Attention `[F, G, G]`, None without a scene branch, and the places of those frames among the clip's."""
    features, attention_NS = prediction.features, prediction.clips.attention_scene_NS
    assert features is not None
    num_frames = len(features.frame_sec_T)
    if attention_NS is None or features.scene_tokens_FSD is None:
        return None, np.array([num_frames // 2])
    num_scene_frames, num_cells, _ = features.scene_tokens_FSD.shape
    side = math.isqrt(num_cells)
    places_F = scene_frame_indices(num_frames, num_scene_frames)
    return attention_NS[0].reshape(num_scene_frames, side, side), places_F


def while_present(completed_PTKC: np.ndarray, visible_PTK: np.ndarray) -> np.ndarray:
    """A copy with NaN where a person is not there to be drawn: before first and after last being seen."""
    seen_PT = np.any(visible_PTK, axis=2)
    began_PT = np.maximum.accumulate(seen_PT, axis=1)
    goes_on_PT = np.maximum.accumulate(seen_PT[:, ::-1], axis=1)[:, ::-1]
    return np.where((began_PT & goes_on_PT)[..., None, None], completed_PTKC, np.nan)
