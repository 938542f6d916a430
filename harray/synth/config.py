"""What to render. Imports no heavy library."""

from dataclasses import dataclass

WIDTH_PX, HEIGHT_PX = 320, 240
FPS = 25.0
MIN_SEC, MAX_SEC = 2.0, 4.0


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """A set of procedural videos; the same config gives the same videos on any number of workers."""

    clips_per_action: int = 20  # at least 3: every action stands in train, val and test
    num_actors: int = 15  # people in the set (at most one per clip of an action); each belongs to one split
    seed: int = 0
    occluder_share: float = 0.2  # of the clips: something passes in front of the actor
    second_person_share: float = 0.2  # of the clips: a smaller second person stands at the side
