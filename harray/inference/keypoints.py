"""Completed keypoints in the types of other programs."""

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from harray.errors import InputError
from harray.inference.explain import while_present

if TYPE_CHECKING:
    from supervision import KeyPoints

    from harray.inference.predictor import Prediction


def by_frame(prediction: "Prediction") -> "list[KeyPoints]":
    """`supervision.KeyPoints` of every frame, one row a person; a person who is absent is left out.

    The confidence is 1 for an observed joint and 0 for one that was filled in.

    Raises:
        InputError: supervision is not installed, or the keypoints have other than two coordinates.
    """
    if importlib.util.find_spec("supervision") is None:
        raise InputError("keypoints as supervision.KeyPoints: supervision is not installed")
    import supervision

    completed_NPTKC, visible_PTK = prediction.clips.completed_NPTKC, prediction.clips.visible_NPTK[0]
    assert completed_NPTKC is not None, "a prediction by pose has keypoints"
    if completed_NPTKC.shape[-1] != 2:
        raise InputError(
            f"keypoints as supervision.KeyPoints: found {completed_NPTKC.shape[-1]} coordinates, expected 2"
        )
    present_PTKC = while_present(completed_NPTKC[0], visible_PTK)
    frames = []
    for t in range(present_PTKC.shape[1]):
        people = np.isfinite(present_PTKC[:, t]).all(axis=(1, 2))
        xy, seen = present_PTKC[people, t].astype(np.float32), visible_PTK[people, t]
        frames.append(supervision.KeyPoints(xy=xy, keypoint_confidence=seen.astype(np.float32), visible=seen))
    return frames
