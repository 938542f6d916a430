"""What to render. Imports no heavy library."""

from dataclasses import dataclass

WIDTH_PX, HEIGHT_PX = 320, 240
FPS = 25.0
MIN_SEC, MAX_SEC = 2.0, 4.0


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """A set of rendered videos; the same config gives the same videos on any number of workers."""

    clips_per_action: int = 20
    """Clips of each action; with 3 or more, every action is in train, val and test."""
    num_actors: int = 15
    """People in the set, each in one split only; no more than clips of an action."""
    seed: int = 0
    """Seed of everything that varies."""
    occluder_share: float = 0.2
    """Share of the clips in which something passes in front of the actor."""
    second_person_share: float = 0.2
    """Share of the clips with a smaller second person at the side."""
