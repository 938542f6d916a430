"""Parts of what an evaluation finds, as values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """One row of the per-class table."""

    label: str
    precision: float
    recall: float
    f1: float
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A clip whose predicted class is not its label."""

    path: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class OcclusionCurve:
    """Top-1 against how much is hidden; one value per share."""

    hidden_shares: tuple[float, ...]
    top1: Mapping[str, tuple[float, ...]]  # by what fills the hidden joints: with_pcm, without_pcm


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Mean errors on hidden joints in body sizes, by what fills them: pcm, hold, linear, spline."""

    num_joints: int  # hidden ones whose truth is known
    error: Mapping[str, float]
    error_seen: Mapping[
        str, float
    ]  # of the joints that are seen at some other time of the clip; {} if none is


@dataclass(frozen=True, kw_only=True)
class AttentionView:
    """CFN's attention in one frame of a clip."""

    path: str
    frame_index: int  # in the video
    attention_GG: np.ndarray  # over the scene's grid, 1 = even
    box_4: np.ndarray  # x0, y0, x1, y1 of the region of interest, px


@dataclass(frozen=True, kw_only=True)
class ObjectAttention:
    """Mean attention on an object's region, 1 = even, and one clip of either side to look at."""

    object: str
    on_object: float  # in the clips that have it
    on_its_place: float  # at the same place about the actor, in the same scene without an object
    without: tuple[str, ...]  # labels of these
    num_clips: int
    look_with: AttentionView
    look_without: AttentionView
