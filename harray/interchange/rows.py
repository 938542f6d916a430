"""Rows of an import: the manifest's of its annotations, and the clips' of their keypoints.

Letters: P people kept, N frames kept, V joints, C coordinates.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.interchange.annotations import Annotation
from harray.interchange.pickles import SkeletonFile
from harray.interchange.sampled import SampledClip, sample_clip
from harray.interchange.streams import KeypointStream
from harray.schema import STREAM_COLUMNS

DATASET = "skeleton"  # of manifest rows that come from a keypoint file
IMPORT_VERSION = 1  # raise it when the code gives other features for the same file


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many frames and people of an annotation become its clip."""

    num_frames: int = 32
    """Per clip, evenly spaced; a shorter clip repeats some."""
    max_people: int = 2
    """Per clip, those of whom most is seen."""
    fps: float = 25.0
    """Of the source videos, for the times of frames where the file gives none."""


def manifest_rows(path: Path, file: SkeletonFile, labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """Manifest rows of the annotations, in their order; the splits of each sorted."""
    splits: dict[str, list[str]] = {annotation.frame_dir: [] for annotation in file.annotations}
    for name in sorted(file.splits):
        for frame_dir in set(file.splits[name]):
            splits[frame_dir].append(name)
    return [
        {
            "path": f"{path}#{annotation.frame_dir}",
            "label": label,
            "group": annotation.group,
            "dataset": DATASET,
            "splits": splits[annotation.frame_dir],
        }
        for annotation, label in zip(file.annotations, labels, strict=True)
    ]


def clip_rows(streams: Sequence[KeypointStream], sampling: Sampling) -> Iterator[dict[str, Any]]:
    """Rows of the clips table for the clips of the first stream, in its order.

    A clip that another stream lacks has nobody there: all its keypoints are 0.
    """
    for annotation in streams[0].file.annotations:
        clips = [_sampled(stream, annotation.frame_dir, sampling) for stream in streams]
        yield _clip_row(streams, clips, annotation.size_hw)


def _sampled(stream: KeypointStream, frame_dir: str, sampling: Sampling) -> SampledClip | None:
    annotation = stream.by_frame_dir.get(frame_dir)
    return None if annotation is None else _sample(annotation, stream.file, sampling)


def _sample(annotation: Annotation, file: SkeletonFile, sampling: Sampling) -> SampledClip:
    return sample_clip(
        annotation,
        num_frames=sampling.num_frames,
        max_people=sampling.max_people,
        fps=sampling.fps,
        people_ranked=file.people_ranked,
        origin_joints=file.origin_joints,
    )


def _clip_row(
    streams: Sequence[KeypointStream], clips: Sequence[SampledClip | None], size_hw: tuple[int, int]
) -> dict[str, Any]:
    """A row of the clips table; its clip_id is a digest of all the rest of it and of the layouts."""
    first = clips[0]
    assert first is not None, "the clips are those of the first stream"
    keypoints = [
        np.zeros((*first.keypoints_PNVC1.shape[:2], stream.layout.num_joints, stream.num_values), np.float32)
        if clip is None
        else clip.keypoints_PNVC1
        for stream, clip in zip(streams, clips, strict=True)
    ]
    about: tuple[Any, ...] = (IMPORT_VERSION, streams[0].layout.name, size_hw, keypoints[0].shape)
    for stream, keypoints_PNVC1 in zip(streams[1:], keypoints[1:], strict=True):
        about = (*about, stream.layout.name, keypoints_PNVC1.shape)
    identity = hashlib.blake2b(repr(about).encode(), digest_size=16)
    for array in (keypoints[0], first.frame_index_N, first.frame_sec_N, *keypoints[1:]):
        identity.update(array.tobytes())
    return dict(zip(STREAM_COLUMNS, keypoints, strict=False)) | {
        "clip_id": identity.hexdigest(),
        "frame_index": first.frame_index_N,
        "frame_sec": first.frame_sec_N,
        "height_px": size_hw[0],
        "width_px": size_hw[1],
    }
