"""What other runtimes must know of the pose network: its identity, samples, and how far outputs may lie apart.

Letters: B frames of a batch, A anchors.
"""

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from harray.networks.spec import Disagreement
from harray.poses.config import PosesConfig
from harray.poses.letterbox import fit, letterbox_for
from harray.poses.weights import pose_weights_digest

if TYPE_CHECKING:
    import torch

SAMPLE_HW = ((240, 320), (320, 180))  # the shapes of frames at which runtimes are compared
SAMPLE_IMAGE_SIZE = 320
SURE = 0.5  # confidence of a box and of a joint whose place counts in the comparison
MAX_DIFFERENCE_PX = 1.0
MAX_SCORE_DIFFERENCE = 0.05


class PoseNetworkSpec:
    """A pose network before it runs anywhere (`harray.networks.spec.NetworkSpec`)."""

    room = "poses"

    def __init__(self, config: PosesConfig):
        self.config = config

    def digest(self) -> str:
        parts = pose_weights_digest(self.config.weights), version("ultralytics")
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def build(self, device: str) -> "torch.nn.Module":
        """Float32 on a CPU; on a GPU all but the head in float16."""
        from harray.poses.network import PoseNetwork
        from harray.poses.weights import load_pose_model

        network = PoseNetwork(load_pose_model(self.config.weights)).eval().requires_grad_(False).to(device)
        return network if device == "cpu" else network.halved()

    def samples(self) -> list[np.ndarray]:
        """Drawn people, letterboxed."""
        import cv2

        from harray.synth.samples import sample_frames

        frames = sample_frames(4)
        shaped = [np.stack([cv2.resize(f, (width, height)) for f in frames]) for height, width in SAMPLE_HW]
        return [fit(f, letterbox_for(*f.shape[1:3], SAMPLE_IMAGE_SIZE)) for f in shaped]

    def disagreement(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """Median distance of the reference's confident joints, in input px, or of the boxes where it is
        sure of nobody; and before all, scores must be the same."""
        (boxes, scores, joints), (other_boxes, other_scores, other_joints) = _parts(reference), _parts(other)
        if not (apart := float(np.abs(scores - other_scores).max())) <= MAX_SCORE_DIFFERENCE:
            return Disagreement(value=apart, limit=MAX_SCORE_DIFFERENCE, what="largest difference of scores")
        distance = np.linalg.norm(joints[..., :2] - other_joints[..., :2], axis=-1)
        sure = (scores > SURE)[..., None] & (joints[..., 2] > SURE)
        if sure.any():
            value, what = float(np.median(distance[sure])), "median distance of sure joints in px"
        else:
            value, what = float(np.median(np.abs(boxes - other_boxes))), "median difference of boxes in px"
        return Disagreement(value=value, limit=MAX_DIFFERENCE_PX, what=what)


def _parts(output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [B, A, 4], scores [B, A] and joints [B, A, 17, 3] of either kind of head."""
    rows = output if has_nms_inside(output.shape) else np.swapaxes(output, 1, 2)
    return rows[..., :4], rows[..., 4], rows[..., -51:].reshape(*rows.shape[:2], 17, 3)


def has_nms_inside(shape: tuple[int, ...]) -> bool:
    """Whether an output of that shape is of a head with nms inside."""
    return shape[-1] == 4 + 1 + 1 + 51
