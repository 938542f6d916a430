"""An articulated figure: segment directions -> joints in space -> joints in the image.

Axes of the body, in units of standing height: x forward, y up, z to the person's left. A segment's direction is
(pitch, spread) in degrees: pitch 0 hangs down, 90 points forward, 180 up; spread turns it away from the middle.

    Motion (directions over time) + Body (proportions) --points_in_space--> [T, M, 3] --Camera--> [T, M, 2] px

T frames, M points of the figure: the 17 COCO joints first, then the helper points of `POINTS`.
"""

from dataclasses import dataclass, field

import numpy as np

from harray.skeleton import COCO17

HELPERS = ("neck", "pelvis", "skull", "crown", "chin", "left_hand", "right_hand", "left_toe", "right_toe")
POINTS = COCO17.joints + HELPERS
INDEX = {name: i for i, name in enumerate(POINTS)}
NUM_JOINTS = COCO17.num_joints
ANKLE_HEIGHT = 0.045  # of the ankle above the sole

Angles = np.ndarray  # [T, 2] degrees (pitch, spread)


@dataclass(frozen=True, kw_only=True)
class Body:
    """Lengths in units of standing height (Drillis & Contini 1966, as means)."""

    torso: float = 0.285  # hips to shoulders
    shoulder: float = 0.118  # half the width between the shoulder joints
    hip: float = 0.062
    upper_arm: float = 0.172
    forearm: float = 0.150
    thigh: float = 0.245
    shin: float = 0.246
    head: float = 0.066  # radius
    girth: float = 1.0  # factor on the thickness of all parts


@dataclass(kw_only=True)
class Motion:
    """Segment directions over time; absent segments hang. Angles in degrees, `lift` in standing heights."""

    num_frames: int
    segments: dict[str, Angles] = field(default_factory=dict)  # "left_thigh" -> [T, 2]
    torso: Angles | None = None  # (pitch forward, roll to the left)
    head: Angles | None = None  # (nod down, turn to the left)
    lift: np.ndarray | None = None  # [T] height of the lower foot above the ground

    def angles(self, segment: str) -> Angles:
        return self.segments.get(segment, np.zeros((self.num_frames, 2)))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Orthographic view. `yaw_deg` 0 looks the person in the face, positive shows more of the right side."""

    yaw_deg: float
    tilt_deg: float  # positive looks down
    scale_px: float  # standing height
    center_px: tuple[float, float]  # where the middle between the feet stands on the ground

    def project(self, points_TM3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels `[T, M, 2]` and nearness to the camera `[T, M]` in standing heights (larger is nearer)."""
        yaw, tilt = np.deg2rad([self.yaw_deg, self.tilt_deg])
        x, y, z = np.moveaxis(points_TM3, -1, 0)
        near = x * np.cos(yaw) - z * np.sin(yaw)
        right = z * np.cos(yaw) + x * np.sin(yaw)
        up = y * np.cos(tilt) - near * np.sin(tilt)
        pixels = np.stack(
            [self.center_px[0] + self.scale_px * right, self.center_px[1] - self.scale_px * up], -1
        )
        return pixels, near * np.cos(tilt) + y * np.sin(tilt)


def direction(angles_T2: Angles, side: float) -> np.ndarray:
    """Unit vectors `[T, 3]` of a segment; `side` is 1 on the person's left, -1 on the right."""
    pitch, spread = np.deg2rad(np.moveaxis(angles_T2, -1, 0))
    return np.stack(
        [np.sin(pitch) * np.cos(spread), -np.cos(pitch) * np.cos(spread), side * np.sin(spread)], -1
    )


def mirrored(motion: Motion) -> Motion:
    """The same motion with left and right exchanged."""
    swap = {"left": "right", "right": "left"}
    sign = np.array([1.0, -1.0])
    return Motion(
        num_frames=motion.num_frames,
        segments={
            swap[name[: name.index("_")]] + name[name.index("_") :]: a for name, a in motion.segments.items()
        },
        torso=None if motion.torso is None else motion.torso * sign,
        head=None if motion.head is None else motion.head * sign,
        lift=motion.lift,
    )


def points_in_space(body: Body, motion: Motion) -> np.ndarray:
    """Points `[T, M, 3]`; the lower foot stands on y = `lift`, the pelvis over x = z = 0."""
    num_frames = motion.num_frames
    points = np.zeros((num_frames, len(POINTS), 3))

    def put(name: str, value: np.ndarray) -> np.ndarray:
        points[:, INDEX[name]] = value
        return value

    zero = np.zeros((num_frames, 2))
    pitch, roll = np.deg2rad(np.moveaxis(motion.torso if motion.torso is not None else zero, -1, 0))
    up = np.stack([np.sin(pitch) * np.cos(roll), np.cos(pitch) * np.cos(roll), np.sin(roll)], -1)
    across = np.stack([np.zeros(num_frames), -np.sin(roll), np.cos(roll)], -1)
    pelvis = put("pelvis", np.zeros((num_frames, 3)))
    neck = put("neck", pelvis + up * body.torso)
    for name, side in (("left", 1.0), ("right", -1.0)):
        shoulder = put(f"{name}_shoulder", neck + side * body.shoulder * across)
        elbow = put(
            f"{name}_elbow", shoulder + body.upper_arm * direction(motion.angles(f"{name}_upper_arm"), side)
        )
        reach = direction(motion.angles(f"{name}_forearm"), side)
        wrist = put(f"{name}_wrist", elbow + body.forearm * reach)
        put(f"{name}_hand", wrist + 0.055 * reach)
        hip = put(f"{name}_hip", pelvis + side * body.hip * across)
        knee = put(f"{name}_knee", hip + body.thigh * direction(motion.angles(f"{name}_thigh"), side))
        shin = motion.angles(f"{name}_shin")
        ankle = put(f"{name}_ankle", knee + body.shin * direction(shin, side))
        foot = direction(np.stack([shin[:, 0] + 80.0, np.full(num_frames, 12.0)], -1), side)
        put(f"{name}_toe", ankle + 0.085 * foot + np.array([0.0, -0.02, 0.0]))
    _put_head(put, body, motion, neck, up)
    soles = points[:, [INDEX["left_ankle"], INDEX["right_ankle"]], 1].min(axis=1) - ANKLE_HEIGHT
    lift = motion.lift if motion.lift is not None else np.zeros(num_frames)
    points[..., 1] += (lift - soles)[:, None]
    return points


def _put_head(put, body: Body, motion: Motion, neck: np.ndarray, up: np.ndarray) -> None:
    """Skull, face and ears; places on the skull in units of its radius (forward, up, to the left)."""
    angles = motion.head if motion.head is not None else np.zeros((motion.num_frames, 2))
    nod, turn = np.deg2rad(np.moveaxis(angles, -1, 0))
    forward = np.stack([np.cos(nod) * np.cos(turn), -np.sin(nod), np.cos(nod) * np.sin(turn)], -1)
    left = np.stack([-np.sin(turn), np.zeros_like(turn), np.cos(turn)], -1)
    top = np.cross(left, forward)
    skull = put("skull", neck + up * (0.05 + 1.2 * body.head) + 0.02 * forward)
    places = {
        "nose": (1.05, -0.12, 0.0),
        "left_eye": (0.85, 0.18, 0.36),
        "right_eye": (0.85, 0.18, -0.36),
        "left_ear": (-0.05, 0.02, 0.88),
        "right_ear": (-0.05, 0.02, -0.88),
        "crown": (-0.05, 0.85, 0.0),
        "chin": (0.45, -0.95, 0.0),
    }
    for name, (f, u, s) in places.items():
        put(name, skull + body.head * (f * forward + u * top + s * left))
