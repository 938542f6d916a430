"""The actions: which motion, in which scenes, with which object.

No single cue tells them apart, so that pose and scene are both needed:

    motion              actions that share it                    told apart by
    hand_up / waving    raise_hand, wave_hand                    a small movement of one forearm
    hand_at_mouth /     think, brush_teeth                       a small movement of one forearm
      brushing
    running             run_treadmill, jog_street, dribble_ball  scene and object
    arm_wheel           arm_circles, swim_crawl                  scene
    lifting             lift_barbell, lift_box                   object only
    jumping_jack        jumping_jacks                            pose; its scenes belong to others too
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harray.synth import motions
from harray.synth.figure import Motion


@dataclass(frozen=True, kw_only=True)
class Action:
    name: str
    motion: Callable[[np.ndarray, np.random.Generator], Motion]
    scenes: tuple[str, ...]
    object: str | None = None
    yaw_deg: tuple[float, float]  # range of the camera's side, either sign


ACTIONS = tuple(
    Action(name=name, motion=motion, scenes=tuple(scenes.split()), object=thing, yaw_deg=yaw)
    for name, motion, scenes, thing, yaw in (
        ("raise_hand", motions.hand_up, "room street", None, (0, 35)),
        ("wave_hand", motions.waving, "room street", None, (0, 35)),
        ("think", motions.hand_at_mouth, "room gym", None, (0, 30)),
        ("brush_teeth", motions.brushing, "room gym", None, (0, 30)),
        ("run_treadmill", motions.running, "gym", "treadmill", (30, 60)),
        ("jog_street", motions.running, "street", None, (30, 60)),
        ("dribble_ball", motions.running, "field", "ball", (30, 60)),
        ("arm_circles", motions.arm_wheel, "gym", None, (25, 55)),
        ("swim_crawl", motions.arm_wheel, "pool", None, (25, 55)),
        ("lift_barbell", motions.lifting, "gym", "barbell", (0, 35)),
        ("lift_box", motions.lifting, "gym", "box", (0, 35)),
        ("jumping_jacks", motions.jumping_jack, "field pool", None, (0, 30)),
    )
)
ACTION_NAMES = tuple(action.name for action in ACTIONS)
