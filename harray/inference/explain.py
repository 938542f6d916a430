"""Explain a prediction of a video: overlay video, attention over time and over the scene, as files."""

from pathlib import Path

import numpy as np

from harray.inference.pictures import attention_over_scene, attention_over_time, write_overlay
from harray.inference.predictor import Prediction
from harray.scenes.encoder import scene_frame_indices
from harray.skeleton import SkeletonLayout
from harray.videos.frames import read_frames


def explain(prediction: Prediction, skeleton: SkeletonLayout, folder: Path) -> list[Path]:
    """Write NAME_overlay.mp4, NAME_time.png and, with a scene branch, NAME_scene.png; returns their paths.

    The frames are decoded once more, since a prediction keeps features, not pictures.
    """
    features, clips = prediction.features, prediction.clips
    assert features is not None, "only predictions of videos can be drawn"
    assert clips.completed_NPTKC is not None and clips.attention_time_NT is not None
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(prediction.source).stem
    frames = read_frames(Path(prediction.source), len(features.frame_sec_T))
    caption = f"{prediction.label}  {prediction.probability:.0%}"
    attention_T = clips.attention_time_NT[0]
    duration_sec = float(features.frame_sec_T[-1] - features.frame_sec_T[0])
    fps = (len(features.frame_sec_T) - 1) / duration_sec if duration_sec > 0 else 8.0
    written = [
        write_overlay(
            folder / f"{stem}_overlay.mp4",
            frames.rgb_THWC,
            while_present(clips.completed_NPTKC[0], clips.visible_NPTK[0]),
            clips.visible_NPTK[0],
            skeleton,
            caption,
            attention_T,
            fps,
        )
    ]
    figure = attention_over_time(frames.rgb_THWC, features.frame_sec_T.tolist(), attention_T, caption)
    written.append(folder / f"{stem}_time.png")
    figure.savefig(written[-1], dpi=110)
    if clips.attention_scene_NS is not None and clips.gate_N is not None:
        assert features.scene_tokens_FSD is not None
        num_frames, num_cells, _ = features.scene_tokens_FSD.shape
        side = round(num_cells**0.5)
        shown = scene_frame_indices(len(features.frame_sec_T), num_frames)
        figure = attention_over_scene(
            frames.rgb_THWC[shown],
            clips.attention_scene_NS[0].reshape(num_frames, side, side),
            features.frame_sec_T[shown].tolist(),
            f"{caption}, gate {clips.gate_N[0]:.2f}",
        )
        written.append(folder / f"{stem}_scene.png")
        figure.savefig(written[-1], dpi=110)
    return written


def while_present(completed_PTKC: np.ndarray, visible_PTK: np.ndarray) -> np.ndarray:
    """A copy with NaN where a person is not there to be drawn: before first and after last being seen."""
    seen_PT = visible_PTK.any(axis=2)
    began_PT = np.maximum.accumulate(seen_PT, axis=1)
    goes_on_PT = np.maximum.accumulate(seen_PT[:, ::-1], axis=1)[:, ::-1]
    return np.where((began_PT & goes_on_PT)[..., None, None], completed_PTKC, np.nan)
