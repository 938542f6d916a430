import pickle

import pytest
import torch

from harray.errors import InputError
from harray.poses import weights as module
from harray.poses.weights import (
    load_pose_model,
    locate_pose_weights,
    pose_weights_digest,
    resolve_pose_weights,
)


class Payload:
    """Touches a file when it is unpickled by a reader that runs what it reads."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import pathlib

        return pathlib.Path.touch, (self.path,)


def test_an_explicit_path_wins_over_the_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "yolov8n-pose.pt").write_bytes(b"mine")
    assert resolve_pose_weights("yolov8n-pose.pt") == tmp_path / "yolov8n-pose.pt"


def test_a_name_that_cannot_be_verified_is_refused_with_the_names_that_can():
    with pytest.raises(InputError, match=r"no such file, .*expected a path, yolov8n-pose.pt, .*embedded"):
        resolve_pose_weights("yolov8x-pose.pt")


def test_the_official_table_is_complete():
    assert all(
        len(release.sha256) == 64 and release.url.endswith(name) for name, release in module.OFFICIAL.items()
    )


def test_where_weights_would_come_from_is_said_without_fetching(tmp_path, monkeypatch):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))
    assert locate_pose_weights("yolov8n-pose.pt").endswith(
        f"(to be downloaded to {tmp_path}/weights/yolov8n-pose.pt)"
    )
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "yolov8n-pose.pt").touch()
    assert "in the cache" in locate_pose_weights("yolov8n-pose.pt")
    assert "drawn figures" in locate_pose_weights("embedded")


def test_a_malicious_checkpoint_is_refused_and_runs_nothing(tmp_path):
    victim = tmp_path / "touched"
    torch.save({"model": Payload(victim)}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"model": Payload(victim)}))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(InputError, match="not a checkpoint of a YOLO pose network") as error:
            load_pose_model(str(tmp_path / name))
        assert "\n" not in str(error.value)
    assert not victim.exists()


def test_a_network_without_keypoints_is_refused(tmp_path):
    module.prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.save({"model": DetectionModel("yolov8n.yaml", nc=1, verbose=False)}, tmp_path / "boxes.pt")
    with pytest.raises(InputError, match="expected a pose network with 17 keypoints"):
        load_pose_model(str(tmp_path / "boxes.pt"))


def test_the_digest_is_that_of_the_bytes_wherever_they_lie(tmp_path):
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"same")
    assert pose_weights_digest(str(tmp_path / "a.pt")) == pose_weights_digest(str(tmp_path / "b.pt"))
