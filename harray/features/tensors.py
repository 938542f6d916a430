"""A store's clips as tensors, and normalised.

    FeatureStore -> ClipTensors (px, confidence) -> NormalisedClips (body units, visible) -> model

Letters: N clips, P people, T frames, K joints, C coordinates, F scene frames, S scene tokens, D channels.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from harray.errors import InputError
from harray.features.config import FeaturesConfig
from harray.features.mapped import MappedRows, array_of, mapped_columns, scratch
from harray.features.normalise import normalise
from harray.schema import STREAM_COLUMNS
from harray.skeleton import SkeletonLayout
from harray.store import FeatureStore
from harray.store.parts import undisturbed

UNKNOWN_LABEL = -1
Clips = TypeVar("Clips", "ClipTensors", "NormalisedClips")


@dataclass(frozen=True, kw_only=True)
class ClipTensors:
    """Clips as they stand in the store; tensors and lists have one entry per clip.

    Of clips that are too many for the memory, `MappedRows` stand for keypoints, confidence and tokens.
    """

    keypoints_NPTKC: Tensor  # float32, px (or the source's unit)
    confidence_NPTK: Tensor  # float32 in [0, 1]; 0 = missing
    frame_size_N2: Tensor  # int32, (height, width), px
    tokens_NSD: Tensor | None  # float16, S = F * grid * grid
    scene_grid: tuple[int, int] | None  # (scene frames, grid)
    labels_N: Tensor  # int64 index into classes; -1 unknown
    clip_ids: list[str]
    paths: list[str]
    groups: list[str | None]
    classes: tuple[str, ...]
    skeleton: SkeletonLayout
    second: "ClipTensors | None" = None  # the same clips by other keypoints, 3D beside 2D or the reverse

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def second_skeleton(self) -> SkeletonLayout | None:
        return None if self.second is None else self.second.skeleton

    @property
    def streams(self) -> tuple["ClipTensors", ...]:
        """The clips by each kind of keypoints that they have: these, then the second ones."""
        return (self,) if self.second is None else (self, self.second)

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """Of the streams."""
        return tuple(stream.skeleton for stream in self.streams)

    def looked_at(self, which: str) -> "ClipTensors":
        """The clips by their `2d` or `3d` keypoints alone, or by `all` that they have.

        Raises:
            InputError: they have none of that kind.
        """
        if which == "all":
            return self
        for stream in self.streams:
            if which == f"{stream.keypoints_NPTKC.shape[-1]}d":
                return dataclasses.replace(
                    stream, tokens_NSD=self.tokens_NSD, scene_grid=self.scene_grid, second=None
                )
        raise InputError(f"features.keypoints={which}: these clips have none; set features.keypoints=all")

    def select(self, indices: Sequence[int] | np.ndarray | Tensor) -> "ClipTensors":
        """The clips at these places, in this order."""
        return _selected(self, indices)


@dataclass(frozen=True, kw_only=True)
class NormalisedClips:
    """Clips in body units, ready for the model; of mapped clips `MappedRows` stand for the tokens."""

    keypoints_NPTKC: Tensor  # float32, body sizes about the clip's centre; 0 where hidden
    visible_NPTK: Tensor  # bool, True = observed
    tokens_NSD: Tensor | None
    scene_grid: tuple[int, int] | None
    labels_N: Tensor
    rows_N: Tensor  # int64, the clip's number in the whole data set; random streams hang on it
    second: "NormalisedClips | None" = None  # the same clips by other keypoints
    is_mapped: bool = False  # from a disk; see `harray.features.mapped`

    def __len__(self) -> int:
        return len(self.labels_N)

    def select(self, indices: Sequence[int] | np.ndarray | Tensor) -> "NormalisedClips":
        """The clips at these places, in this order."""
        return _selected(self, indices)

    @property
    def streams(self) -> tuple["NormalisedClips", ...]:
        """The clips by each kind of keypoints that they have: these, then the second ones."""
        return (self,) if self.second is None else (self, self.second)

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """What a network takes first: keypoints, visible flags, scene tokens."""
        return self.keypoints_NPTKC, self.visible_NPTK, self.tokens_NSD

    @property
    def second_inputs(self) -> tuple[Tensor, Tensor] | None:
        """Keypoints and visible flags of the second stream."""
        return None if self.second is None else self.second.inputs[:2]

    def to(self, device: torch.device) -> "NormalisedClips":
        """The same clips on another device; mapped ones are read."""
        kinds = (Tensor, MappedRows, NormalisedClips)
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, kinds)}
        return dataclasses.replace(self, **moved, is_mapped=False)


def load_clips(
    store: FeatureStore,
    splits: list[str] | None = None,
    classes: Sequence[str] | None = None,
    most_bytes: float = math.inf,
) -> ClipTensors:
    """Read the extracted clips of some splits (None: of all), sorted by path.

    Args:
        classes: class names in the order of a model's outputs; by default the store's labels, sorted. A clip
            of another label is unknown (-1).
        most_bytes: that features may have to be read; larger ones are mapped from this machine's disk.

    Raises:
        InputError: no such split, or no clip in it.
    """
    classes = tuple(store.labels() if classes is None else classes)
    table, features = undisturbed(lambda: _found(store, splits, most_bytes))
    sizes = [table[name].to_numpy() for name in ("height_px", "width_px")]
    streams = [
        _clips(
            features[column],
            skeleton=layout,
            tokens_NFSD=None if number else features.get("scene_tokens"),
            frame_size_N2=np.stack(sizes, axis=1),
            classes=classes,
            paths=table["path"].to_pylist(),
        )
        for number, (column, layout) in enumerate(zip(STREAM_COLUMNS, store.layouts, strict=False))
    ]
    index = {name: i for i, name in enumerate(classes)}
    known = {
        "labels_N": torch.tensor([index.get(label, UNKNOWN_LABEL) for label in table["label"].to_pylist()]),
        "clip_ids": table["clip_id"].to_pylist(),
        "groups": table["group"].to_pylist(),
    }
    first, *others = [dataclasses.replace(stream, **known) for stream in streams]
    return dataclasses.replace(first, second=others[0] if others else None)


def _found(
    store: FeatureStore, splits: list[str] | None, most_bytes: float
) -> tuple[pa.Table, dict[str, Tensor | MappedRows]]:
    """Rows of the clips, and their features by column."""
    found = store.find(splits)
    if not len(found.places):
        raise InputError(
            f"store {store.path}: no extracted clip to read; see `harray store info {store.path}`"
        )
    columns = [name for name in (*STREAM_COLUMNS, "scene_tokens") if name in store.schema.names]
    if len(found.places) * store.settings.clip_bytes > most_bytes:
        whole = mapped_columns(found, columns)
        return found.read(["height_px", "width_px"]), {name: MappedRows(whole[name]) for name in columns}
    table = found.read(["height_px", "width_px", *columns])
    return table, {name: torch.tensor(array_of(table[name])) for name in columns}


def clips_from_arrays(
    keypoints_NPTKC1: np.ndarray,
    *,
    skeleton: SkeletonLayout,
    scene_tokens_NFSD: np.ndarray | None = None,
    frame_size_N2: np.ndarray | None = None,
    classes: Sequence[str] = (),
    paths: Sequence[str] = (),
) -> ClipTensors:
    """Clips from arrays of the store's layout: coordinates then confidence last; labels and ids are unknown."""
    tokens = None if scene_tokens_NFSD is None else torch.tensor(scene_tokens_NFSD, dtype=torch.float16)
    return _clips(
        torch.tensor(keypoints_NPTKC1, dtype=torch.float32),
        skeleton=skeleton,
        tokens_NFSD=tokens,
        frame_size_N2=frame_size_N2,
        classes=classes,
        paths=paths,
    )


def _clips(
    keypoints_NPTKC1: Any,
    *,
    skeleton: SkeletonLayout,
    tokens_NFSD: Any,
    frame_size_N2: np.ndarray | None,
    classes: Sequence[str],
    paths: Sequence[str],
) -> ClipTensors:
    """Clips of the store's layout, from tensors or mapped rows."""
    num_clips = len(keypoints_NPTKC1)
    if keypoints_NPTKC1.shape[3] != skeleton.num_joints:
        raise InputError(
            f"keypoints: {keypoints_NPTKC1.shape[3]} joints, but skeleton {skeleton.name} has "
            f"{skeleton.num_joints}; name the layout that the keypoints were made in"
        )
    grid = None if tokens_NFSD is None else (tokens_NFSD.shape[1], math.isqrt(tokens_NFSD.shape[2]))
    sizes = np.zeros((num_clips, 2), np.int32) if frame_size_N2 is None else frame_size_N2
    return ClipTensors(
        keypoints_NPTKC=keypoints_NPTKC1[..., :-1].contiguous(),
        confidence_NPTK=keypoints_NPTKC1[..., -1].contiguous(),
        frame_size_N2=torch.tensor(sizes, dtype=torch.int32),
        tokens_NSD=None if tokens_NFSD is None else tokens_NFSD.flatten(1, 2),
        scene_grid=grid,
        labels_N=torch.full((num_clips,), UNKNOWN_LABEL),
        clip_ids=[""] * num_clips,
        paths=list(paths) or [""] * num_clips,
        groups=[None] * num_clips,
        classes=tuple(classes),
        skeleton=skeleton,
    )


def poses_read(clips: ClipTensors) -> Iterator[ClipTensors]:
    """The clips without scene tokens and second keypoints, as they are; mapped ones some at a time, read."""
    keypoints: Any = clips.keypoints_NPTKC
    clips = dataclasses.replace(clips, tokens_NSD=None, scene_grid=None, second=None)
    if not isinstance(keypoints, MappedRows):
        yield clips
        return
    for rows in torch.arange(len(clips)).split(keypoints.num_in_piece):
        part: Any = clips.select(rows)
        yield dataclasses.replace(
            part, keypoints_NPTKC=part.keypoints_NPTKC[:], confidence_NPTK=part.confidence_NPTK[:]
        )


def without_false_tracks(clips: ClipTensors, config: FeaturesConfig) -> ClipTensors:
    """The clips less people of whom much less is seen than of somebody else: shadows, reflections, passers-by."""
    seen_NP = (clips.confidence_NPTK >= config.min_confidence).float().mean(dim=(2, 3))
    false_NP = seen_NP < config.min_presence * seen_NP.amax(dim=1, keepdim=True)
    confidence_NPTK = clips.confidence_NPTK.masked_fill(false_NP[:, :, None, None], 0.0)
    return dataclasses.replace(clips, confidence_NPTK=confidence_NPTK)


def normalised(clips: ClipTensors, config: FeaturesConfig) -> NormalisedClips:
    """Keypoints in body units, with joints below `config.min_confidence` and false tracks hidden.

    Of mapped clips they are mapped too.
    """
    is_mapped = isinstance(clips.keypoints_NPTKC, MappedRows)
    if is_mapped:
        keypoints = scratch(clips.keypoints_NPTKC.shape, torch.float32)
        visible = scratch(clips.confidence_NPTK.shape, torch.bool)
        first = 0
        for part in poses_read(clips):
            rows = slice(first, first := first + len(part))
            keypoints[rows], visible[rows] = _normalised(part, config)
    else:
        keypoints, visible = _normalised(clips, config)
    return NormalisedClips(
        keypoints_NPTKC=keypoints,
        visible_NPTK=visible,
        tokens_NSD=clips.tokens_NSD,
        scene_grid=clips.scene_grid,
        labels_N=clips.labels_N,
        rows_N=torch.arange(len(clips)),
        second=None if clips.second is None else normalised(clips.second, config),
        is_mapped=is_mapped,
    )


def _normalised(clips: ClipTensors, config: FeaturesConfig) -> tuple[Tensor, Tensor]:
    clips = without_false_tracks(clips, config)
    return normalise(clips.keypoints_NPTKC, clips.confidence_NPTK, clips.skeleton, config.min_confidence)


def _selected(clips: Clips, indices: Sequence[int] | np.ndarray | Tensor) -> Clips:
    index = torch.as_tensor(indices, dtype=torch.int64)
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(clips):
        value = getattr(clips, field.name)
        if isinstance(value, MappedRows):
            changes[field.name] = value.select(index.cpu())
        elif isinstance(value, Tensor):
            changes[field.name] = value[index.to(value.device)]
        elif isinstance(value, ClipTensors | NormalisedClips):
            changes[field.name] = value.select(index)
        elif isinstance(value, list):
            changes[field.name] = [value[i] for i in index.tolist()]
    return dataclasses.replace(clips, **changes)
