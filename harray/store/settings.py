"""What every clip of a store has in common, as it stands in store.json."""

import dataclasses
import json
import math
from typing import Any

from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.files import Place
from harray.schema import SCHEMA_VERSION

FILE_NAME = "store.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """How the features of a store were made, and their shapes; clips made otherwise do not belong in it."""

    skeleton: str  # name of a layout in harray.skeleton
    keypoints_shape: tuple[int, ...]  # [people, frames, joints, coordinates + 1]
    scene_shape: tuple[int, ...] | None = None  # [scene_frames, grid * grid, channels]; None: no scene branch
    second_skeleton: str | None = None  # layout of the second keypoints; None: there are none
    second_shape: tuple[int, ...] | None = None  # as keypoints_shape
    layout: dict[str, Any] | None = None
    """Joints and bones where the skeleton is a file's own, not the code's."""
    provenance: Provenance = dataclasses.field(default_factory=Provenance)
    """Of the features; empty where keypoints were imported."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of each kind of keypoints, in the order of `schema.STREAM_COLUMNS`."""
        second = self.second_shape
        return (self.keypoints_shape,) if second is None else (self.keypoints_shape, second)

    @property
    def clip_bytes(self) -> int:
        """Of one clip's features in memory: float32 keypoints and float16 scene tokens."""
        floats = sum(math.prod(shape) for shape in self.shapes)
        return 4 * floats + (2 * math.prod(self.scene_shape) if self.scene_shape else 0)


def dump_settings(settings: StoreSettings) -> str:
    """The text of store.json."""
    values = _plain(settings)
    if settings.layout is None:
        del values["layout"]
    return json.dumps({"harray_store": SCHEMA_VERSION, **values}, indent=2) + "\n"


def load_settings(store: Place) -> StoreSettings:
    """Read a store's settings.

    Raises:
        InputError: no such folder, a folder that is no store, or a store of another schema version.
    """
    file = store / FILE_NAME
    try:
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        if not store.exists():
            raise InputError(
                f"store {store}: no such folder; make it with `harray extract SOURCE --store {store}`"
            ) from error
        raise InputError(
            f"store {store}: no {FILE_NAME} in it; expected a folder that `harray extract` made"
        ) from error
    try:
        values = json.loads(text)
        version = values.pop("harray_store")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"store {store}: {FILE_NAME} cannot be read; extract into a new folder") from error
    if version != SCHEMA_VERSION:
        raise InputError(
            f"store {store}: schema version {version}, expected {SCHEMA_VERSION}; "
            "extract again into a new folder, or use the harray that made it"
        )
    scene_shape, second_shape = values["scene_shape"], values.get("second_shape")
    return StoreSettings(
        skeleton=values["skeleton"],
        keypoints_shape=tuple(values["keypoints_shape"]),
        scene_shape=None if scene_shape is None else tuple(scene_shape),
        second_skeleton=values.get("second_skeleton"),
        second_shape=None if second_shape is None else tuple(second_shape),
        layout=values.get("layout"),
        provenance=Provenance.from_dict(values),
    )


def differences(found: StoreSettings, wanted: StoreSettings) -> list[str]:
    """`name: found, wanted` of every setting in which the two differ; where weights lay is none."""
    ours, theirs = (_flat({**_plain(settings), "origin": {}}) for settings in (found, wanted))
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return [f"{name} {ours.get(name)} in the store, {theirs.get(name)} now" for name in names]


def _plain(settings: StoreSettings) -> dict[str, Any]:
    """As store.json has them: the provenance's parts stand beside the others."""
    values = dataclasses.asdict(settings)
    provenance = values.pop("provenance")
    return values | provenance


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = list(value) if isinstance(value, tuple) else value
    return leaves
