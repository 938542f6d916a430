"""What shapes the features of a clip, and the identity that follows from it."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from harray.config import to_dict
from harray.poses.config import PosesConfig
from harray.scenes.config import NONE, ScenesConfig
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


def clip_id(content: str, settings: str) -> str:
    """32 hexadecimal digits: which bytes, extracted how. The file's name has no part in it.

    Args:
        content: digest of the video's bytes.
        settings: of `Provenance.digest`.
    """
    return hashlib.blake2b(f"{settings} {content}".encode(), digest_size=16).hexdigest()
