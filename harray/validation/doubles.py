"""The same film more than once: byte for byte, encoded again, or mirrored.

    poses (and their mirror images), where people stand, scenes -> pairs that are alike in every way there is

Two takes of a quiet action are alike too. So a pair counts when it is nearer than detection errors make one film, and
much nearer than the clips around it are to one another, in the poses and, where there are any, in the scenes.

Letters: N clips, D features, C coordinates, S scene tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from harray.features.config import FeaturesConfig
from harray.features.normalise import centre_and_size
from harray.features.tensors import ClipTensors, normalised
from harray.model.cfn import pooled_tokens
from harray.training.floors import pose_features

NUM_AROUND = 3
ROWS_AT_ONCE = 1024

Kind = Literal["exact", "encoded again", "mirrored", "trimmed"]
EXACT, AGAIN, MIRRORED, TRIMMED = "exact", "encoded again", "mirrored", "trimmed"


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """What counts as alike."""

    poses: float = 0.1  # body sizes between the joints of two clips, root mean square
    places: float = 0.08  # of the frame, between where people stand and in how large they are
    scenes: float = 0.45  # between directions of pooled tokens, 0 alike, 1.4 unrelated
    stands_out: float = 0.6  # of the distance to the third nearest other clip: a double is nearer


POSES_ALONE = Nearness(poses=0.03, stands_out=0.3)  # where no scene confirms


@dataclass(frozen=True, kw_only=True)
class Double:
    """Two clips that show the same film."""

    first: int  # place of a clip
    second: int
    kind: Kind
    distance: float  # of their poses, body sizes; of scenes where nobody is seen


@dataclass(frozen=True, kw_only=True)
class Prints:
    """What is compared of each clip; rows of NaN where nobody is seen."""

    poses_ND: (
        np.ndarray
    )  # float32, in body sizes, so scaled that Euclidean distance is root mean square per joint
    places_N3: np.ndarray  # centre and size of the people, in frames
    scenes_ND: np.ndarray | None  # of length 1
    seen_N: np.ndarray


def find_doubles(clips: ClipTensors) -> list[Double]:
    """Every pair of doubles, by place; each clip is compared with all others."""
    plain, mirror = prints_of(clips), prints_of(mirror_image(clips))
    near = POSES_ALONE if plain.scenes_ND is None else Nearness()
    found: dict[tuple[int, int], Double] = {}
    for pair in _exact(clips):
        found[pair.first, pair.second] = pair
    for kind, other in ((AGAIN, plain), (MIRRORED, mirror)):
        for pair in _alike(plain, other, kind, near):
            if clips.paths[pair.first] != clips.paths[pair.second]:  # clips of one video are no doubles
                found.setdefault((pair.first, pair.second), pair)
    return sorted(found.values(), key=lambda pair: (pair.first, pair.second))


def mirror_image(clips: ClipTensors) -> ClipTensors:
    """The clips as a mirrored film would give them; scenes stay as they are."""
    width_N = clips.frame_size_N2[:, 1].float()
    order = list(clips.skeleton.flip_order)
    keypoints = clips.keypoints_NPTKC[:, :, :, order].clone()
    keypoints[..., 0] = width_N[:, None, None, None] - keypoints[..., 0]
    return replace(
        clips, keypoints_NPTKC=keypoints, confidence_NPTK=clips.confidence_NPTK[:, :, :, order], second=None
    )


def prints_of(clips: ClipTensors) -> Prints:
    """What is compared."""
    clips = replace(clips, second=None)
    poses = normalised(clips, FeaturesConfig())
    seen_N = poses.visible_NPTK.flatten(1).any(dim=1)
    centre_NC, size_N = centre_and_size(clips.keypoints_NPTKC, poses.visible_NPTK, clips.skeleton)
    frame_N2 = clips.frame_size_N2.float().flip(1).clamp(min=1)  # width, height
    known = (clips.frame_size_N2 > 0).all(dim=1)
    places_N3 = torch.cat([centre_NC[:, :2] / frame_N2, (size_N / frame_N2[:, 1])[:, None]], dim=1)
    places_N3[~known] = 0.0
    poses_ND = pose_features(poses)
    scale = np.sqrt(poses_ND.shape[1] / 2)  # as many numbers as one of the two people has
    scenes_ND = None
    if clips.tokens_NSD is not None:
        pooled_ND = pooled_tokens(clips.tokens_NSD).numpy()
        scenes_ND = pooled_ND / np.maximum(np.linalg.norm(pooled_ND, axis=1, keepdims=True), 1e-9)
    return Prints(
        poses_ND=(poses_ND / scale).astype(np.float32),
        places_N3=places_N3.numpy(),
        scenes_ND=scenes_ND,
        seen_N=seen_N.numpy(),
    )


def _exact(clips: ClipTensors) -> Iterator[Double]:
    """One file under several names."""
    first: dict[str, int] = {}
    for place, (clip_id, path) in enumerate(zip(clips.clip_ids, clips.paths, strict=True)):
        before = first.setdefault(clip_id, place)
        if clips.paths[before] != path:
            yield Double(first=before, second=place, kind=EXACT, distance=0.0)


def _alike(plain: Prints, other: Prints, kind: Kind, near: Nearness) -> Iterator[Double]:
    num = len(plain.seen_N)
    for start in range(0, num, ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, num))
        far_RN = _distances(plain.poses_ND[rows], other.poses_ND)
        near_RN = (far_RN < near.poses) & _stands_out(far_RN, rows, near.stands_out)
        near_RN &= plain.seen_N[rows, None] & other.seen_N[None]
        if plain.scenes_ND is not None and other.scenes_ND is not None:
            apart_RN = _distances(plain.scenes_ND[rows], other.scenes_ND)
            alike_RN = (apart_RN < near.scenes) & _stands_out(apart_RN, rows, near.stands_out)
            near_RN &= alike_RN
            if kind == AGAIN:  # nobody is seen in either: the scene alone can tell
                nobody_RN = ~plain.seen_N[rows, None] & ~other.seen_N[None]
                near_RN |= alike_RN & nobody_RN
                far_RN = np.where(nobody_RN, apart_RN, far_RN)
        for row, place in zip(*np.nonzero(near_RN), strict=True):
            first, second = rows[row], place
            if (
                first < second
                and np.abs(plain.places_N3[first] - other.places_N3[second]).max() < near.places
            ):
                yield Double(
                    first=int(first), second=int(second), kind=kind, distance=float(far_RN[row, place])
                )


def _distances(rows_RD: np.ndarray, all_ND: np.ndarray) -> np.ndarray:
    squares_RN = (
        np.square(rows_RD).sum(axis=1)[:, None] + np.square(all_ND).sum(axis=1) - 2 * rows_RD @ all_ND.T
    )
    return np.sqrt(np.maximum(squares_RN, 0.0))


def _stands_out(distance_RN: np.ndarray, rows: np.ndarray, share: float) -> np.ndarray:
    """Where a pair is much nearer than the clips around its first one are to that."""
    distance_RN = distance_RN.copy()
    distance_RN[np.arange(len(rows)), rows] = np.inf
    if distance_RN.shape[1] <= NUM_AROUND + 1:
        return np.ones_like(distance_RN, bool)
    around_R = np.partition(distance_RN, NUM_AROUND, axis=1)[:, NUM_AROUND]
    return distance_RN < share * around_R[:, None]
