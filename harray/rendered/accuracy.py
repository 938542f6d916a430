"""How well detected people agree with the truth of a rendered clip. numpy only."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from harray.poses.boxes import iou

MIN_IOU = 0.5  # of boxes, for a detection to count as that person


@dataclass(frozen=True, kw_only=True)
class PoseAccuracy:
    """Counts over frames; add them up over clips, then read the shares. PCK after Yang & Ramanan 2013."""

    num_clear: int = 0  # frames in which the occluder does not touch the actor
    num_found: int = 0  # of these, with a detection that matches the actor
    num_joints: int = 0  # visible joints of the actor in all frames
    num_within: int = 0  # of these, detected within 0.1 of body height; a lost actor's joints are wrong
    sum_error: float = 0.0  # over the visible joints of matched actors, in body heights
    num_matched_joints: int = 0
    num_confident: int = 0  # joints whose confidence >= 0.5 tells their visibility rightly
    num_confidences: int = 0
    num_second: int = 0  # frames in which a second person has at least half their joints visible
    num_second_found: int = 0

    def __add__(self, other: "PoseAccuracy") -> "PoseAccuracy":
        return PoseAccuracy(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def shares(self) -> dict[str, float]:
        return {
            "found": self.num_found / max(self.num_clear, 1),
            "pck_0.1": self.num_within / max(self.num_joints, 1),
            "mean_error": self.sum_error / max(self.num_matched_joints, 1),
            "visibility": self.num_confident / max(self.num_confidences, 1),
            "second_found": self.num_second_found / max(self.num_second, 1),
        }


def frame_accuracy(boxes_N4: np.ndarray, keypoints_NKC1: np.ndarray, truth, frame: int) -> PoseAccuracy:
    """Score the detections of one frame of a clip.

    Args:
        boxes_N4: detected boxes, px.
        keypoints_NKC1: detected joints (x px, y px, confidence).
        truth: harray.synth.truth.Truth of the clip.
        frame: index into the truth.
    """
    match = best_match(boxes_N4, truth, frame, person=0)
    visible = truth.visible_TPK[frame, 0]
    box, board = truth.person_box_TP4[frame, 0], truth.occluder_box_T4[frame]
    clear = bool(
        np.isnan(board[0]) or (np.maximum(box[:2], board[:2]) >= np.minimum(box[2:], board[2:])).any()
    )
    counts: dict[str, Any] = {
        "num_clear": int(clear),
        "num_found": int(clear and match is not None),
        "num_joints": int(visible.sum()),
    }
    if match is not None:
        found = keypoints_NKC1[match]
        error = (
            np.linalg.norm(found[:, :2] - truth.keypoints_TPKC[frame, 0], axis=-1) / truth.body_height_P[0]
        )
        counts |= {
            "num_within": int((error[visible] <= 0.1).sum()),
            "sum_error": float(error[visible].sum()),
            "num_matched_joints": int(visible.sum()),
            "num_confident": int(((found[:, 2] >= 0.5) == visible).sum()),
            "num_confidences": len(visible),
        }
    if truth.visible_TPK.shape[1] > 1 and truth.visible_TPK[frame, 1].mean() >= 0.5:
        second = best_match(boxes_N4, truth, frame, person=1)
        counts |= {"num_second": 1, "num_second_found": int(second is not None)}
    return PoseAccuracy(**counts)


def best_match(boxes_N4: np.ndarray, truth, frame: int, person: int) -> int | None:
    """Index of the detection whose box overlaps the person's most, None below MIN_IOU."""
    if len(boxes_N4) == 0:
        return None
    overlaps = iou(truth.person_box_TP4[frame, person], boxes_N4)
    best = int(overlaps.argmax())
    return best if overlaps[best] >= MIN_IOU else None
