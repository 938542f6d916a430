"""What somebody who imports a skeleton pickle should know of its joints before training on them."""

import numpy as np

from harray.poses.pickles import SkeletonFile
from harray.skeleton import SkeletonLayout

UNSURE = 0.3  # a score, as `features.min_confidence` is by default
MUCH = 0.3  # of the joints, under that score


def messages_about(file: SkeletonFile, layout: SkeletonLayout) -> list[str]:
    """A line for each thing that is unusual."""
    messages = []
    if not layout.bones:
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
    if (unsure := _share_unsure(file)) > MUCH:
        messages.append(
            f"{unsure:.0%} of the joints have scores under {UNSURE} and will count as hidden; where they are right "
            "nevertheless, train with a lower features.min_confidence"
        )
    return messages


def _share_unsure(file: SkeletonFile) -> float:
    """Of the joints that have a score at all."""
    scores = [each.scores_MTV for each in file.annotations if each.scores_MTV is not None]
    num_scored = sum(int((score > 0).sum()) for score in scores)
    num_unsure = sum(int(((score > 0) & (score < UNSURE)).sum()) for score in scores)
    return num_unsure / num_scored if num_scored else 0.0
