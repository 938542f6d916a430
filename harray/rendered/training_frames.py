"""Labelled frames of procedural clips in memory, and augmented batches of them.

Letters: B frames of a batch, N people of a batch, K joints, H height, W width, C coordinates.
"""

import dataclasses

import numpy as np
import torch

from harray.poses.letterbox import fit, letterbox_for
from harray.skeleton import COCO17
from harray.synth.clips import ClipSpec, num_frames, render_clip
from harray.synth.config import HEIGHT_PX, WIDTH_PX

MIN_VISIBLE_JOINTS = 3  # people with fewer are not labelled


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseFrames:
    """Frames and labels in memory; a person's `frame_N` is the index of their frame."""

    images_BHWC: np.ndarray  # uint8 RGB at the network's size
    frame_N: np.ndarray  # int64
    boxes_N4: np.ndarray  # float32, x0, y0, x1, y1 in network px
    keypoints_NKC: np.ndarray  # float32, x, y in network px
    visible_NK: np.ndarray  # bool


def render_part(job: tuple[ClipSpec, int, int, int]) -> PoseFrames:
    """A few frames of one clip: (clip, number of frames, image size in px, seed of the choice)."""
    spec, count, image_size, seed = job
    rng = np.random.default_rng([seed, spec.action, spec.index, 23])
    chosen = np.sort(rng.choice(num_frames(spec), count, replace=False))
    frames, truth = render_clip(spec, chosen.tolist())
    box = letterbox_for(HEIGHT_PX, WIDTH_PX, image_size)
    scale = np.array([box.size_hw[1] / WIDTH_PX, box.size_hw[0] / HEIGHT_PX], np.float32)
    shift = np.array([box.left, box.top], np.float32)
    frame, person = np.nonzero(truth.visible_TPK.sum(-1) >= MIN_VISIBLE_JOINTS)
    corners = truth.person_box_TP4[frame, person].reshape(-1, 2, 2) * scale + shift
    return PoseFrames(
        images_BHWC=fit(frames, box),
        frame_N=frame.astype(np.int64),
        boxes_N4=corners.reshape(-1, 4),
        keypoints_NKC=truth.keypoints_TPKC[frame, person] * scale + shift,
        visible_NK=truth.visible_TPK[frame, person],
    )


def make_batch(frames: PoseFrames, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Augmented frames and labels as ultralytics' loss takes them (boxes and joints as shares of the sides).

    Scale, shift and mirror by one resampling; then brightness, contrast, tint and noise.
    """
    count, (height, width) = len(chosen), frames.images_BHWC.shape[1:3]
    sides = np.array([width, height], np.float32)
    zoom = rng.uniform(0.86, 1.1, count).astype(np.float32)
    move = rng.uniform(-0.06, 0.06, (count, 2)).astype(np.float32)
    mirror = np.where(rng.random(count) < 0.5, -1, 1).astype(np.float32)
    images = torch.from_numpy(frames.images_BHWC[chosen]).permute(0, 3, 1, 2).float() / 255.0
    images = _recoloured(_resampled(images, zoom, move, mirror), rng)

    place = np.full(len(frames.images_BHWC), -1)
    place[chosen] = np.arange(count)
    people = np.flatnonzero(place[frames.frame_N] >= 0)
    people = people[np.argsort(place[frames.frame_N[people]], kind="stable")]  # the loss wants them in order
    index = place[frames.frame_N[people]]

    def moved(points: np.ndarray) -> np.ndarray:
        """Points `[N, any, 2]` px as shares of the sides after the resampling."""
        centred = 2 * points / sides - 1
        factor = zoom[index, None, None] * np.stack([mirror[index], np.ones(len(index))], -1)[:, None]
        return ((centred * factor + move[index, None]) + 1) / 2

    keypoints, visible = moved(frames.keypoints_NKC[people]), frames.visible_NK[people]
    flipped, swap = mirror[index] < 0, list(COCO17.flip_order)
    keypoints[flipped], visible = (
        keypoints[flipped][:, swap],
        np.where(flipped[:, None], visible[:, swap], visible),
    )
    visible = visible & (keypoints > 0).all(-1) & (keypoints < 1).all(-1)
    corners: np.ndarray = np.clip(np.sort(moved(frames.boxes_N4[people].reshape(-1, 2, 2)), axis=1), 0, 1)
    boxes = np.concatenate([corners.mean(1), corners[:, 1] - corners[:, 0]], -1)
    return {
        "img": images.contiguous(memory_format=torch.channels_last),
        "batch_idx": torch.from_numpy(index).float(),
        "cls": torch.zeros(len(index), 1),
        "bboxes": torch.from_numpy(boxes).float(),
        "keypoints": torch.from_numpy(np.concatenate([keypoints, visible[..., None]], -1)).float(),
    }


def _resampled(images: torch.Tensor, zoom: np.ndarray, move: np.ndarray, mirror: np.ndarray) -> torch.Tensor:
    """`images` `[B, 3, H, W]` scaled by `zoom`, shifted by `move` (half sides) and mirrored where -1."""
    theta = np.zeros((len(zoom), 2, 3), np.float32)  # output place -> input place
    theta[:, 0, 0], theta[:, 1, 1] = mirror / zoom, 1 / zoom
    theta[:, 0, 2], theta[:, 1, 2] = -mirror * move[:, 0] / zoom, -move[:, 1] / zoom
    grid = torch.nn.functional.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _recoloured(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    shape = (len(images), 1, 1, 1)
    gain = torch.from_numpy(
        rng.uniform(0.8, 1.2, shape) * rng.uniform(0.92, 1.08, (len(images), 3, 1, 1))
    ).float()
    lift = torch.from_numpy(rng.uniform(-0.06, 0.06, shape)).float()
    noise = torch.from_numpy(rng.standard_normal(images.shape[1:], np.float32)) * float(rng.uniform(0, 0.02))
    return (images * gain + lift + noise).clamp_(0, 1)
