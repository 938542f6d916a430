"""How keypoints become the model's input, and how they are varied in training."""

from dataclasses import dataclass, field
from typing import Literal

from harray.config import Fraction


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of training clips; lengths in units of the clip's own body size."""

    enabled: bool = True
    mirror_probability: Fraction | None = (
        None  # of left and right changing places; None: 0.5 where a test on the training clips finds that it helps
    )
    rotation_deg: float = 15.0  # greatest turn in the picture's plane; in 3D about the viewing axis
    turn_deg: float = 15.0  # greatest turn about the two other axes; 3D only
    scale: float = 0.1  # greatest relative change of size
    shear: float = 0.05  # greatest change of proportions between the axes
    time_crop: Fraction = 0.25  # greatest share of the clip's time that is cut away
    speed: float = 0.25  # greatest relative change of speed
    noise: float = (
        0.005  # greatest standard deviation of the error added to observed coordinates, drawn per clip
    )
    misplace_probability: Fraction = 0.1  # of misplacing a random share of the joints, as a detector does
    misplace_share: Fraction = 0.5  # greatest share of joints misplaced
    misplaced: float = 0.2  # standard deviation of a misplaced joint's error
    swap_people_probability: Fraction = 0.0  # people change places; for interactions, where neither leads
    hide_nothing_probability: Fraction = (
        0.0  # of leaving a clip's joints as they were seen; the rest is of others
    )
    hide_probability: Fraction = 0.7  # of hiding a random share of the joints
    hide_share: Fraction = 0.8  # greatest share of joints hidden, drawn per clip
    hide_joint_probability: Fraction = 0.1  # of hiding a random share of each person's joints throughout
    hide_joint_share: Fraction = 0.8  # greatest share of joints hidden throughout
    hide_limb_probability: Fraction = 0.3  # of hiding each limb for a part of the clip
    hide_span_probability: Fraction = 0.4  # of hiding everybody for a span of frames
    hide_span_share: Fraction = 0.4  # greatest share of the clip that a hidden span or limb takes
    hide_person_probability: Fraction = 0.05  # of hiding everyone but the first who is there
    token_dropout: Fraction = 0.15  # of dropping each scene token
    token_noise: float = 0.3  # standard deviations of a scene channel; one draw per clip and channel
    scene_replaced_probability: Fraction = 0.1  # of replacing a clip's whole scene by noise


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """What counts as observed, and the augmentation."""

    min_confidence: Fraction = 0.3  # in [0, 1]; a joint below it counts as hidden
    min_presence: Fraction = (
        0.4  # of the joints seen of the best seen person; who shows fewer is a false track
    )
    keypoints: Literal["all", "2d", "3d"] = "all"  # which are looked at, where the clips have both
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
