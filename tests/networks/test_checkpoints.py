"""What is no pose network, and no ResNet-50, is refused by its bytes alone."""

import pickle

import pytest
import torch

from harray.errors import InputError
from harray.networks.checkpoints import names_in
from harray.poses.weights import check_pose_weights
from harray.scenes.weights import LAST_KEY, check_scene_weights


def write(path, content):
    """A file of this content: bytes, a pickle, or what torch saves, as now or as before 1.6."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, list):
        path.write_bytes(pickle.dumps(content))
    else:
        values, is_zip = content
        torch.save(values, path, _use_new_zipfile_serialization=is_zip)
    return str(path)


STATE = {LAST_KEY: torch.zeros(2), "fc.weight": torch.zeros(2)}


@pytest.mark.parametrize(
    ("content", "is_scene"),
    [
        (b"", False),
        (b"not a checkpoint", False),
        (b"PK\x03\x04 cut off", False),
        ([LAST_KEY], False),
        (({"model": torch.zeros(1)}, True), False),
        ((STATE, True), True),
        ((STATE, False), True),
        (({"layer1": torch.zeros(1)}, False), False),
    ],
)
def test_wrong_weights_are_known_by_what_they_name(tmp_path, content, is_scene):
    file = write(tmp_path / "weights.pt", content)
    with pytest.raises(InputError, match="not a checkpoint of a YOLO pose network"):
        check_pose_weights(file)
    if is_scene:
        check_scene_weights(file)
        assert set(STATE) <= names_in(tmp_path / "weights.pt")
    else:
        with pytest.raises(InputError, match="not a state dict of torchvision's ResNet-50"):
            check_scene_weights(file)


def test_a_detector_is_called_by_its_name(tmp_path):
    from harray.poses.weights import prepare_ultralytics

    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, PoseModel

    for model, config in ((DetectionModel, "yolov8n.yaml"), (PoseModel, "yolov8n-pose.yaml")):
        torch.save({"model": model(config, verbose=False)}, tmp_path / f"{model.__name__}.pt")
    with pytest.raises(InputError, match="it holds a DetectionModel"):
        check_pose_weights(str(tmp_path / "DetectionModel.pt"))
    check_pose_weights(str(tmp_path / "PoseModel.pt"))


def test_weights_that_need_no_file_are_good():
    check_pose_weights("embedded")
    check_scene_weights("random")
    check_scene_weights("none")


def test_published_weights_are_good(shared_data):
    check_pose_weights(str(shared_data / "weights" / "yolov8n-pose.pt"))
