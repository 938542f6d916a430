"""OpenPose's two bodies of 25 joints: BODY_25, and the experimental BODY_25B, which other tools write too.

No file says which it is. The right order is the one in which neighbours of a body lie near each other; BODY_25B is
brought into the order of body25, the middle of its hips as mid_hip, without the top of its head.

Letters: M people, T frames, V joints.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from harray.interchange.formats.clips import FoundClip
from harray.skeleton import BODY25, COCO17

ORDER_B = (
    *COCO17.joints,
    *(
        "neck",
        "head",
        "left_big_toe",
        "left_small_toe",
        "left_heel",
        "right_big_toe",
        "right_small_toe",
        "right_heel",
    ),
)
MUCH_SHORTER = 0.7  # the summed length of bones in one order by that in the other
NEIGHBOURS = [
    (BODY25.joints[a], BODY25.joints[b])
    for a, b in BODY25.bones
    if not {"mid_hip", "neck"} & {BODY25.joints[a], BODY25.joints[b]}
]
MIN_SEEN = 0.3  # score of joints that are measured


def settled(clips: Sequence[FoundClip]) -> list[FoundClip]:
    """Clips of 25 joints in the order of body25, whichever of the two they were in."""
    lengths = [_lengths(clip) for clip in clips if clip.layout == BODY25]
    usual, other = np.sum(lengths, axis=0) if lengths else (0.0, 0.0)
    if not other or other >= MUCH_SHORTER * usual:
        return list(clips)
    return [_from_b(clip) if clip.layout == BODY25 else clip for clip in clips]


def _lengths(clip: FoundClip) -> np.ndarray:
    """Summed lengths of bones in the order of body25 and in that of BODY_25B, of joints that are seen."""
    return np.array([_length(clip, BODY25.joints), _length(clip, ORDER_B)])


def _length(clip: FoundClip, order: Sequence[str]) -> float:
    ends = np.array([[order.index(a), order.index(b)] for a, b in NEIGHBOURS])
    points, scores = clip.keypoints_MTVC, clip.scores_MTV
    assert scores is not None
    both = (scores[..., ends] > MIN_SEEN).all(-1)
    away = np.linalg.norm(points[..., ends[:, 0], :] - points[..., ends[:, 1], :], axis=-1)
    return float(away[both].mean()) if both.any() else 0.0


def _from_b(clip: FoundClip) -> FoundClip:
    hips = [ORDER_B.index("left_hip"), ORDER_B.index("right_hip")]
    places = [ORDER_B.index(joint) if joint in ORDER_B else 0 for joint in BODY25.joints]
    middle = BODY25.joints.index("mid_hip")
    assert clip.scores_MTV is not None
    keypoints, scores = clip.keypoints_MTVC[..., places, :], clip.scores_MTV[..., places]
    keypoints[..., middle, :] = clip.keypoints_MTVC[..., hips, :].mean(axis=-2)
    scores[..., middle] = clip.scores_MTV[..., hips].min(axis=-1)
    keypoints[..., middle, :] *= (scores[..., middle] > 0)[..., None]
    said = (
        "the joints lie as in BODY_25B, not BODY_25: put into the order of body25, mid_hip between the hips"
    )
    return dataclasses.replace(clip, keypoints_MTVC=keypoints, scores_MTV=scores, said=(*clip.said, said))
