"""Which joints can be seen: in the frame, not behind the body, another person, an object or an occluder."""

import numpy as np

from harray.synth.config import HEIGHT_PX, WIDTH_PX
from harray.synth.draw import LIMBS
from harray.synth.figure import INDEX, NUM_JOINTS

# Parts that can hide a joint: the limbs, and torso and skull as capsules; radii in standing heights.
_PARTS = (
    *((limb.start, limb.end, (limb.start_radius + limb.end_radius) / 2) for limb in LIMBS),
    ("pelvis", "neck", 0.085),
    ("chin", "crown", 0.05),
)
_START = np.array([INDEX[start] for start, _, _ in _PARTS])
_END = np.array([INDEX[end] for _, end, _ in _PARTS])
_RADIUS = np.array([radius for _, _, radius in _PARTS])
_FACE = tuple(range(5))
_MARGIN = 0.035  # a part hides what lies this much farther away, in standing heights


def in_frame(keypoints_TKC: np.ndarray) -> np.ndarray:
    """True `[T, K]` where a joint lies within the image."""
    x, y = np.moveaxis(keypoints_TKC, -1, 0)
    return (x >= 0) & (x < WIDTH_PX) & (y >= 0) & (y < HEIGHT_PX)


def outside_boxes(keypoints_TKC: np.ndarray, box_T4: np.ndarray) -> np.ndarray:
    """True `[T, K]` where a joint is not within the frame's box; a NaN box contains nothing."""
    x, y = np.moveaxis(keypoints_TKC, -1, 0)
    x0, y0, x1, y1 = (box_T4[:, i, None] for i in range(4))
    return ~((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))


def not_behind_parts(joints_TK2, near_TK, points_TM2, part_near_TM, scale_px: float, own: bool) -> np.ndarray:
    """True `[T, K]` where no part of the figure `points_TM2` covers a joint and is nearer to the camera.

    `own` says that the joints are the figure's: a joint is not hidden by the parts that end in it.
    """
    start, end = points_TM2[:, None, _START], points_TM2[:, None, _END]
    axis = end - start
    share = ((joints_TK2[:, :, None] - start) * axis).sum(-1) / np.maximum((axis**2).sum(-1), 1e-9)
    share = np.clip(share, 0, 1)
    distance = np.linalg.norm(joints_TK2[:, :, None] - (start + share[..., None] * axis), axis=-1)
    depth = (1 - share) * part_near_TM[:, None, _START] + share * part_near_TM[:, None, _END]
    covered = (distance < 0.9 * scale_px * _RADIUS) & (depth > near_TK[:, :, None] + _MARGIN)
    if own:
        joint = np.arange(NUM_JOINTS)[:, None]
        covered &= ~((joint == _START) | (joint == _END))
        covered[:, _FACE, -1] = False  # the face lies on the skull; `facing` decides
        covered[:, 5:7, -2] = covered[:, 5:7, -2] & (near_TK[:, 5:7] < depth[:, 5:7, -2] - 0.09)
        covered[:, 11:13, -2] = False  # the hips are within the torso
    return ~covered.any(-1)


def facing(near_TM: np.ndarray, head_radius: float) -> np.ndarray:
    """True `[T, 5]` for nose, eyes and ears on the side of the head that faces the camera."""
    relative = (near_TM[:, :5] - near_TM[:, [INDEX["skull"]]]) / head_radius
    return relative > np.array([0.0, 0.05, 0.05, -0.3, -0.3])
