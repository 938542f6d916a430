"""Boxes as x1 y1 x2 y2."""

import numpy as np


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [..., 4] with others, broadcast; 0 where there is no area."""
    low, high = np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])
    shared = (high - low).clip(0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (boxes, others)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-6)
