"""Warnings about the joints of a skeleton file, for whoever is going to train on them."""

import numpy as np

from harray.interchange.annotations import Annotation
from harray.interchange.conventions import MARKERS
from harray.interchange.pickles import SkeletonFile
from harray.interchange.sampled import with_confidence, without_doubles
from harray.skeleton import SkeletonLayout

UNSURE = 0.3  # a score, as `features.min_confidence` is by default
MUCH = 0.3  # of the joints, under that score


def messages_about(file: SkeletonFile, layout: SkeletonLayout) -> list[str]:
    """A line for each thing that is unusual."""
    messages = list(file.said)
    if not layout.flip_pairs:
        messages.append(
            f"skeleton {layout.name} knows no left and right: train with "
            "features.augmentation.mirror_probability=0 where they matter"
        )
    if file.origin_joints:
        names = ", ".join(layout.joints[joint] for joint in file.origin_joints)
        messages.append(f"{names}: 0 in every frame; taken for where coordinates start, not for missing")
    if empty := sum(not np.nan_to_num(each.keypoints_MTVC).any() for each in file.annotations):
        messages.append(f"{empty} clips show nobody")
    if lost := sum(not np.isfinite(each.keypoints_MTVC).all() for each in file.annotations):
        messages.append(f"{lost} clips have joints without finite coordinates; these count as missing")
    messages += _marked_beside_scores(file)
    if doubled := sum(_has_double(each.keypoints_MTVC, each.scores_MTV) for each in _with_several(file)):
        messages.append(f"{doubled} clips have people who stand there twice; each is taken once")
    if (unsure := _share_unsure(file)) > MUCH:
        messages.append(
            f"{unsure:.0%} of the joints have scores under {UNSURE} and will count as hidden; where they are right "
            "nevertheless, train with a lower features.min_confidence"
        )
    return messages


def _marked_beside_scores(file: SkeletonFile) -> list[str]:
    """Joints that have a score, but coordinates of 0 or -1 beside a body."""
    total, num_marked, surest = 0, 0, 0.0
    for each in file.annotations:
        if each.scores_MTV is None:
            continue
        found = each.keypoints_MTVC
        is_marker = np.any([(found == marker).all(-1) for marker in MARKERS], axis=0)
        is_marker[..., file.origin_joints] = False
        beside = is_marker & ~is_marker.all(-1, keepdims=True) & (each.scores_MTV > 0)
        total, num_marked = total + beside.size, num_marked + int(beside.sum())
        surest = max(surest, float(each.scores_MTV[beside].max(initial=0)))
    if not num_marked:
        return []
    return [
        f"{num_marked} joints ({num_marked / total:.1%}) lie at 0 beside a body, with scores up to {surest:.2g}; "
        "they count as missing"
    ]


def _with_several(file: SkeletonFile) -> list[Annotation]:
    return [] if file.people_ranked else [each for each in file.annotations if len(each.keypoints_MTVC) > 1]


def _has_double(keypoints_MTVC: np.ndarray, scores_MTV: np.ndarray | None) -> bool:
    return len(without_doubles(with_confidence(keypoints_MTVC, scores_MTV))) < len(keypoints_MTVC)


def _share_unsure(file: SkeletonFile) -> float:
    """Of the joints that have a score at all."""
    scores = [each.scores_MTV for each in file.annotations if each.scores_MTV is not None]
    num_scored = sum(int((score > 0).sum()) for score in scores)
    num_unsure = sum(int(((score > 0) & (score < UNSURE)).sum()) for score in scores)
    return num_unsure / num_scored if num_scored else 0.0
