"""An annotation of any length to a clip of the feature store's shape.

Letters: M people of the file, P people kept, T source frames, N frames kept, V joints, C coordinates.
"""

import dataclasses
from collections.abc import Collection

import numpy as np

from harray.poses.annotations import Annotation
from harray.videos.frames import uniform_indices


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledClip:
    """The features of an annotation, as a video's would be."""

    frame_index_N: np.ndarray  # int32, source frames
    frame_sec_N: np.ndarray  # float64, their times
    keypoints_PNVC1: np.ndarray  # float32, coordinates as in the file, then confidence in [0, 1]


def sample_clip(
    annotation: Annotation,
    *,
    num_frames: int,
    max_people: int,
    fps: float,
    people_ranked: bool = False,
    origin_joints: Collection[int] = (),
) -> SampledClip:
    """Uniformly spaced frames of the best people; who is absent keeps a place with confidence 0.

    Args:
        fps: of the source video, where the annotation gives no times.
        people_ranked: the best person stands first already; otherwise people are put in order of how much is seen
            of them, and of equals the order stays.
        origin_joints: that are always 0, for the coordinates start at them: seen, not missing.
    """
    chosen_N = uniform_indices(annotation.keypoints_MTVC.shape[1], num_frames)
    keypoints = with_confidence(annotation.keypoints_MTVC, annotation.scores_MTV, origin_joints)
    order = np.arange(len(keypoints)) if people_ranked else people_order(keypoints[..., -1])
    kept = keypoints[order[:max_people]][:, chosen_N]
    padded = np.zeros((max_people, *kept.shape[1:]), np.float32)
    padded[: len(kept)] = kept
    index_N, sec_N = chosen_N, chosen_N / fps
    if annotation.frame_index_T is not None:
        index_N = annotation.frame_index_T[chosen_N]
        sec_N = index_N / fps
    if annotation.frame_sec_T is not None:
        sec_N = annotation.frame_sec_T[chosen_N]
    return SampledClip(
        frame_index_N=index_N.astype(np.int32),
        frame_sec_N=sec_N.astype(np.float64),
        keypoints_PNVC1=padded,
    )


def with_confidence(
    keypoints_MTVC: np.ndarray, scores_MTV: np.ndarray | None, origin_joints: Collection[int] = ()
) -> np.ndarray:
    """Coordinates and confidence, float32 `[M, T, V, C + 1]`.

    A joint whose coordinates or score are not finite is missing, for this is how trackers mark what they lost; it
    becomes 0. A person of whom all coordinates of a frame are 0 is absent there. Without scores, a joint counts as
    seen unless its coordinates are all 0 and it is not one of `origin_joints`. Scores beyond 1, which heatmaps give,
    count as 1.
    """
    with np.errstate(over="ignore"):
        coordinates = keypoints_MTVC.astype(np.float32)
    is_known = np.isfinite(coordinates).all(-1, keepdims=True)
    coordinates = np.where(is_known, coordinates, 0)
    if scores_MTV is None:
        is_origin_V1 = np.isin(np.arange(coordinates.shape[2]), list(origin_joints))[:, None]
        confidence = coordinates.any(-1, keepdims=True) | is_origin_V1
    else:
        confidence = np.where(np.isfinite(scores_MTV), scores_MTV, 0).clip(0, 1)[..., None]
    is_present = coordinates.any(axis=(2, 3), keepdims=True)
    confidence = np.where(is_known & is_present, confidence, 0).astype(np.float32)
    return np.concatenate([coordinates, confidence], axis=-1)


def people_order(confidence_MTV: np.ndarray) -> np.ndarray:
    """int `[M]`: the people by how much is seen of them, best first: their confidence summed over frames and joints.

    Not by its mean while they are there: a tracker's fragments of a few frames are often as sure as whoever acts.
    """
    return np.argsort(-confidence_MTV.sum(axis=(1, 2), dtype=np.float64), kind="stable")
