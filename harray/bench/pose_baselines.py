"""Poses of a video as one would have them without harray: what extraction is measured against.

A video is decoded whole with OpenCV, frames are taken from it, ultralytics' own `predict` finds the people.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.poses.config import PosesConfig
from harray.poses.detector import pose_image_size
from harray.poses.weights import load_pose_model, prepare_ultralytics

Baseline = Callable[[Path], np.ndarray]


def notebook_baseline(config: PosesConfig, num_frames: int) -> Baseline:
    """A function from a video to its keypoints, one `predict` a frame: the loop of a notebook."""
    predict = _predictor(config)
    return lambda path: _best_people([predict([image])[0] for image in _frames(path, num_frames)])


def batched_baseline(config: PosesConfig, num_frames: int) -> Baseline:
    """A function from a video to its keypoints, one `predict` for all its frames."""
    predict = _predictor(config)
    return lambda path: _best_people(predict(_frames(path, num_frames)))


def _predictor(config: PosesConfig) -> Callable[[list[np.ndarray]], Any]:
    prepare_ultralytics()
    from ultralytics import YOLO

    yolo = YOLO("yolov8n-pose.yaml", task="pose")  # a frame for the network, which our reader loads
    yolo.model = load_pose_model(config.weights)
    size, confidence = pose_image_size(config), config.min_box_confidence
    return lambda images: yolo.predict(images, imgsz=size, conf=confidence, verbose=False)


def _frames(path: Path, num_frames: int) -> list[np.ndarray]:
    """Evenly spaced BGR frames, as OpenCV gives them."""
    import cv2

    video, images = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        images.append(read[1])
    video.release()
    if not images:
        raise InputError(f"{path}: OpenCV reads no frame of it; leave it out of the measurement")
    return [images[i] for i in np.linspace(0, len(images) - 1, num_frames).round().astype(int)]


def _best_people(results: list[Any]) -> np.ndarray:
    """float32 [T, 17, 3]: the most confident person of every frame, zeros where there is none."""
    people = [result.keypoints.data.cpu().numpy() for result in results]
    return np.stack([found[0] if found.size else np.zeros((17, 3), np.float32) for found in people])
