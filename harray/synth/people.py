"""Actors: proportions, skin and hair are the actor's; clothes change from clip to clip."""

from dataclasses import dataclass

import numpy as np

from harray.synth.draw import Appearance, Color
from harray.synth.figure import Body

SKINS: tuple[Color, ...] = ((244, 208, 178), (228, 182, 142), (205, 152, 112), (164, 112, 78), (118, 78, 54))
HAIRS: tuple[Color, ...] = (
    (36, 26, 22),
    (74, 48, 30),
    (120, 80, 44),
    (190, 150, 84),
    (92, 88, 86),
    (140, 56, 34),
)
CLOTHES: tuple[Color, ...] = (
    (200, 38, 44), (38, 72, 170), (24, 120, 70), (236, 190, 40), (242, 240, 236), (34, 34, 40),
    (120, 44, 130), (236, 120, 40), (60, 160, 200), (120, 74, 44), (232, 150, 170), (50, 58, 92),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Actor:
    name: str
    body: Body
    skin: Color
    hair: Color
    long_hair: bool


def make_actor(seed: int, index: int) -> Actor:
    """The actor of that index in the set of that seed; the same whoever asks."""
    rng = np.random.default_rng([seed, index, 11])
    mean, vary = Body(), lambda value, share: value * rng.uniform(1 - share, 1 + share)
    body = Body(
        torso=vary(mean.torso, 0.05),
        shoulder=vary(mean.shoulder, 0.12),
        hip=vary(mean.hip, 0.12),
        upper_arm=vary(mean.upper_arm, 0.06),
        forearm=vary(mean.forearm, 0.06),
        thigh=vary(mean.thigh, 0.05),
        shin=vary(mean.shin, 0.05),
        head=vary(mean.head, 0.08),
        girth=rng.uniform(0.88, 1.16),
    )
    skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
    return Actor(
        name=f"actor{index:03d}", body=body, skin=skin, hair=hair, long_hair=bool(rng.random() < 0.4)
    )


def dress(actor: Actor, rng: np.random.Generator, background: np.ndarray) -> Appearance:
    """Clothes that stand out from the mean colour of the background `[3]`, and from each other."""
    order = [CLOTHES[i] for i in rng.permutation(len(CLOTHES))]
    clear = [color for color in order if np.linalg.norm(np.array(color) - background) > 90] or order
    shirt = clear[0]
    trousers = next(
        (color for color in clear[1:] if np.linalg.norm(np.subtract(color, shirt)) > 90), clear[-1]
    )
    long_sleeves, shorts = rng.random() < 0.4, rng.random() < 0.4
    colors = {
        "skin": actor.skin,
        "hair": actor.hair,
        "shirt": shirt,
        "upper_arm": shirt,
        "forearm": shirt if long_sleeves else actor.skin,
        "thigh": trousers,
        "shin": actor.skin if shorts else trousers,
        "shoes": ((245, 245, 245), (40, 36, 36), (180, 40, 40))[rng.integers(3)],
    }
    return Appearance(colors=colors, long_hair=actor.long_hair, head=actor.body.head, girth=actor.body.girth)
