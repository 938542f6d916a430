"""Non-maximum suppression: the pose head's many boxes to one for each person.

Letters: B frames of a batch, A anchors, N people of a frame.
"""

import numpy as np

from harray.networks.spec import Output, on_host
from harray.poses.boxes import iou

MAX_OVERLAP = 0.7  # IoU above which two boxes are one person (ultralytics' default)
MAX_FOUND = 50  # people per frame


def nms(output: Output, min_confidence: float) -> list[np.ndarray]:
    """People of every frame, the most confident first.

    Only what is confident enough leaves the device, all frames of the batch at once.

    Args:
        output: float32, as `PoseNetwork` gives it.
        min_confidence: of a box, in [0, 1].

    Returns:
        per frame float32 [N, 4 + 1 + 51]: x1 y1 x2 y2 px, confidence, then x px, y px, confidence of 17 joints.
    """
    is_final = has_nms_inside(output.shape)
    scores_BA = output[..., 4] if is_final else output[:, 4]
    sure_BA = scores_BA > min_confidence
    frame_M, anchor_M = (
        sure_BA.nonzero() if isinstance(sure_BA, np.ndarray) else sure_BA.nonzero(as_tuple=True)
    )
    rows_MD = output[frame_M, anchor_M] if is_final else output[frame_M, :, anchor_M]
    rows, frames = on_host(rows_MD), on_host(frame_M)
    pick = _without_class if is_final else _best_boxes
    return [pick(rows[frames == frame]) for frame in range(len(output))]


def has_nms_inside(shape: tuple[int, ...]) -> bool:
    """Whether an output of that shape is of a head with nms inside."""
    return shape[-1] == 4 + 1 + 1 + 51


def _without_class(rows: np.ndarray) -> np.ndarray:
    """Rows of a head that needs no nms (x1 y1 x2 y2 score class joints)."""
    ordered = rows[np.argsort(-rows[:, 4], kind="stable")][:MAX_FOUND]
    return np.delete(ordered, 5, axis=1)


def _best_boxes(rows: np.ndarray) -> np.ndarray:
    """Greedy suppression of rows whose boxes are centre, width, height: the best box, then the best of those that
    overlap no better one by more than `MAX_OVERLAP`, ..."""
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    left, kept = np.arange(len(rows)), []
    while len(left) and len(kept) < MAX_FOUND:
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[iou(boxes[best], boxes[left]) <= MAX_OVERLAP]
    return np.concatenate([boxes[kept], rows[kept, 4:]], axis=1)
