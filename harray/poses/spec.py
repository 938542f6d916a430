"""What other runtimes must know of the pose network: its identity, samples, and how far outputs may lie apart.

Letters: B frames of a batch, A anchors.
"""

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from harray.networks.precision import FP16
from harray.networks.spec import Disagreement
from harray.poses.boxes import iou
from harray.poses.config import PosesConfig
from harray.poses.letterbox import fit, letterbox_for
from harray.poses.nms import has_nms_inside, nms
from harray.poses.weights import pose_weights_digest

if TYPE_CHECKING:
    import torch

SAMPLE_HW = ((240, 320), (320, 180))  # the shapes of frames at which runtimes are compared
SAMPLE_IMAGE_SIZE = 320
SURE = 0.5  # confidence of a box and of a joint whose place counts in the comparison
MAX_DIFFERENCE_PX = 1.0
MAX_SCORE_DIFFERENCE = 0.05
MAX_MOVEMENT = 0.01  # 95 in 100 sure joints may move by so much in a lower precision, in heights of their box
SAME_PERSON = 0.5  # IoU of the boxes


class PoseNetworkSpec:
    """A pose network before it runs anywhere (`harray.networks.spec.NetworkSpec`)."""

    room = "poses"

    def __init__(self, config: PosesConfig):
        self.config = config

    @property
    def precision(self) -> str:
        return self.config.precision

    def digest(self) -> str:
        parts = pose_weights_digest(self.config.weights), version("ultralytics")
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def build(self, device: str, precision: str) -> "torch.nn.Module":
        """In fp16 all but the head is."""
        from harray.poses.network import PoseNetwork
        from harray.poses.weights import load_pose_model

        network = PoseNetwork(load_pose_model(self.config.weights)).eval().requires_grad_(False).to(device)
        return network.halved() if precision == FP16 else network

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

    def loss(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """Movement of the sure joints of sure people, in heights of their boxes, at the 95th percentile; and before
        all, nobody is missed."""
        missed, movements = 0, [np.zeros(1)]
        for expected, found in zip(nms(reference, SURE), nms(other, SURE / 2), strict=True):
            for person in expected:
                overlaps_N = iou(person[:4], found[:, :4])
                if not len(found) or overlaps_N.max() < SAME_PERSON:
                    missed += 1
                else:
                    movements.append(_movements(person, found[overlaps_N.argmax()]))
        if missed:
            return Disagreement(value=missed, limit=0, what="people missed")
        value = float(np.percentile(np.concatenate(movements), 95))
        return Disagreement(value=value, limit=MAX_MOVEMENT, what="movement of joints in box heights")


def _movements(person: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of the sure joints between two rows of `nms`, in heights of the former's box."""
    joints_K3, others_K3 = person[5:].reshape(-1, 3), other[5:].reshape(-1, 3)
    distance_K = np.linalg.norm(joints_K3[:, :2] - others_K3[:, :2], axis=-1)
    return distance_K[joints_K3[:, 2] > SURE] / (person[3] - person[1])


def _parts(output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [B, A, 4], scores [B, A] and joints [B, A, 17, 3] of either kind of head."""
    rows = output if has_nms_inside(output.shape) else np.swapaxes(output, 1, 2)
    return rows[..., :4], rows[..., 4], rows[..., -51:].reshape(*rows.shape[:2], 17, 3)
