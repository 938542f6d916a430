"""Motions as functions of phase: how the segments' directions move, before body, camera and scene.

Every function takes the phase in cycles `[T]` and a generator for the style of the clip (amplitudes, tempo of
small movements are drawn from it), and returns a Motion performed with the right hand; mirroring comes later.
"""

import numpy as np

from harray.synth.figure import Angles, Motion

TURN = 2 * np.pi


def pair(pitch, spread, num_frames: int) -> Angles:
    """`[T, 2]` degrees from numbers or `[T]` arrays."""
    return np.stack(np.broadcast_arrays(pitch, spread, np.zeros(num_frames))[:2], -1).astype(float)


def standing(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    """Upright with hanging arms, breathing and swaying a little."""
    num = len(phase)
    sway = np.sin(TURN * (0.25 * phase + rng.random()))
    arms, legs = rng.uniform(8, 16), rng.uniform(2, 6)
    segments = {}
    for side in ("left", "right"):
        segments[f"{side}_upper_arm"] = pair(rng.uniform(-6, 4) + sway, arms, num)
        segments[f"{side}_forearm"] = pair(rng.uniform(6, 16) + sway, arms - 6, num)
        segments[f"{side}_thigh"] = pair(1.0, legs, num)
        segments[f"{side}_shin"] = pair(-2.0, legs, num)
    head = pair(rng.uniform(-4, 6) + 1.5 * sway, rng.uniform(-8, 8), num)
    return Motion(num_frames=num, segments=segments, torso=pair(1.0, 0.8 * sway, num), head=head)


def with_right_arm(motion: Motion, upper: Angles, fore: Angles) -> Motion:
    motion.segments |= {"right_upper_arm": upper, "right_forearm": fore}
    return motion


def hand_up(
    phase: np.ndarray, rng: np.random.Generator, swing_deg: tuple[float, float] = (0.0, 0.0)
) -> Motion:
    """The right hand beside the head, held still or, with a swing of the forearm, waving."""
    num, motion = len(phase), standing(phase, rng)
    upper = pair(rng.uniform(20, 45), rng.uniform(50, 75), num)
    wave = np.sin(TURN * 1.7 * phase)
    fore = pair(180 + rng.uniform(-8, 2), rng.uniform(0, 22) + rng.uniform(*swing_deg) * wave, num)
    return with_right_arm(motion, upper, fore)


def waving(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    return hand_up(phase, rng, swing_deg=(30, 42))


def hand_at_mouth(
    phase: np.ndarray, rng: np.random.Generator, rub_deg: tuple[float, float] = (0.0, 0.0)
) -> Motion:
    """The right hand in front of mouth and chin, held still or, with a swing of the forearm, rubbing."""
    num, motion = len(phase), standing(phase, rng)
    rub = rng.uniform(*rub_deg) * np.sin(TURN * 1.9 * phase)
    upper = pair(rng.uniform(26, 42), rng.uniform(12, 22) + 0.35 * rub, num)
    fore = pair(rng.uniform(158, 170), rng.uniform(-44, -34) + rub, num)
    return with_right_arm(motion, upper, fore)


def brushing(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    return hand_at_mouth(phase, rng, rub_deg=(18, 25))


def running(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    """On the spot: the camera goes along."""
    num, motion = len(phase), standing(phase, rng)
    stride, kick, elbow = rng.uniform(30, 42), rng.uniform(55, 80), rng.uniform(70, 95)
    for side, shift in (("left", 0.0), ("right", 0.5)):
        swing = np.sin(TURN * (phase + shift))
        thigh = 12 + stride * swing
        knee = 12 + kick * (0.5 + 0.5 * np.cos(TURN * (phase + shift + 0.03))) ** 1.5
        motion.segments[f"{side}_thigh"] = pair(thigh, 2.0, num)
        motion.segments[f"{side}_shin"] = pair(thigh - knee, 1.0, num)
        motion.segments[f"{side}_upper_arm"] = pair(-10 - stride * swing, 14, num)
        motion.segments[f"{side}_forearm"] = pair(-10 - stride * swing + elbow, -4, num)
    motion.torso = pair(rng.uniform(5, 11), 0.0, num)
    motion.lift = 0.03 * np.abs(np.sin(TURN * phase))
    return motion


def arm_wheel(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    """Both arms turn in great circles, half a turn apart, as in front crawl."""
    num, motion = len(phase), standing(phase, rng)
    bend, spread = rng.uniform(8, 22), rng.uniform(14, 26)
    for side, shift in (("left", 0.0), ("right", 0.5)):
        turn = 360 * (0.8 * phase + shift)
        motion.segments[f"{side}_upper_arm"] = pair(turn, spread, num)
        motion.segments[f"{side}_forearm"] = pair(turn + bend, spread - 6, num)
    motion.torso = pair(rng.uniform(4, 12), 4 * np.sin(TURN * 0.8 * phase), num)
    return motion


def lifting(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    """From a squat, hands before the shins, up to the arms stretched overhead, and back."""
    num, motion = len(phase), standing(phase, rng)
    up = 0.5 - 0.5 * np.cos(TURN * 0.45 * phase)  # 0 squatting, 1 overhead
    down = np.clip(1 - 2 * up, 0, 1)
    depth, width = rng.uniform(55, 75), rng.uniform(10, 18)
    for side in ("left", "right"):
        motion.segments[f"{side}_thigh"] = pair(depth * down, 10, num)
        motion.segments[f"{side}_shin"] = pair(-0.6 * depth * down, 6, num)
        motion.segments[f"{side}_upper_arm"] = pair(10 + 155 * up, width, num)
        motion.segments[f"{side}_forearm"] = pair(18 + 155 * up + 75 * np.sin(np.pi * up), 0.4 * width, num)
    motion.torso = pair(4 + 28 * down, 0.0, num)
    motion.head = pair(4 - 14 * up, 0.0, num)
    return motion


def jumping_jack(phase: np.ndarray, rng: np.random.Generator) -> Motion:
    num, motion = len(phase), standing(phase, rng)
    wide = 0.5 - 0.5 * np.cos(TURN * 0.9 * phase)
    reach, legs = rng.uniform(125, 150), rng.uniform(16, 24)
    for side in ("left", "right"):
        motion.segments[f"{side}_upper_arm"] = pair(4.0, 12 + reach * wide, num)
        motion.segments[f"{side}_forearm"] = pair(8.0, 8 + (reach + 8) * wide, num)
        motion.segments[f"{side}_thigh"] = pair(2.0, 3 + legs * wide, num)
        motion.segments[f"{side}_shin"] = pair(-4.0, 3 + (legs - 2) * wide, num)
    motion.lift = 0.05 * np.abs(np.sin(TURN * 0.9 * phase))
    return motion
