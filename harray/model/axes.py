"""What stands along the axes of a network's weights: joints, features by their joints' names, people, classes.

By these names weights move to a network of another skeleton layout, of other classes or another number of people: what
has the same name in both has the same meaning.

Letters: K joints, C coordinates, D features, A action classes.
"""

from collections.abc import Hashable, Sequence

from harray.model.mme import MME
from harray.model.network import FusionNetwork, PoseBranch
from harray.skeleton import SkeletonLayout

Axes = dict[str, dict[int, list[Hashable]]]  # weight -> axis -> names along it; other axes are what they are


def named_axes(
    network: FusionNetwork, layouts: Sequence[SkeletonLayout | None], classes: Sequence[str]
) -> Axes:
    """The axes that have names.

    Args:
        layouts: of the network's branches.
    """
    found: Axes = {"classify_scene.weight": {0: list(classes)}}
    for member in range(network.config.mme.num_members):
        for part in ("weight", "bias"):
            found[f"classify_motion.{member}.{part}"] = {0: list(classes)}
    for prefix, branch, layout in zip(("", "second."), network.branches, layouts, strict=False):
        if layout is not None:
            found |= {f"{prefix}{name}": axes for name, axes in _of_branch(branch, layout).items()}
    return found


def _of_branch(branch: PoseBranch, layout: SkeletonLayout) -> Axes:
    num_people, _, _, num_coordinates = branch.shape
    joints: list[Hashable] = list(layout.joints)
    places: list[Hashable] = [(joint, c) for joint in joints for c in range(num_coordinates)]
    streams = stream_names(branch.mme, layout, num_coordinates)
    parts = ("mean", "median", "deviation") if branch.mme.config.medians else ("mean", "deviation")
    found: Axes = {}
    for member in range(branch.config.mme.num_members):
        encoder = f"mme.members.{member}"
        found[f"{encoder}.enter.weight"] = {1: streams}
        found[f"{encoder}.summarise.weight"] = {1: [(part, name) for part in parts for name in streams]}
        found[f"people.{member}.place_PD"] = {0: [*range(num_people)]}
    if branch.pcm is None:
        return found
    config = branch.config.pcm
    states: list[Hashable] = [("state", i) for i in range(2 * config.hidden_size)]
    vectors: list[Hashable] = [(joint, i) for joint in joints for i in range(config.refine_size)]
    near: list[Hashable] = [("near", joint, i) for joint in joints for i in range(2)]
    found |= {
        "pcm.embed.weight": {1: [*places, *joints]},
        "pcm.predict.0.weight": {1: [*states, *places, *near]},
        "pcm.predict.2.weight": {0: places},
        "pcm.predict.2.bias": {0: places},
        "pcm.refine.joint_KD": {0: joints},
    }
    for number in range(config.num_blocks):
        block = f"pcm.refine.blocks.{number}"
        found[f"{block}.squeeze.weight"] = {1: vectors}
        found[f"{block}.spread.weight"] = {0: vectors}
        found[f"{block}.spread.bias"] = {0: vectors}
    return found


def stream_names(mme: MME, layout: SkeletonLayout, num_coordinates: int) -> list[Hashable]:
    """A name for each of the D features of `MME.streams`, in their order."""
    config, joints, coordinates = mme.config, layout.joints, range(num_coordinates)
    points: list[Hashable] = [*joints, *((joints[a], joints[b]) for a, b in mme.bones)]
    names: list[Hashable] = [("place", point, c) for point in points for c in coordinates]
    names += [(what, joint) for what in ("visible", "surprise") for joint in joints]
    names += [("centre", c) for c in coordinates]
    if config.people_distances:
        names += [("apart", a, b) for a in joints for b in joints]
    if config.differences:
        names += [("moved", lag, joint, c) for lag in config.lags for joint in joints for c in coordinates]
        names += [("length", lag, point) for lag in config.lags for point in points]
        names += [("spread", window, point) for window in config.windows for point in points]
    if config.distances:
        names += [
            ("distance", frozenset((a, b))) for place, a in enumerate(joints) for b in joints[place + 1 :]
        ]
    return names
