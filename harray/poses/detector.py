"""People in frames: the YOLO pose network run on batches of frames, without ultralytics' predictor.

    frames --letterbox--> RGB [B, H', W', 3] --network--> boxes, scores, keypoints --nms--> people per frame

Letters: T frames, B frames of a batch, H height, W width, N people, K joints, C coordinates.
"""

import dataclasses
import functools

import numpy as np

from harray.networks.backends import open_network
from harray.networks.spec import Network
from harray.poses.config import EMBEDDED, EMBEDDED_MIN_BOX_CONFIDENCE, PosesConfig
from harray.poses.embedded import load_card
from harray.poses.letterbox import Letterbox, fit, letterbox_for, to_source
from harray.poses.nms import has_nms_inside, nms
from harray.poses.spec import PoseNetworkSpec

OFFICIAL_IMAGE_SIZE = 640
NUM_JOINTS = 17
GPU_BATCH = 32  # frames, at least: fewer leave a GPU idle


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameDetections:
    """The people of one frame, the most confident first.

    Attributes:
        boxes_N4: float32 [N, 4], x1 y1 x2 y2 in source px.
        confidence_N: float32 [N] in [0, 1].
        keypoints_NKC1: float32 [N, 17, 3], x px, y px, confidence in [0, 1].
    """

    boxes_N4: np.ndarray
    confidence_N: np.ndarray
    keypoints_NKC1: np.ndarray


class PoseDetector:
    """Finds people. The network is loaded at the first use and kept."""

    def __init__(self, config: PosesConfig, device: str = "cpu", num_threads: int | None = None):
        self.config = config
        self.device = device
        self.num_threads = num_threads  # on a CPU; None: as many as there are cores

    @functools.cached_property
    def network(self) -> Network:
        return open_network(PoseNetworkSpec(self.config), self.config.backend, self.device, self.num_threads)

    @functools.cached_property
    def image_size(self) -> int:
        """px of the longer side at which frames enter the network."""
        return pose_image_size(self.config)

    @property
    def min_box_confidence(self) -> float:
        """Confidence of a box below which it is dropped."""
        least = EMBEDDED_MIN_BOX_CONFIDENCE if self.config.weights == EMBEDDED else 0.0
        return max(self.config.min_box_confidence, least)

    def detect(self, frames_THWC: np.ndarray) -> list[FrameDetections]:
        """People of every frame.

        Args:
            frames_THWC: uint8 RGB [T, H, W, 3].
        """
        box = letterbox_for(frames_THWC.shape[1], frames_THWC.shape[2], self.image_size)
        size = self.config.batch_size if self.device == "cpu" else max(self.config.batch_size, GPU_BATCH)
        starts = range(0, len(frames_THWC), size)
        # Asked for first and read later: a GPU works on one batch while the next is made ready.
        outputs = [self.network(fit(frames_THWC[start : start + size], box)) for start in starts]
        return [
            _frame_detections(found, box)
            for output in outputs
            for found in nms(output, self.min_box_confidence)
        ]


def people_of_rows(
    rows_ND: np.ndarray, height_px: int, width_px: int, config: PosesConfig
) -> FrameDetections:
    """The people of one frame of which a network elsewhere put out these rows, a box each, on the same input."""
    output = rows_ND[None] if has_nms_inside(rows_ND.shape) else rows_ND.T[None]
    [found] = nms(output, PoseDetector(config).min_box_confidence)
    return _frame_detections(found, letterbox_for(height_px, width_px, pose_image_size(config)))


def pose_image_size(config: PosesConfig) -> int:
    """`poses.image_size`, or the size that the weights were trained at."""
    if config.image_size is not None:
        return config.image_size
    if config.weights == EMBEDDED:
        return int(load_card()["image_size"])
    return OFFICIAL_IMAGE_SIZE


def _frame_detections(found: np.ndarray, box: Letterbox) -> FrameDetections:
    """Rows of `nms` (x1 y1 x2 y2 confidence, then x y confidence of each joint) in source px."""
    keypoints = found[:, 5:].reshape(-1, NUM_JOINTS, 3)
    return FrameDetections(
        boxes_N4=to_source(found[:, :4].reshape(-1, 2, 2), box).reshape(-1, 4).astype(np.float32),
        confidence_N=found[:, 4].astype(np.float32),
        keypoints_NKC1=np.concatenate(
            [to_source(keypoints[..., :2], box), keypoints[..., 2:].clip(0.0, 1.0)], axis=-1
        ).astype(np.float32),
    )
