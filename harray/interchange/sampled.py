"""An annotation of any length to a clip of the feature store's shape.

Letters: M people of the file, P people kept, T source frames, N frames kept, V joints, C coordinates.
"""

import dataclasses
from collections.abc import Collection

import numpy as np

from harray.interchange.annotations import Annotation
from harray.interchange.conventions import is_marked
from harray.videos.frames import uniform_indices

SAME_POSE = 0.05  # mean distance of joints, in body sizes, under which two people are one
MOST = 0.8  # of the frames that show somebody
MIN_JOINTS = 3  # that both show, to compare people


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
            of them, of equals the order stays, and who stands there twice is taken once.
        origin_joints: that are always 0, for the coordinates start at them: seen, not missing.
    """
    chosen_N = uniform_indices(annotation.keypoints_MTVC.shape[1], num_frames)
    keypoints = with_confidence(annotation.keypoints_MTVC, annotation.scores_MTV, origin_joints)
    order = np.arange(len(keypoints)) if people_ranked else without_doubles(keypoints)
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

    A joint is missing, and becomes 0, where its score is 0 or not finite, and where its coordinates say so
    (`is_marked`), whatever the score: not finite, or a value that trackers write in their place, unless it is one of
    `origin_joints`. A person of whom that holds for all joints of a frame is absent there. Without scores, all other
    joints count as seen. Scores beyond 1, which heatmaps give, count as 1.
    """
    with np.errstate(over="ignore"):
        coordinates = keypoints_MTVC.astype(np.float32)
    is_known = ~is_marked(coordinates, origin_joints)
    coordinates = np.where(is_known[..., None], coordinates, 0)
    confidence = np.ones(is_known.shape, np.float32)
    if scores_MTV is not None:
        confidence = np.where(np.isfinite(scores_MTV), scores_MTV, 0).clip(0, 1)
    is_present = np.any(coordinates != 0, axis=(2, 3))[..., None]
    confidence = np.where(is_known & is_present, confidence, 0).astype(np.float32)
    return np.concatenate([coordinates, confidence[..., None]], axis=-1)


def without_doubles(keypoints_MTVC1: np.ndarray) -> np.ndarray:
    """int `[M']`: the people in order (`people_order`), without duplicates of people before them.

    A duplicate has the other's pose, within `SAME_POSE` of its size, in most of the frames that show the double.
    """
    kept: list[int] = []
    for person in people_order(keypoints_MTVC1[..., -1]):
        if not any(_is_double(keypoints_MTVC1[person], keypoints_MTVC1[other]) for other in kept):
            kept.append(int(person))
    return np.array(kept, np.int64)


def _is_double(keypoints_TVC1: np.ndarray, others_TVC1: np.ndarray) -> bool:
    seen_TV = keypoints_TVC1[..., -1] > 0
    both_TV = seen_TV & (others_TVC1[..., -1] > 0)
    there_T = both_TV.sum(axis=1) >= MIN_JOINTS
    if not there_T.any():
        return False
    points_TVC, mask_TV1 = keypoints_TVC1[there_T, :, :-1], seen_TV[there_T, :, None]
    high_TC = np.where(mask_TV1, points_TVC, -np.inf).max(axis=1)
    size_T = (high_TC - np.where(mask_TV1, points_TVC, np.inf).min(axis=1)).max(axis=-1)
    off_TV = np.linalg.norm(points_TVC - others_TVC1[there_T, :, :-1], axis=-1)
    off_T = np.where(both_TV[there_T], off_TV, 0).sum(axis=1) / both_TV[there_T].sum(axis=1)
    return bool((off_T < SAME_POSE * size_T).sum() > MOST * seen_TV.any(axis=1).sum())


def people_order(confidence_MTV: np.ndarray) -> np.ndarray:
    """int `[M]`: the people by how much is seen of them, best first: their confidence summed over frames and joints.

    Not by its mean while they are there: a tracker's fragments of a few frames are often as sure as whoever acts.
    """
    return np.argsort(-confidence_MTV.sum(axis=(1, 2), dtype=np.float64), kind="stable")
