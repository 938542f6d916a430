"""Augmentation as skeleton pipelines have it: numpy, one clip after another. What a batch at once is measured against.

The same changes by the same config as `features.augment`, written the ordinary way: one generator for all, a step
that its chance passes over costs nothing, and each step is vectorised over the clip.

Letters: N clips, P people, T frames, K joints, C coordinates.
"""

import math

import numpy as np

from harray.features.config import AugmentationConfig
from harray.skeleton import SkeletonLayout

Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # input, visible, target, known


def augment_one(
    keypoints_PTKC: np.ndarray,
    visible_PTK: np.ndarray,
    config: AugmentationConfig,
    layout: SkeletonLayout,
    rng: np.random.Generator,
) -> Sample:
    """One clip's variant; arguments stay as they are."""
    target, observed = keypoints_PTKC, visible_PTK
    if rng.random() < (config.mirror_probability or 0.0):
        target, observed = target[:, :, layout.flip_order], observed[:, :, layout.flip_order]
        target[..., 0] *= -1
    if rng.random() < config.swap_people_probability:
        order = rng.permutation(len(target))
        target, observed = target[order], observed[order]
    target = target @ _linear_map(config, target.shape[-1], rng)
    target, observed = _resampled(target, observed, _positions(config, target.shape[1], rng))
    visible = _hidden(observed, config, layout, rng)
    noisy = target
    if config.noise:
        noisy = target + config.noise * rng.standard_normal(target.shape, np.float32)
    if rng.random() < config.misplace_probability:
        wrong = rng.random(visible.shape, np.float32) < rng.random() * config.misplace_share
        noisy = noisy + (config.misplaced * wrong)[..., None] * rng.standard_normal(target.shape, np.float32)
        observed = observed & ~wrong.any()
    return noisy * visible[..., None], visible, target, observed


def _linear_map(config: AugmentationConfig, num_coordinates: int, rng: np.random.Generator) -> np.ndarray:
    """Rotation, size and proportions, `[C, C]`."""
    planes = [(0, 1, config.rotation_deg)]
    if num_coordinates == 3:
        planes += [(0, 2, config.turn_deg), (1, 2, config.turn_deg)]
    whole = np.eye(num_coordinates, dtype=np.float32)
    for first, second, greatest_deg in planes:
        angle = math.radians(rng.uniform(-greatest_deg, greatest_deg))
        turn = np.eye(num_coordinates, dtype=np.float32)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = math.sin(angle), -math.sin(angle)
        whole = whole @ turn
    size = 1 + rng.uniform(-config.scale, config.scale)
    proportions = 1 + rng.uniform(-config.shear, config.shear, num_coordinates)
    return (whole * (size * proportions)).astype(np.float32)


def _positions(config: AugmentationConfig, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """`[T]` source positions in frames: a part of the clip at another speed."""
    length = (1 - config.time_crop * rng.random()) * (1 + rng.uniform(-config.speed, config.speed))
    start = rng.uniform(0, 1 - length) if length < 1 else (1 - length) / 2
    positions = np.linspace(start, start + length, num_frames) * (num_frames - 1)
    return positions.clip(0, num_frames - 1)


def _resampled(
    keypoints_PTKC: np.ndarray, visible_PTK: np.ndarray, positions_T: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lower_T = positions_T.astype(np.int64)
    upper_T = np.minimum(lower_T + 1, keypoints_PTKC.shape[1] - 1)
    weight_T1 = (positions_T - lower_T).astype(np.float32)[:, None]
    near_high_T1 = weight_T1 > 0.5
    low_seen, high_seen = visible_PTK[:, lower_T], visible_PTK[:, upper_T]
    seen = np.where(near_high_T1, high_seen, low_seen)
    weight = np.where(low_seen & high_seen, weight_T1, near_high_T1)[..., None]
    low, high = keypoints_PTKC[:, lower_T], keypoints_PTKC[:, upper_T]
    return (low + (high - low) * weight) * seen[..., None], seen


def _hidden(
    observed_PTK: np.ndarray, config: AugmentationConfig, layout: SkeletonLayout, rng: np.random.Generator
) -> np.ndarray:
    """Observed joints less random joints, joints throughout, limbs, spans of frames and people."""
    num_people, num_frames, num_joints = observed_PTK.shape
    visible = observed_PTK.copy()
    if rng.random() < config.hide_probability:
        visible &= rng.random(visible.shape, np.float32) >= rng.random() * config.hide_share
    if rng.random() < config.hide_joint_probability:
        num_hidden = int(rng.random() * config.hide_joint_share * num_joints)
        for person in visible:
            person[:, rng.permutation(num_joints)[:num_hidden]] = False
    for limb in layout.limbs:
        for person in np.flatnonzero(rng.random(num_people) < config.hide_limb_probability):
            first, last = _span(num_frames, min(1.0, 2 * config.hide_span_share), rng)
            visible[person, first:last, limb] = False
    if rng.random() < config.hide_span_probability:
        first, last = _span(num_frames, config.hide_span_share, rng)
        visible[:, first:last] = False
    if rng.random() < config.hide_person_probability:
        visible[1:] = False
    return visible


def _span(num_frames: int, greatest_share: float, rng: np.random.Generator) -> tuple[int, int]:
    length = rng.random() * greatest_share
    start = rng.random() * (1 - length)
    return round(start * num_frames), round((start + length) * num_frames)
