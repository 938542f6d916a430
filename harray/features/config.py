"""How keypoints become the model's input, and how training clips are augmented."""

from dataclasses import dataclass, field
from typing import Literal

from harray.config import Fraction


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of training clips. Lengths are in body sizes: 1 is about a person's height."""

    enabled: bool = True
    """Whether training clips are varied at all."""
    mirror_probability: Fraction | None = None
    """Probability of mirroring a clip, left and right joints exchanged. None: 0.5 where a probe of the training
    clips finds that mirrored copies help, else 0."""
    rotation_deg: float = 15.0
    """Largest rotation in the image plane, degrees; in 3D about the viewing axis."""
    turn_deg: float = 15.0
    """Largest rotation about the two other axes, degrees; 3D keypoints only."""
    scale: float = 0.1
    """Largest relative change of size."""
    shear: float = 0.05
    """Largest relative change of one axis against the others."""
    time_crop: Fraction = 0.25
    """Largest share of the clip's time that is cropped."""
    speed: float = 0.25
    """Largest relative change of speed."""
    noise: float = 0.005
    """Largest standard deviation of the noise added to visible joints, body sizes; drawn anew for each clip."""
    misplace_probability: Fraction = 0.1
    """Probability that joints of a clip are misplaced, as by a detector that takes one for another."""
    misplace_share: Fraction = 0.5
    """Largest share of joints that are misplaced in such a clip."""
    misplaced: float = 0.2
    """Standard deviation of a misplaced joint's error, body sizes."""
    swap_people_probability: Fraction = 0.0
    """Probability of shuffling the people of a clip; for interactions in which either person may lead."""
    hide_nothing_probability: Fraction = 0.0
    """Probability that a clip keeps all its joints; the `hide_*` settings below apply to the other clips."""
    hide_probability: Fraction = 0.7
    """Probability of hiding random joints, each frame by itself."""
    hide_share: Fraction = 0.8
    """Largest share of joints hidden so; drawn anew for each clip."""
    hide_joint_probability: Fraction = 0.1
    """Probability of hiding some of each person's joints throughout the clip."""
    hide_joint_share: Fraction = 0.8
    """Largest share of joints hidden throughout."""
    hide_limb_probability: Fraction = 0.3
    """Probability, for each limb, of hiding it for a span of frames."""
    hide_span_probability: Fraction = 0.4
    """Probability of hiding everybody for a span of frames."""
    hide_span_share: Fraction = 0.4
    """Longest such span, as a share of the clip; limbs are hidden for up to twice as long."""
    hide_person_probability: Fraction = 0.05
    """Probability of hiding everybody but the clip's first visible person."""
    token_dropout: Fraction = 0.15
    """Probability of dropping each scene token."""
    token_noise: float = 0.3
    """Standard deviation of the noise on scene tokens, in standard deviations of the channel; one draw per clip
    and channel."""
    scene_replaced_probability: Fraction = 0.1
    """Probability of replacing the whole scene of a clip by noise, so that the pose has to decide."""


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Which keypoints count as visible, and the augmentation."""

    min_confidence: Fraction = 0.3
    """Confidence in [0, 1] below which a joint counts as hidden."""
    min_presence: Fraction = 0.4
    """People with fewer visible joints than this share of the most visible person's are left out as false tracks."""
    keypoints: Literal["all", "2d", "3d"] = "all"
    """Which keypoints the model reads where a store holds both 2D and 3D ones."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Random changes of training clips."""
