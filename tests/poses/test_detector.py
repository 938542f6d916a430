import numpy as np
import pytest

from harray.config import with_overrides
from harray.poses.config import PosesConfig
from harray.poses.detector import PoseDetector, pose_image_size
from harray.videos.frames import read_frames


@pytest.fixture(scope="module")
def real_weights(shared_data):
    return str(shared_data / "weights" / "yolov8n-pose.pt")


@pytest.fixture(scope="module")
def two_people(shared_data):
    return read_frames(shared_data / "videos/ut_interaction/set1/0_1_4.avi", 6).rgb_THWC


def test_the_image_size_is_the_weights_own_unless_given():
    assert pose_image_size(PosesConfig()) == 640
    assert pose_image_size(PosesConfig(image_size=320)) == 320
    assert pose_image_size(PosesConfig(weights="embedded")) % 32 == 0


def test_both_people_of_a_real_clip_are_found_in_source_pixels(real_weights, two_people):
    detections = PoseDetector(PosesConfig(weights=real_weights, image_size=320)).detect(two_people)
    assert [len(found.confidence_N) >= 2 for found in detections] == [True] * 6
    height, width = two_people.shape[1:3]
    for found in detections:
        x, y, confidence = np.moveaxis(found.keypoints_NKC1, -1, 0)
        assert x.min() >= 0
        assert x.max() <= width
        assert y.max() <= height
        assert 0 <= confidence.min() <= confidence.max() <= 1
        assert (np.diff(found.confidence_N) <= 0).all()


def test_it_finds_what_ultralytics_own_predictor_finds(real_weights, two_people):
    from ultralytics import YOLO

    ours = PoseDetector(PosesConfig(weights=real_weights, image_size=320, precision="fp32")).detect(
        two_people
    )
    theirs = YOLO(real_weights).predict([frame[..., ::-1] for frame in two_people], imgsz=320, verbose=False)
    for found, result in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found.boxes_N4, result.boxes.xyxy.numpy(), atol=1.0)
        np.testing.assert_allclose(found.keypoints_NKC1[..., :2], result.keypoints.xy.numpy(), atol=1.0)


def test_the_batch_size_changes_nothing(real_weights, two_people):
    config = PosesConfig(weights=real_weights, image_size=160)
    one, all_at_once = (
        PoseDetector(with_overrides(config, {"batch_size": size})).detect(two_people) for size in (1, 6)
    )
    for left, right in zip(one, all_at_once, strict=True):
        np.testing.assert_allclose(left.keypoints_NKC1, right.keypoints_NKC1, atol=0.05)
