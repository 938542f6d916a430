"""Whether joints lie as a layout says: neighbours along its bones near each other.

Letters: M people, T frames, V joints, C coordinates, B bones.
"""

from collections.abc import Sequence

import numpy as np

from harray.interchange.annotations import Annotation
from harray.interchange.conventions import is_marked
from harray.skeleton import SkeletonLayout

TOO_LONG = (
    0.36  # mean bone by the size of its body; bodies have 0.1 to 0.3, joints in a wrong order 0.4 to 0.6
)
MIN_SEEN = 0.3  # score of joints that are measured
SAMPLED = 50  # clips


def order_messages(annotations: Sequence[Annotation], layout: SkeletonLayout) -> list[str]:
    """A message where the joints hardly lie as the layout says."""
    if not layout.bones:
        return []
    sample = annotations[:: max(1, len(annotations) // SAMPLED)]
    ratios = [ratio for each in sample if (ratio := bone_share(each, layout)) is not None]
    if not ratios or (typical := float(np.median(ratios))) < TOO_LONG:
        return []
    return [
        f"a bone of {layout.name} is {typical:.0%} of the body's size on average, much for a body: are the joints "
        "in another "
        f"order? --skeleton generic takes them without names"
    ]


def bone_share(annotation: Annotation, layout: SkeletonLayout) -> float | None:
    """Mean length of bones by the size of the body, the median over people and frames; None where hardly any is "
    "seen."""
    keypoints_MTVC = annotation.keypoints_MTVC.astype(np.float64)
    seen_MTV = ~is_marked(keypoints_MTVC)
    if annotation.scores_MTV is not None:
        seen_MTV &= annotation.scores_MTV > MIN_SEEN
    starts, ends = np.array(layout.bones).T
    both_MTB = seen_MTV[..., starts] & seen_MTV[..., ends]
    is_body_MT = both_MTB.sum(axis=-1) >= min(4, len(starts))
    if not is_body_MT.any():
        return None
    keypoints, seen, both = keypoints_MTVC[is_body_MT], seen_MTV[is_body_MT], both_MTB[is_body_MT]
    away = np.linalg.norm(keypoints[:, starts] - keypoints[:, ends], axis=-1)
    lengths = np.where(both, away, 0).sum(axis=-1) / both.sum(axis=-1)
    high = np.where(seen[..., None], keypoints, -np.inf).max(axis=1)
    low = np.where(seen[..., None], keypoints, np.inf).min(axis=1)
    sizes = (high - low).max(axis=-1)
    return float(np.median(lengths[sizes > 0] / sizes[sizes > 0])) if (sizes > 0).any() else None
