"""What a config leaves open and the training clips, or the want of labels, decide."""

import dataclasses

import torch

from harray.features.config import FeaturesConfig
from harray.features.tensors import (
    UNKNOWN_LABEL,
    ClipTensors,
    normalised,
    poses_read,
    without_false_tracks,
)
from harray.training.config import LearningConfig
from harray.training.floors import ties_of
from harray.training.mirroring import USUAL_PROBABILITY, try_mirroring


def as_used(learning: LearningConfig) -> LearningConfig:
    """Where labels are not used, the config without what only they could teach: the scene, and whether to mirror."""
    if learning.training.use_labels:
        return learning
    augmentation = learning.features.augmentation
    if augmentation.mirror_probability is None:
        augmentation = dataclasses.replace(augmentation, mirror_probability=USUAL_PROBABILITY)
    return dataclasses.replace(
        learning,
        features=dataclasses.replace(learning.features, augmentation=augmentation),
        model=dataclasses.replace(learning.model, cfn=dataclasses.replace(learning.model.cfn, enabled=False)),
    )


def decided(features: FeaturesConfig, train: ClipTensors) -> tuple[FeaturesConfig, list[str]]:
    """The config with what it leaves open decided by the training clips, and a line for each decision."""
    augmentation = features.augmentation
    if augmentation.mirror_probability is not None or not augmentation.enabled:
        return features, []
    test = try_mirroring(normalised(train, features), ties_of(train), train.layouts, len(train.classes))
    augmentation = dataclasses.replace(augmentation, mirror_probability=test.probability)
    return dataclasses.replace(features, augmentation=augmentation), [str(test)]


def num_people_of(clips: ClipTensors, features: FeaturesConfig) -> int:
    """How many people the model looks at together: as many as most clips of some class show, false tracks apart."""
    shown = [without_false_tracks(part, features).confidence_NPTK > 0 for part in poses_read(clips)]
    people_N = torch.cat([part.any(dim=3).any(dim=2).sum(dim=1) for part in shown])
    labels = [label for label in clips.labels_N.unique() if label >= 0] or [UNKNOWN_LABEL]
    return max(1, *(int(people_N[clips.labels_N == label].median()) for label in labels))
