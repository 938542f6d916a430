"""What shapes the features of a clip, and the identity that follows from it."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from harray.config import digest, flatten_mapping, to_dict, with_overrides
from harray.errors import InputError
from harray.poses.config import PosesConfig
from harray.scenes.config import IMAGENET, NONE, ScenesConfig
from harray.videos.config import VideosConfig
from harray.videos.picture import Needed

FEATURES_VERSION = 2  # raise it when the code gives other features for the same settings

# They stand for nothing in the features: how fast, on what (backends give the same
# or are refused), and where the weights lie (their digest stands for them).
MACHINE_FIELDS = {
    "videos": ("limit_sec",),
    "poses": ("backend", "batch_size", "gpus_per_actor", "weights"),
    "scenes": ("backend", "batch_size", "weights", "seed"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractionConfig:
    """Video to features."""

    videos: VideosConfig = dataclasses.field(default_factory=VideosConfig)
    """Frames of a video."""
    poses: PosesConfig = dataclasses.field(default_factory=PosesConfig)
    """Keypoints of people."""
    scenes: ScenesConfig = dataclasses.field(default_factory=ScenesConfig)
    """Tokens of the scene."""


def shaping_values(config: ExtractionConfig) -> dict[str, Any]:
    """The values that determine the features, beside the weights' bytes; equal on every machine.

    Raises:
        InputError: the weights' own image size cannot be read.
    """
    from harray.poses.detector import pose_image_size

    values = to_dict(config)
    values["poses"]["image_size"] = pose_image_size(config.poses)
    for room, names in MACHINE_FIELDS.items():
        for name in names:
            del values[room][name]
    if config.scenes.weights == NONE:
        values["scenes"] = {}
    return {"version": FEATURES_VERSION, **values}


def needed_pictures(config: ExtractionConfig) -> Needed:
    """How large a video's frames must be for the networks; larger ones are shrunk while they are decoded.

    Raises:
        InputError: the weights' own image size cannot be read.
    """
    from harray.poses.detector import pose_image_size
    from harray.poses.letterbox import longer_side

    scene_px = 0 if config.scenes.weights == NONE else config.scenes.image_size
    return Needed(long_px=longer_side(pose_image_size(config.poses)), short_px=scene_px)


def weights_digests(config: ExtractionConfig) -> dict[str, str]:
    """Room -> digest of the weights' bytes; downloads weights that are official and not in the cache.

    Raises:
        InputError: weights that are nowhere, or not what they should be.
    """
    from harray.poses.weights import pose_weights_digest
    from harray.scenes.weights import scene_weights_digest

    return {"poses": pose_weights_digest(config.poses.weights), "scenes": scene_weights_digest(config.scenes)}


def weights_origin(config: ExtractionConfig) -> dict[str, Any]:
    """Dotted key -> value that led to the weights here, for finding them again; files by absolute path."""
    origin: dict[str, Any] = {"scenes.seed": config.scenes.seed}
    for key, weights in (("poses.weights", config.poses.weights), ("scenes.weights", config.scenes.weights)):
        path = Path(weights).expanduser()
        origin[key] = str(path.absolute()) if path.is_file() else weights
    return origin


def dotted(shaping: dict[str, Any]) -> dict[str, Any]:
    """`shaping_values` as overrides of a config."""
    values = {name: value for name, value in flatten_mapping(shaping).items() if value is not None}
    return {name: value for name, value in values.items() if name != "version"}


def extraction_as_before(
    shaping: dict[str, Any],
    weights: dict[str, str],
    origin: dict[str, Any],
    overrides: dict[str, Any] | None = None,
) -> ExtractionConfig:
    """The config that extracts what a store's settings say.

    Args:
        overrides: dotted keys, such as `poses.weights` where the file lies elsewhere on this machine.

    Raises:
        InputError: weights that are not to be had, or whose bytes are others than the store's.
    """
    if (version := shaping.get("version", FEATURES_VERSION)) != FEATURES_VERSION:
        raise InputError(
            f"the model's store holds features of version {version}, this harray makes {FEATURES_VERSION}; "
            "extract and train again, or use the harray that made them"
        )
    found_here = _origin_here(origin, weights)
    config = with_overrides(ExtractionConfig(), {**dotted(shaping), **found_here, **(overrides or {})})
    for room, found in weights_digests(config).items():
        if found != weights.get(room):
            given = {"poses": config.poses.weights, "scenes": config.scenes.weights}[room]
            raise InputError(
                f"{room}.weights={given}: other bytes than those the model's store was extracted with; "
                f"name the file with digest {weights.get(room, 'unknown')[:12]}, {room}.weights=PATH"
            )
    return config


def _origin_here(origin: dict[str, Any], weights: dict[str, str]) -> dict[str, Any]:
    """The origin, with the official name of the same bytes in place of a file that is not on this machine."""
    from harray.poses.weights import OFFICIAL as POSE_RELEASES
    from harray.scenes.weights import OFFICIAL as IMAGENET_RELEASE

    names = {release.sha256: name for name, release in POSE_RELEASES.items()} | {
        IMAGENET_RELEASE.sha256: IMAGENET
    }
    here = dict(origin)
    for room, digest_of_bytes in weights.items():
        recorded = Path(str(origin.get(f"{room}.weights", "")))
        if recorded.is_absolute() and not recorded.exists() and digest_of_bytes in names:
            here[f"{room}.weights"] = names[digest_of_bytes]
    return here


def settings_digest(shaping: dict[str, Any], weights: dict[str, str]) -> str:
    """16 hexadecimal digits for `shaping_values` and `weights_digests` together."""
    return digest({"extraction": shaping, "weights": weights})


def clip_id(content: str, settings: str) -> str:
    """32 hexadecimal digits: which bytes, extracted how. The file's name has no part in it.

    Args:
        content: digest of the video's bytes.
        settings: of `settings_digest`.
    """
    return hashlib.blake2b(f"{settings} {content}".encode(), digest_size=16).hexdigest()
