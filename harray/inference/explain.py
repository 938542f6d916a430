"""Explain a prediction of a video: overlay video, attention over time and over the scene, as files."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from harray.errors import InputError
from harray.inference.lettering import save_figure
from harray.inference.pictures import (
    Film,
    attention_over_scene,
    attention_over_time,
    draw_skeletons,
    explanation_card,
    write_overlay,
)
from harray.scenes.encoder import scene_frame_indices
from harray.videos.files import local_copy
from harray.videos.frames import read_frames_at
from harray.videos.picture import Needed

if TYPE_CHECKING:
    from harray.inference.predictor import Prediction

DRAWN = Needed(long_px=1280, short_px=0)  # pictures need no more


def explain(prediction: "Prediction", folder: Path, name: str) -> list[Path]:
    """Write NAME_overlay.mp4, NAME_time.png, NAME_card.png and, with a scene branch, NAME_scene.png.

    Returns:
        The paths, the overlay first.

    Raises:
        InputError: the prediction is of keypoints, not of a video.
    """
    film, caption = film_of(prediction), prediction.headline()
    folder.mkdir(parents=True, exist_ok=True)
    overlay = write_overlay(folder / f"{name}_overlay.mp4", film, caption)
    seconds = film.seconds_T.tolist()
    figures = {"time": attention_over_time(film.frames_THWC, seconds, film.attention_T, caption)}
    scene_FGG, shown_F = _scene_attention(prediction)
    if scene_FGG is not None and (gate_N := prediction.clips.gate_N) is not None:
        title, times = f"{caption}, gate {gate_N[0]:.2f}", film.seconds_T[shown_F].tolist()
        figures["scene"] = attention_over_scene(film.frames_THWC[shown_F], scene_FGG, times, title)
    figures["card"] = _card(prediction, film)
    for kind, figure in figures.items():
        save_figure(figure, folder / f"{name}_{kind}.png")
    return [overlay, *(folder / f"{name}_{kind}.png" for kind in figures)]


def card(prediction: "Prediction") -> Figure:
    """One page: a drawn frame, where the motion looked in the scene, when, and the likeliest labels.

    Raises:
        InputError: the prediction is of keypoints, not of a video.
    """
    return _card(prediction, film_of(prediction))


def film_of(prediction: "Prediction") -> Film:
    """The frames of a predicted video, decoded once more: a prediction keeps features, not pictures.

    Raises:
        InputError: the prediction is of keypoints, not of a video.
    """
    features, clips = prediction.features, prediction.clips
    if features is None or prediction.skeleton is None:
        raise InputError(f"{prediction.source}: only predictions of videos can be drawn, there are no frames")
    assert clips.completed_NPTKC is not None and clips.attention_time_NT is not None
    with local_copy(prediction.source) as file:
        frames = read_frames_at(file, features.frame_index_T, needed=DRAWN)
    scale = frames.rgb_THWC.shape[2] / frames.width_px
    return Film(
        frames_THWC=frames.rgb_THWC,
        seconds_T=features.frame_sec_T,
        keypoints_PTKC=scale * while_present(clips.completed_NPTKC[0], clips.visible_NPTK[0]),
        visible_PTK=clips.visible_NPTK[0],
        attention_T=clips.attention_time_NT[0],
        skeleton=prediction.skeleton,
    )


def _card(prediction: "Prediction", film: Film) -> Figure:
    scene_FGG, shown_F = _scene_attention(prediction)
    t = int(shown_F[-1])
    picture = draw_skeletons(
        film.frames_THWC[t], film.keypoints_PTKC[:, t], film.visible_PTK[:, t], film.skeleton
    )
    last_GG = None if scene_FGG is None else scene_FGG[-1]
    return explanation_card(picture, last_GG, film.seconds_T.tolist(), film.attention_T, prediction.top(3))


def _scene_attention(prediction: "Prediction") -> tuple[np.ndarray | None, np.ndarray]:
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
