"""Skeleton layouts: joint names, bones and left/right pairs. Data only.

Sources: coco17 is COCO keypoints and the order of YOLOv8-pose; kinect20 is the Kinect v1 of UTD-MHAD (others number
the joints of its trunk the other way round); ntu25 is the Kinect v2 of NTU RGB+D; penn13 is Penn Action; jhmdb15 is
JHMDB's puppet; body25 and coco18 are OpenPose's; halpe26 is AlphaPose's; blazepose33 and hand21 are MediaPipe's.

A layout that a file brings with it, such as DeepLabCut's, is made by `own_layout`; it travels with the store and the
checkpoint as data (`to_data`, `layout_from`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

_OPENPOSE_BONES = (
    _LIMB_BONES + "neck-nose neck-left_shoulder neck-right_shoulder nose-left_eye nose-right_eye "
    "left_eye-left_ear right_eye-right_ear "
)
_TOES = (
    "left_ankle-left_heel left_ankle-left_big_toe left_big_toe-left_small_toe "
    "right_ankle-right_heel right_ankle-right_big_toe right_big_toe-right_small_toe"
)
_OPENPOSE_ARMS = "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
COCO18 = _layout(
    "coco18",
    _OPENPOSE_ARMS + "right_hip right_knee right_ankle left_hip left_knee left_ankle "
    "right_eye left_eye right_ear left_ear",
    _OPENPOSE_BONES + "neck-left_hip neck-right_hip",
)
BODY25 = _layout(
    "body25",
    _OPENPOSE_ARMS + "mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle "
    "right_eye left_eye right_ear left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe "
    "right_heel",
    _OPENPOSE_BONES + "neck-mid_hip mid_hip-left_hip mid_hip-right_hip " + _TOES,
)
HALPE26 = _layout(
    "halpe26",
    " ".join(COCO17.joints) + " head neck mid_hip left_big_toe right_big_toe left_small_toe right_small_toe "
    "left_heel right_heel",
    _LIMB_BONES
    + "head-neck neck-left_shoulder neck-right_shoulder neck-mid_hip mid_hip-left_hip mid_hip-right_hip "
    "head-nose nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear " + _TOES,
)
BLAZEPOSE33 = _layout(
    "blazepose33",
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "left_mouth right_mouth left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
    "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_heel right_heel left_foot_index right_foot_index",
    _LIMB_BONES
    + _TRUNK_BONES
    + "nose-left_eye_inner left_eye_inner-left_eye left_eye-left_eye_outer left_eye_outer-left_ear "
    "nose-right_eye_inner right_eye_inner-right_eye right_eye-right_eye_outer right_eye_outer-right_ear "
    "left_mouth-right_mouth nose-left_mouth left_ear-left_shoulder right_ear-right_shoulder "
    "left_wrist-left_pinky left_wrist-left_index left_wrist-left_thumb left_pinky-left_index "
    "right_wrist-right_pinky right_wrist-right_index right_wrist-right_thumb right_pinky-right_index "
    "left_ankle-left_heel left_heel-left_foot_index left_ankle-left_foot_index "
    "right_ankle-right_heel right_heel-right_foot_index right_ankle-right_foot_index",
)
HAND21 = _layout(
    "hand21",
    "wrist thumb_cmc thumb_mcp thumb_ip thumb_tip index_mcp index_pip index_dip index_tip middle_mcp middle_pip "
    "middle_dip middle_tip ring_mcp ring_pip ring_dip ring_tip pinky_mcp pinky_pip pinky_dip pinky_tip",
    "wrist-thumb_cmc thumb_cmc-thumb_mcp thumb_mcp-thumb_ip thumb_ip-thumb_tip wrist-index_mcp index_mcp-index_pip "
    "index_pip-index_dip index_dip-index_tip index_mcp-middle_mcp middle_mcp-middle_pip middle_pip-middle_dip "
    "middle_dip-middle_tip middle_mcp-ring_mcp ring_mcp-ring_pip ring_pip-ring_dip ring_dip-ring_tip "
    "ring_mcp-pinky_mcp wrist-pinky_mcp pinky_mcp-pinky_pip pinky_pip-pinky_dip pinky_dip-pinky_tip",
)

LAYOUTS = {
    layout.name: layout
    for layout in (
        COCO17,
        PENN13,
        JHMDB15,
        KINECT20,
        NTU25,
        BODY25,
        COCO18,
        HALPE26,
        BLAZEPOSE33,
        HAND21,
    )
}
OWN = "own"  # begins the name of a layout that a file brought with it


def generic_layout(num_joints: int) -> SkeletonLayout:
    """Joints of which nothing is known: no bones, no pairs, so that mirroring a clip leaves their order alone."""
    joints = tuple(f"joint{i}" for i in range(num_joints))
    return SkeletonLayout(name=f"{GENERIC}{num_joints}", joints=joints, bones=(), flip_pairs=())


def layout_of_size(num_joints: int, num_coordinates: int) -> SkeletonLayout:
    """The layout that has so many joints and is usual in so many coordinates; the generic one where none is.

    Other bodies of 17, 15 or 25 joints are common, 3D ones of 17 and 15 and 2D ones of 25 above all.
    """
    flat = (COCO17, PENN13, JHMDB15, COCO18, HALPE26, BLAZEPOSE33)
    usual = (KINECT20, NTU25) if num_coordinates == 3 else flat
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


def own_layout(joints: Sequence[str], bones: Iterable[tuple[int, int]] = ()) -> SkeletonLayout:
    """The layout of joints that a file names itself; left and right are told by their names.

    Its name holds a digest of the joints and bones, so that two layouts of one name are one layout.
    """
    names, bones = tuple(joints), tuple((int(a), int(b)) for a, b in bones)
    digest = hashlib.blake2b(repr((names, bones)).encode(), digest_size=4).hexdigest()
    return SkeletonLayout(
        name=f"{OWN}{len(names)}-{digest}", joints=names, bones=bones, flip_pairs=sided_pairs(names)
    )


def sided_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) of joints whose names differ by their side alone: left_ear and right_ear, wingL and wingR.

    >>> sided_pairs(["legL4", "nose", "legR4", "r_eye", "l_eye", "tail"])
    ((0, 2), (4, 3))
    """
    index = {name: i for i, name in enumerate(names)}
    sides = [
        (r"left", "right"),
        (r"Left", "Right"),
        (r"LEFT", "RIGHT"),
        (r"(?<![A-Za-z])L(?![a-z])", "R"),
        (r"(?<![A-Za-z])l(?![a-z])", "r"),
        (r"(?<=[a-z0-9])L(?![a-z])", "R"),
        (r"^L(?=[A-Z_ ])", "R"),
    ]
    pairs: dict[int, int] = {}
    for name, i in index.items():
        for left, right in sides:
            other = re.sub(left, right, name, count=1)
            if other != name and other in index and i not in pairs:
                pairs[i] = index[other]
    return tuple(pairs.items())


def part_of(layout: SkeletonLayout, joints: Sequence[str]) -> SkeletonLayout:
    """Some joints of a layout, in their own order, with the bones between them; the layout itself where it is that."""
    if tuple(joints) == layout.joints:
        return layout
    index = {joint: i for i, joint in enumerate(joints)}
    ends = ((layout.joints[a], layout.joints[b]) for a, b in layout.bones)
    return own_layout(joints, [(index[a], index[b]) for a, b in ends if a in index and b in index])


def places_in(layout: SkeletonLayout, other: SkeletonLayout) -> list[int | None]:
    """For each joint of `other` the place of the joint of the same name in `layout`; None where it has none."""
    index = {joint: i for i, joint in enumerate(layout.joints)}
    return [index.get(joint) for joint in other.joints]


def to_data(layout: SkeletonLayout) -> dict[str, Any] | None:
    """What a store or checkpoint keeps of a layout beside its name; None where the name says it all."""
    if not layout.name.startswith(OWN):
        return None
    return {"joints": list(layout.joints), "bones": [list(bone) for bone in layout.bones]}


def layout_from(name: str, data: Mapping[str, Any] | None) -> SkeletonLayout:
    """The layout of a store or checkpoint: by its name, or of the data beside it.

    Raises:
        InputError: no such layout.
    """
    if data is None:
        return layout_named(name)
    return own_layout(data["joints"], [(a, b) for a, b in data["bones"]])
