"""People in frames: the YOLO pose network run on batches of frames, without ultralytics' predictor.

    frames --letterbox--> RGB [B, 3, H', W'] --network--> boxes, scores, keypoints --NMS--> people per frame

Letters: T frames, B frames of a batch, H height, W width, N people, K joints, C coordinates.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from harray.poses.config import EMBEDDED, PosesConfig
from harray.poses.letterbox import Letterbox, fit, letterbox_for, to_source

if TYPE_CHECKING:
    import torch

OFFICIAL_IMAGE_SIZE = 640
NUM_JOINTS = 17
MAX_OVERLAP = 0.7  # IoU above which two boxes are one person (ultralytics' default)
MAX_FOUND = 50  # people per frame


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

    def __init__(self, config: PosesConfig, device: str = "cpu"):
        self.config = config
        self.device = device

    @functools.cached_property
    def model(self) -> "torch.nn.Module":
        import torch

        from harray.poses.weights import load_pose_model

        return load_pose_model(self.config.weights).to(self.device).to(memory_format=torch.channels_last)

    @functools.cached_property
    def image_size(self) -> int:
        """px of the longer side at which frames enter the network."""
        return pose_image_size(self.config)

    def detect(self, frames_THWC: np.ndarray) -> list[FrameDetections]:
        """People of every frame.

        Args:
            frames_THWC: uint8 RGB [T, H, W, 3].
        """
        box = letterbox_for(frames_THWC.shape[1], frames_THWC.shape[2], self.image_size)
        starts = range(0, len(frames_THWC), self.config.batch_size)
        batches = (frames_THWC[start : start + self.config.batch_size] for start in starts)
        return [found for batch in batches for found in self._detect_batch(fit(batch, box), box)]

    def _detect_batch(self, inputs_BHWC: np.ndarray, box: Letterbox) -> list[FrameDetections]:
        import torch
        from ultralytics.utils.nms import non_max_suppression

        with torch.inference_mode():
            images = torch.from_numpy(inputs_BHWC).to(self.device).permute(0, 3, 1, 2)
            output = self.model(images.float().div_(255.0))
            people = non_max_suppression(
                output,
                conf_thres=self.config.min_box_confidence,
                iou_thres=MAX_OVERLAP,
                end2end=getattr(self.model, "end2end", False),  # YOLO26 needs no suppression
                nc=1,
                max_det=MAX_FOUND,
                max_time_img=60.0,  # its default drops people where the machine is busy
            )
        return [_frame_detections(found.float().cpu().numpy(), box) for found in people]


def pose_image_size(config: PosesConfig) -> int:
    """`poses.image_size`, or the size that the weights were trained at."""
    if config.image_size is not None:
        return config.image_size
    if config.weights == EMBEDDED:
        import yaml

        from harray.poses.weights import EMBEDDED_CARD

        return int(yaml.safe_load(EMBEDDED_CARD.read_text())["image_size"])
    return OFFICIAL_IMAGE_SIZE


def _frame_detections(found: np.ndarray, box: Letterbox) -> FrameDetections:
    """Rows of NMS (x1 y1 x2 y2 confidence class, then x y confidence of each joint) in source px."""
    keypoints = found[:, 6:].reshape(-1, NUM_JOINTS, 3)
    return FrameDetections(
        boxes_N4=to_source(found[:, :4].reshape(-1, 2, 2), box).reshape(-1, 4).astype(np.float32),
        confidence_N=found[:, 4].astype(np.float32),
        keypoints_NKC1=np.concatenate(
            [to_source(keypoints[..., :2], box), keypoints[..., 2:].clip(0.0, 1.0)], axis=-1
        ).astype(np.float32),
    )
