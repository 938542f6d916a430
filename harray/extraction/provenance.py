"""How the features of a store were made, in enough detail to make the same again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harray.config import digest, flatten_mapping, with_overrides
from harray.errors import InputError
from harray.extraction.config import (
    FEATURES_VERSION,
    ExtractionConfig,
    shaping_values,
    weights_digests,
    weights_origin,
)
from harray.networks.backends import can_run
from harray.networks.precision import AUTO, FP32
from harray.scenes.config import IMAGENET

ROOMS = ("poses", "scenes")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Settings and weights of an extraction; all empty where keypoints were imported."""

    extraction: Mapping[str, Any] = field(default_factory=dict)
    """The values that shape the features (`shaping_values`), by room, and the version of the features."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Room -> digest of its weights' bytes."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key -> value that led to the weights where they were made; a hint, no part of the identity."""

    @classmethod
    def of(cls, config: ExtractionConfig) -> "Provenance":
        """What this config makes, on this machine.

        Raises:
            InputError: weights that are nowhere, or not what they should be.
        """
        return cls(
            extraction=shaping_values(config), weights=weights_digests(config), origin=weights_origin(config)
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Provenance":
        """As a store or a checkpoint has it; earlier versions of harray knew no precision but fp32.

        Raises:
            KeyError: a part is missing.
        """
        extraction = dict(values["extraction"])
        for room in ROOMS:
            if extraction.get(room):
                extraction[room] = {"precision": FP32, **extraction[room]}
        return cls(extraction=extraction, weights=values["weights"], origin=values["origin"])

    def __bool__(self) -> bool:
        """Whether videos were extracted at all."""
        return bool(self.extraction)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits for all that decides the features of a video's bytes."""
        extraction = {**self.extraction}
        for room, precision in self.precisions.items():  # fp32 is left out: at first there was nothing else
            if precision == FP32:
                extraction[room] = {k: v for k, v in self.extraction[room].items() if k != "precision"}
        return digest({"extraction": extraction, "weights": self.weights})

    @property
    def precisions(self) -> dict[str, str]:
        """Room -> precision in which its network ran; those that took part."""
        found = {room: self.extraction.get(room, {}).get("precision") for room in ROOMS}
        return {room: precision for room, precision in found.items() if precision}

    def overrides(self) -> dict[str, Any]:
        """The settings as overrides of a config, weights as they were named."""
        return {**_dotted(self.extraction), **self.origin}

    def config(self, overrides: Mapping[str, Any] | None = None) -> ExtractionConfig:
        """The config that makes such features here.

        Args:
            overrides: dotted keys, such as `poses.weights` where the file lies elsewhere on this machine.

        Raises:
            InputError: weights that are not to be had, or whose bytes are others, or features of another version.
        """
        if (version := self.extraction.get("version", FEATURES_VERSION)) != FEATURES_VERSION:
            raise InputError(
                f"the model's store holds features of version {version}, this harray makes {FEATURES_VERSION}; "
                "extract and train again, or use the harray that made them"
            )
        here = {**_dotted(self.extraction), **_origin_here(self), **(overrides or {})}
        config = with_overrides(ExtractionConfig(), here)
        for room, found in weights_digests(config).items():
            if found != (expected := self.weights.get(room)):
                given = {"poses": config.poses.weights, "scenes": config.scenes.weights}[room]
                raise InputError(
                    f"{room}.weights={given}: other bytes than those the model's store was extracted with; "
                    f"name the file with digest {(expected or 'unknown')[:12]}, {room}.weights=PATH"
                )
        return config

    def config_for_prediction(self, overrides: Mapping[str, Any], device: str) -> ExtractionConfig:
        """As `config`, but for rooms whose precision this device, or the backend that was asked for, does not have:
        they run in the fastest that is near enough.

        Raises:
            InputError: as `config`.
        """
        config = self.config(overrides)
        settings = {"poses": config.poses, "scenes": config.scenes}
        loosened = {
            f"{room}.precision": AUTO
            for room, of_room in settings.items()
            if f"{room}.precision" not in overrides
            and not can_run(of_room.backend, of_room.precision, device, room)
        }
        return with_overrides(config, loosened)


def _dotted(shaping: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in flatten_mapping(shaping).items() if value is not None}
    return {name: value for name, value in values.items() if name != "version"}


def _origin_here(provenance: Provenance) -> dict[str, Any]:
    """The origin, with the official name of the same bytes in place of a file that is not on this machine."""
    from harray.poses.weights import OFFICIAL as POSE_RELEASES
    from harray.scenes.weights import OFFICIAL as IMAGENET_RELEASE

    names = {release.sha256: name for name, release in POSE_RELEASES.items()} | {
        IMAGENET_RELEASE.sha256: IMAGENET
    }
    here = dict(provenance.origin)
    for room, digest_of_bytes in provenance.weights.items():
        recorded = Path(str(provenance.origin.get(f"{room}.weights", "")))
        if recorded.is_absolute() and not recorded.exists() and digest_of_bytes in names:
            here[f"{room}.weights"] = names[digest_of_bytes]
    return here
