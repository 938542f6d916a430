"""Skeleton layouts: joint names, bones and left/right pairs. Data only.

Sources: coco17 is COCO keypoints and the order of YOLOv8-pose; kinect20 is the Kinect v1 of UTD-MHAD (others number
the joints of its trunk the other way round); ntu25 is the Kinect v2 of NTU RGB+D; penn13 is Penn Action; jhmdb15 is
JHMDB's puppet.
"""

import re
from dataclasses import dataclass

from harray.errors import InputError

GENERIC = "generic"


@dataclass(frozen=True, kw_only=True)
class SkeletonLayout:
    """Names and topology of a set of joints.

    `bones` are (parent, child) joint indices; `flip_pairs` are (left, right) joint indices that change places
    when a clip is mirrored.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """`keypoints[flip_order]` is the order of joints after mirroring."""
        order = list(range(self.num_joints))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)

    @property
    def limbs(self) -> tuple[tuple[int, ...], ...]:
        """Joints that are hidden together when a limb is occluded: every distal chain of bones, by side."""
        chains = []
        for names in (("elbow", "wrist", "hand"), ("knee", "ankle", "foot")):
            for side in ("left", "right"):
                chain = tuple(
                    i
                    for i, joint in enumerate(self.joints)
                    if joint.startswith(side) and any(name in joint for name in names)
                )
                chains.append(chain)
        return tuple(chain for chain in chains if chain)


def _layout(name: str, joints: str, bones: str) -> SkeletonLayout:
    """Build a layout from a joint list and `parent-child` words; left/right pairs follow from the names."""
    names = tuple(joints.split())
    index = {joint: i for i, joint in enumerate(names)}
    pairs = tuple(
        (i, index["right" + joint.removeprefix("left")])
        for joint, i in index.items()
        if joint.startswith("left")
    )
    ends = (word.split("-") for word in bones.split())
    return SkeletonLayout(
        name=name, joints=names, bones=tuple((index[a], index[b]) for a, b in ends), flip_pairs=pairs
    )


_LIMB_BONES = (
    "left_shoulder-left_elbow left_elbow-left_wrist right_shoulder-right_elbow right_elbow-right_wrist "
    "left_hip-left_knee left_knee-left_ankle right_hip-right_knee right_knee-right_ankle "
)
_TRUNK_BONES = (
    "left_shoulder-right_shoulder left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip "
)
_KINECT_ENDS = "left_wrist-left_hand right_wrist-right_hand left_ankle-left_foot right_ankle-right_foot "

COCO17 = _layout(
    "coco17",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    _LIMB_BONES + _TRUNK_BONES + "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear "
    "left_ear-left_shoulder right_ear-right_shoulder",
)
PENN13 = _layout(
    "penn13",
    "head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip "
    "left_knee right_knee left_ankle right_ankle",
    _LIMB_BONES + _TRUNK_BONES + "left_shoulder-head right_shoulder-head",
)
JHMDB15 = _layout(
    "jhmdb15",
    "neck belly face right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow right_knee "
    "left_knee right_wrist left_wrist right_ankle left_ankle",
    _LIMB_BONES
    + "neck-face neck-belly neck-left_shoulder neck-right_shoulder belly-left_hip belly-right_hip",
)
KINECT20 = _layout(
    "kinect20",
    "head shoulder_center spine hip_center left_shoulder left_elbow left_wrist left_hand right_shoulder "
    "right_elbow right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee "
    "right_ankle right_foot",
    _LIMB_BONES + _KINECT_ENDS + "shoulder_center-head spine-shoulder_center hip_center-spine "
    "shoulder_center-left_shoulder shoulder_center-right_shoulder hip_center-left_hip hip_center-right_hip",
)
NTU25 = _layout(
    "ntu25",
    "spine_base spine_mid neck head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle "
    "right_foot spine_shoulder left_hand_tip left_thumb right_hand_tip right_thumb",
    _LIMB_BONES
    + _KINECT_ENDS
    + "spine_base-spine_mid spine_mid-spine_shoulder spine_shoulder-neck neck-head "
    "spine_shoulder-left_shoulder spine_shoulder-right_shoulder spine_base-left_hip spine_base-right_hip "
    "left_hand-left_hand_tip left_wrist-left_thumb right_hand-right_hand_tip right_wrist-right_thumb",
)

LAYOUTS = {layout.name: layout for layout in (COCO17, PENN13, JHMDB15, KINECT20, NTU25)}


def generic_layout(num_joints: int) -> SkeletonLayout:
    """Joints of which nothing is known: no bones, no pairs, so that mirroring a clip leaves their order alone."""
    joints = tuple(f"joint{i}" for i in range(num_joints))
    return SkeletonLayout(name=f"{GENERIC}{num_joints}", joints=joints, bones=(), flip_pairs=())


def layout_of_size(num_joints: int, num_coordinates: int) -> SkeletonLayout:
    """The layout that has so many joints and is usual in so many coordinates; the generic one where none is.

    Other bodies of 17, 15 or 25 joints are common, 3D ones of 17 and 15 and 2D ones of 25 above all.
    """
    usual = (KINECT20, NTU25) if num_coordinates == 3 else (COCO17, PENN13, JHMDB15)
    fitting = [layout for layout in usual if layout.num_joints == num_joints]
    return fitting[0] if fitting else generic_layout(num_joints)


def layout_named(name: str) -> SkeletonLayout:
    """The layout of that name, such as coco17, or generic21 for any 21 joints.

    Raises:
        InputError: no such layout.
    """
    if found := re.fullmatch(rf"{GENERIC}([1-9][0-9]{{0,2}})", name):
        return generic_layout(int(found[1]))
    if name not in LAYOUTS:
        raise InputError(
            f"skeleton layout {name!r}: expected one of {', '.join(LAYOUTS)}, or {GENERIC}N for any N joints"
        )
    return LAYOUTS[name]
