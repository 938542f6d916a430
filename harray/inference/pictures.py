"""Pictures of one explanation: overlay video, attention over time, attention over the scene.

Legend: P people, T frames, K joints, C coordinates, H W pixels, F scene frames, G grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from harray.inference.lettering import text_mask
from harray.skeleton import SkeletonLayout

OBSERVED_RGB = ((64, 192, 255), (120, 230, 120))  # one colour a person
COMPLETED_RGB = (255, 120, 40)
MIN_HEIGHT_PX = 480
CAPTION_PX = 34
TICKS_PER_SEC = 90_000
FALLBACK_FPS = 8.0  # where the frames' times do not say


def draw_skeletons(
    frame_HWC: np.ndarray, keypoints_PKC: np.ndarray, visible_PK: np.ndarray, skeleton: SkeletonLayout
) -> np.ndarray:
    """One frame with the people on it: observed joints filled, completed joints as orange rings.

    A bone with a completed end is drawn thin and orange.

    Args:
        frame_HWC: uint8 RGB.
        keypoints_PKC: px in this frame; NaN where there is nothing to draw.
        visible_PK: True = observed.
    """
    canvas = frame_HWC.copy()
    size = max(2, round(canvas.shape[0] / 160))
    for person, (keypoints_KC, visible_K) in enumerate(zip(keypoints_PKC, visible_PK, strict=True)):
        observed = OBSERVED_RGB[person % len(OBSERVED_RGB)]
        drawable_K = np.isfinite(keypoints_KC[:, :2]).all(axis=1)
        points = [tuple(map(round, point)) for point in np.nan_to_num(keypoints_KC[:, :2]).tolist()]
        for a, b in skeleton.bones:
            if drawable_K[a] and drawable_K[b]:
                both = visible_K[a] and visible_K[b]
                colour, width = (observed, size) if both else (COMPLETED_RGB, max(1, size // 2))
                cv2.line(canvas, points[a], points[b], colour, width, cv2.LINE_AA)
        for joint in np.flatnonzero(drawable_K):
            if visible_K[joint]:
                cv2.circle(canvas, points[joint], size + 1, observed, -1, cv2.LINE_AA)
            else:
                cv2.circle(canvas, points[joint], size + 2, COMPLETED_RGB, 2, cv2.LINE_AA)
    return canvas


@dataclass(frozen=True, kw_only=True)
class Film:
    """The frames of a predicted clip and what is drawn over them."""

    frames_THWC: np.ndarray
    seconds_T: np.ndarray
    """When each frame is shown in the video."""
    keypoints_PTKC: np.ndarray
    """Completed, in pixels of these frames; NaN while a person is not there."""
    visible_PTK: np.ndarray
    """True = observed."""
    attention_T: np.ndarray
    skeleton: SkeletonLayout


def write_overlay(path: Path, film: Film, caption: str) -> Path:
    """Write an H.264 video: skeletons, the caption, and the attention over time as a strip with a cursor.

    It begins with the first frame, and plays as fast as the video that the frames are of.
    """
    import av

    num_frames, height, width, _ = film.frames_THWC.shape
    scale = max(1.0, MIN_HEIGHT_PX / height)
    size = (round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    ink_HW = text_mask(caption, CAPTION_PX)
    ticks_T = _ticks(film.seconds_T)
    rate = Fraction(TICKS_PER_SEC * (num_frames - 1), ticks_T[-1]) if ticks_T[-1] else Fraction(FALLBACK_FPS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate.limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_PER_SEC)
        for t in range(num_frames):
            frame = cv2.resize(film.frames_THWC[t], size, interpolation=cv2.INTER_CUBIC)
            scaled_PKC = film.keypoints_PTKC[:, t, :, :2] * scale
            frame = draw_skeletons(frame, scaled_PKC, film.visible_PTK[:, t], film.skeleton)
            _caption(frame, ink_HW)
            _attention_strip(frame, film.attention_T, t)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = ticks_T[t], Fraction(1, TICKS_PER_SEC)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _ticks(seconds_T: np.ndarray) -> list[int]:
    """When frames are shown, from 0; evenly where their times do not rise, as of a clip shorter than its frames."""
    after_T = np.asarray(seconds_T, float) - seconds_T[0]
    if len(after_T) > 1 and not (np.diff(after_T) > 0).all():
        last = after_T[-1] if after_T[-1] > 0 else (len(after_T) - 1) / FALLBACK_FPS
        after_T = np.linspace(0, last, len(after_T))
    return (after_T * TICKS_PER_SEC).round().astype(int).tolist()


def attention_over_time(
    frames_THWC: np.ndarray, seconds_T: Sequence[float], attention_T: np.ndarray, title: str
) -> Figure:
    """Attention weights over time, with the eight frames between which the clip is divided above them."""
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    strip, curve = figure.subplots(2, 1, height_ratios=(1.1, 1.6))
    shown = np.linspace(0, len(frames_THWC) - 1, 8).round().astype(int)
    strip.imshow(np.concatenate([frames_THWC[t] for t in shown], axis=1), aspect="auto")
    strip.set_axis_off()
    strip.set_title(title)
    curve.fill_between(seconds_T, attention_T, color="#2b6cb0", alpha=0.25, step="mid")
    curve.step(seconds_T, attention_T, where="mid", color="#2b6cb0")
    curve.axhline(1 / len(attention_T), color="#a0aec0", linestyle="--", label="even attention")
    curve.set(xlabel="time (s)", ylabel="attention", ylim=(0, None))
    curve.margins(x=0)
    curve.legend(frameon=False)
    return figure


def attention_over_scene(
    frames_FHWC: np.ndarray, attention_FGG: np.ndarray, seconds_F: Sequence[float], title: str
) -> Figure:
    """Each scene frame beside itself with the attention laid on it, relative to even attention."""
    num_scene_frames, height, width, _ = frames_FHWC.shape
    figure = Figure(figsize=(7.6, 2.9 * num_scene_frames + 0.4), layout="constrained")
    rows = figure.subplots(num_scene_frames, 2, squeeze=False)
    relative_FGG = attention_FGG * attention_FGG.size  # 1 = even
    limit = max(2.0, float(relative_FGG.max()))
    for row, frame, weights, second in zip(rows, frames_FHWC, relative_FGG, seconds_F, strict=True):
        row[0].imshow(frame)
        row[0].set_title(f"{second:.2f} s")
        row[1].imshow(frame)
        heat = cv2.resize(weights.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        row[1].imshow(heat, cmap="inferno", alpha=0.6, vmin=0, vmax=limit)
        for axes in row:
            axes.set_axis_off()
    figure.colorbar(rows[-1, 1].images[-1], ax=rows[:, 1], label="attention (1 = even)", shrink=0.8)
    figure.suptitle(title)
    return figure


def explanation_card(
    frame_HWC: np.ndarray,
    attention_GG: np.ndarray | None,
    seconds_T: Sequence[float],
    attention_T: np.ndarray,
    top: Sequence[tuple[str, float]],
) -> Figure:
    """One clip on one page: a drawn frame, where the motion looked in the scene, when, and the likeliest labels."""
    height, width, _ = frame_HWC.shape
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    axes = figure.subplot_mosaic(
        [["frame", "scene", "labels"], ["time"] * 3], height_ratios=(2.6, 1), width_ratios=(1.5, 1.5, 1)
    )
    axes["frame"].imshow(frame_HWC)
    axes["frame"].set_title("seen, and completed (orange)", fontsize=9)
    axes["scene"].imshow(frame_HWC)
    if attention_GG is not None:
        heat = cv2.resize(attention_GG.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        axes["scene"].imshow(heat, cmap="inferno", alpha=0.6)
        axes["scene"].set_title("attention over the scene", fontsize=9)
    for name in ("frame", "scene"):
        axes[name].set_axis_off()
    axes["labels"].barh(range(len(top)), [probability for _, probability in top], color="#2b6cb0", alpha=0.5)
    for place, (label, probability) in enumerate(top):
        axes["labels"].text(0.02, place, f"{label}  {probability:.0%}", va="center", fontsize=9)
    axes["labels"].set(xlim=(0, 1), yticks=[], xlabel="probability")
    axes["labels"].invert_yaxis()
    axes["time"].fill_between(seconds_T, attention_T, color="#2b6cb0", alpha=0.4, step="mid")
    axes["time"].set(xlabel="time (s)", ylabel="attention", ylim=(0, None))
    axes["time"].margins(x=0)
    return figure


def _caption(frame: np.ndarray, ink_HW: np.ndarray) -> None:
    """Write the caption into the frame, white on a dark band at the top."""
    frame[:CAPTION_PX] = frame[:CAPTION_PX] // 4
    place = frame[:CAPTION_PX, 10:]
    ink = ink_HW[:, : place.shape[1], None]
    place[:, : ink.shape[1]] += ((255 - place[:, : ink.shape[1]]) * ink).astype(np.uint8)


def _attention_strip(frame: np.ndarray, attention_T: np.ndarray, now: int) -> None:
    """Draw one bar a frame along the bottom; the present frame's bar is bright."""
    height, width, _ = frame.shape
    band = 40
    frame[height - band :] = frame[height - band :] // 3
    edges = np.linspace(0, width, len(attention_T) + 1).round().astype(int)
    tops = (attention_T / max(float(attention_T.max()), 1e-9) * (band - 6)).round().astype(int)
    for t, top in enumerate(tops):
        colour = (255, 210, 60) if t == now else (110, 130, 160)
        cv2.rectangle(
            frame, (edges[t] + 1, height - 2 - int(top)), (edges[t + 1] - 2, height - 2), colour, -1
        )
