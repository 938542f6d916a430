"""Explain a prediction of a video: overlay video, attention over time and over the scene, as files."""

import math
from pathlib import Path

import numpy as np

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


def explain(prediction: Prediction, skeleton: SkeletonLayout, folder: Path, name: str) -> list[Path]:
    """Write NAME_overlay.mp4, NAME_time.png, NAME_card.png and, with a scene branch, NAME_scene.png.

    The frames are decoded once more, since a prediction keeps features, not pictures.

    Returns:
        The paths, the overlay first.
    """
    features, clips = prediction.features, prediction.clips
    assert features is not None, "only predictions of videos can be drawn"
    assert clips.completed_NPTKC is not None and clips.attention_time_NT is not None
    folder.mkdir(parents=True, exist_ok=True)
    seconds_T = features.frame_sec_T
    with local_copy(prediction.source) as file:
        frames = read_frames_at(file, features.frame_index_T, needed=DRAWN)
    frames_THWC = frames.rgb_THWC
    scale = frames_THWC.shape[2] / frames.width_px
    caption = prediction.headline()
    attention_T, visible_PTK = clips.attention_time_NT[0], clips.visible_NPTK[0]
    drawn_PTKC = scale * while_present(clips.completed_NPTKC[0], visible_PTK)
    overlay = folder / f"{name}_overlay.mp4"
    write_overlay(overlay, frames_THWC, drawn_PTKC, visible_PTK, skeleton, caption, attention_T, seconds_T)
    figures = {"time": attention_over_time(frames_THWC, seconds_T.tolist(), attention_T, caption)}
    scene_FGG, shown_F = _scene_attention(prediction)
    if scene_FGG is not None and clips.gate_N is not None:
        title = f"{caption}, gate {clips.gate_N[0]:.2f}"
        figures["scene"] = attention_over_scene(
            frames_THWC[shown_F], scene_FGG, seconds_T[shown_F].tolist(), title
        )
    t = int(shown_F[-1])
    picture = draw_skeletons(frames_THWC[t], drawn_PTKC[:, t], visible_PTK[:, t], skeleton)
    last_GG = None if scene_FGG is None else scene_FGG[-1]
    figures["card"] = explanation_card(picture, last_GG, seconds_T.tolist(), attention_T, prediction.top(3))
    for kind, figure in figures.items():
        save_figure(figure, folder / f"{name}_{kind}.png")
    return [overlay, *(folder / f"{name}_{kind}.png" for kind in figures)]


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
