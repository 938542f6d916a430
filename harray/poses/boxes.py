"""Boxes as x1 y1 x2 y2."""

import numpy as np


def overlap(box_4: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with each of N boxes, float [N]; 0 where there is no area."""
    low, high = np.maximum(box_4[:2], boxes_N4[:, :2]), np.minimum(box_4[2:], boxes_N4[:, 2:])
    shared_N = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas_N = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=-1)
    return shared_N / np.maximum(areas_N + np.prod(box_4[2:] - box_4[:2]) - shared_N, 1e-6)
