"""What is seen and said at one frame, as plain values: what a page, a drawing or a JSON line shows.

    {"time_sec", "height_px", "width_px",
     "verdict": "ok", "unsure", "nobody" or "waiting",
     "tracks": [{"track": 3 (null: the whole picture),
                 "box": [x1, y1, x2, y2] in px (null where they are not found in this frame),
                 "keypoints": [[x, y, confidence] or null, ...] in px, joints of the model's layout,
                 "completed": [false, ...]: true where the joint was not seen and is the model's,
                 "verdict", "label": null unless the verdict is ok, "probability": of the label or the likeliest,
                 "top": [{"label", "probability"}, ...] smoothed, the likeliest first,
                 "scene_attention": [[...], ...] (on request; a row per row of the grid, sums to 1)}]}

Letters: K joints, C coordinates, S scene tokens.
"""

import math
from typing import Any

import numpy as np

from harray.live.decisions import Standing, verdict_of
from harray.live.traits import ModelTraits
from harray.live.windows import Moment, Sighting


def view_of(
    moment: Moment | None,
    size_hw: tuple[int, int],
    standings: list[Standing],
    traits: ModelTraits,
    *,
    top: int,
    with_attention: bool,
) -> dict[str, Any]:
    """The view of one frame, and of those who are in it or were a moment ago."""
    people = moment.people if moment else {}
    tracks = []
    for standing in standings:
        sighting = None if standing.track is None else people.get(standing.track)
        said = _said(standing, top)
        if with_attention and standing.attention_S is not None:
            said["scene_attention"] = _on_grid(standing.attention_S, traits.num_scene_frames)
        tracks.append({"track": standing.track, **_body(sighting, standing, traits.min_confidence), **said})
    anybody = any(standing.track is not None for standing in standings)
    return {
        "time_sec": moment.time_sec if moment else None,
        "height_px": size_hw[0],
        "width_px": size_hw[1],
        "verdict": verdict_of(standings, anybody),
        "tracks": tracks,
    }


def _said(standing: Standing, top: int) -> dict[str, Any]:
    likeliest = sorted(standing.probabilities.items(), key=lambda item: -item[1])[:top]
    probability = standing.probability
    return {
        "verdict": standing.verdict,
        "label": standing.label,
        "probability": None if probability is None else round(probability, 4),
        "top": [{"label": label, "probability": round(value, 4)} for label, value in likeliest],
    }


def _body(sighting: Sighting | None, standing: Standing, min_confidence: float) -> dict[str, Any]:
    """Box, joints, and which of them are the model's."""
    completed_KC = None if standing.track is None else standing.completed_KC
    if sighting is None:
        joints = [] if completed_KC is None else [_point(place, 0.0) for place in completed_KC]
        return {"box": None, "keypoints": joints, "completed": [True] * len(joints)}
    seen_K = sighting.keypoints_KC1[:, -1] >= min_confidence
    filled_KC = _moved(completed_KC, sighting.keypoints_KC1[:, :-1], seen_K)
    places = zip(sighting.keypoints_KC1, filled_KC, seen_K, strict=True)
    return {
        "box": [round(float(x), 1) for x in sighting.box_4],
        "keypoints": [
            _point(joint[:-1], float(joint[-1])) if seen else _point(filled, float(joint[-1]))
            for joint, filled, seen in places
        ],
        "completed": [bool(not seen) for seen in seen_K],
    }


def _moved(completed_KC: np.ndarray | None, joints_KC: np.ndarray, seen_K: np.ndarray) -> np.ndarray:
    """The completed joints, moved as the seen ones moved since; NaN where there are none."""
    if completed_KC is None or not np.isfinite(completed_KC).any():
        return np.full_like(joints_KC, math.nan)
    if not seen_K.any():
        return completed_KC
    return completed_KC + np.median(joints_KC[seen_K] - completed_KC[seen_K], axis=0)


def _point(place: np.ndarray, confidence: float) -> list[float] | None:
    if not np.isfinite(place).all():
        return None
    return [*(round(float(x), 1) for x in place), round(confidence, 3)]


def _on_grid(attention_S: np.ndarray, num_scene_frames: int) -> list[list[float]]:
    """The scene frames' mean, rows by columns."""
    cells = attention_S.reshape(num_scene_frames, -1).sum(axis=0)
    side = math.isqrt(len(cells))
    return np.round(cells.reshape(side, side), 4).tolist()
