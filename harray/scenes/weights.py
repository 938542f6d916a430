"""Which scene weights: an explicit path, ImageNet's from the cache or their official home, random ones, or none."""

import hashlib
from pathlib import Path

from harray.downloads import Release, fetch, sha256_of, whereabouts
from harray.errors import InputError
from harray.networks.checkpoints import names_in
from harray.scenes.config import IMAGENET, NONE, RANDOM, ScenesConfig

KEY, LAST_KEY = "scenes.weights", "layer4.2.conv3.weight"
RANDOM_RECIPE = 1  # raise it when random weights of the same seed become others

# torchvision ResNet50_Weights.IMAGENET1K_V1; the first digits of the digest stand in the file's name
OFFICIAL = Release(
    name="resnet50-0676ba61.pth",
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
)


def resolve_scene_weights(weights: str) -> Path:
    """Path of the state dict for `scenes.weights`, downloaded if necessary.

    Raises:
        InputError: no such file, or a download that failed or is not what it should be.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path.absolute()
    if weights == IMAGENET:
        return fetch(OFFICIAL, KEY)
    raise InputError(f"{KEY}={weights}: no such file; expected a path, {IMAGENET}, {RANDOM} or {NONE}")


def check_scene_weights(weights: str) -> None:
    """Refuse a file that is no ResNet-50 before anything heavy starts; loading it checks the rest.

    Raises:
        InputError: as `resolve_scene_weights`, or the file is no state dict of torchvision's ResNet-50.
    """
    if weights not in (NONE, RANDOM) and LAST_KEY not in names_in(path := resolve_scene_weights(weights)):
        raise InputError(
            f"{KEY}={path}: not a state dict of torchvision's ResNet-50 (it has no {LAST_KEY}); "
            f"expected a path to one, {IMAGENET}, {RANDOM} or {NONE}"
        )


def locate_scene_weights(weights: str) -> str:
    """Where the weights would come from, in words; fetches nothing.

    Raises:
        InputError: as `resolve_scene_weights`, but for downloads.
    """
    if weights in (NONE, RANDOM):
        return {NONE: "none: no scene branch", RANDOM: "random, from a seed"}[weights]
    if weights == IMAGENET and not Path(weights).is_file():
        return whereabouts(OFFICIAL)
    return str(resolve_scene_weights(weights))


def scene_weights_digest(config: ScenesConfig) -> str:
    """SHA-256 of the weights' bytes, or of what determines them.

    Raises:
        InputError: as `resolve_scene_weights`.
    """
    if config.weights == NONE:
        return NONE
    if config.weights == RANDOM:
        return hashlib.sha256(f"random recipe {RANDOM_RECIPE} seed {config.seed}".encode()).hexdigest()
    return sha256_of(resolve_scene_weights(config.weights))
