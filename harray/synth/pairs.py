"""Two actors beside each other in one scene, each at an action of their own."""

from dataclasses import dataclass, replace

import numpy as np

from harray.synth.actions import ACTIONS
from harray.synth.clips import ClipSpec, DrawnPerson, Stage, actor_on_stage, generator, num_frames, paint
from harray.synth.config import WIDTH_PX
from harray.synth.figure import INDEX
from harray.synth.scenes import background

PLACES = (0.27, 0.73)  # of the actors' middles, of the picture's width


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What distinguishes a clip of two."""

    left: ClipSpec
    right: ClipSpec
    scene: str


def pairs_of(specs: list[ClipSpec], count: int, seed: int = 0) -> list[Pair]:
    """Pairs of clips whose actions motion alone tells apart: they share a scene and hold nothing.

    Args:
        specs: to choose from, such as those of one split.
    """
    rng = np.random.default_rng([seed, 17])
    pairs = []
    while len(pairs) < count:
        left, right = (specs[i] for i in rng.choice(len(specs), 2, replace=False))
        shared = shared_scenes(left, right)
        if shared and left.actor != right.actor:
            pairs.append(Pair(left=left, right=right, scene=shared[int(rng.integers(len(shared)))]))
    return pairs


def shared_scenes(left: ClipSpec, right: ClipSpec) -> list[str]:
    """Scenes in which both actions take place, where the actions differ by their motions and need no object."""
    one, other = ACTIONS[left.action], ACTIONS[right.action]
    if one.motion is other.motion or one.object or other.object:
        return []
    return sorted({*one.scenes} & {*other.scenes})


def render_pair(pair: Pair) -> np.ndarray:
    """Frames `[T, 240, 320, 3]` uint8 RGB, as many as the longer of the two clips has."""
    length = max(num_frames(pair.left), num_frames(pair.right))
    backdrop = background(pair.scene, generator(pair.left, 2))
    people = [
        _moved(actor_on_stage(spec, length, backdrop, generator(spec, 1)), place)
        for spec, place in zip((pair.left, pair.right), PLACES, strict=True)
    ]
    stage = Stage(
        spec=pair.left,
        scene=pair.scene,
        backdrop=backdrop,
        people=tuple(people),
        thing=None,
        occluder_T4=np.full((length, 4), np.nan, np.float32),
        occluder_color=(0, 0, 0),
        light=0.8,
    )
    return paint(stage, np.arange(length))


def _moved(person: DrawnPerson, place: float) -> DrawnPerson:
    """The person with their middle at this share of the picture's width."""
    middle = person.points_TM2[:, INDEX["pelvis"], 0].mean()
    return replace(person, points_TM2=person.points_TM2 + np.array([place * WIDTH_PX - middle, 0.0]))
