"""Prediction over Ray: the same entries as in one process, in order, with a worker killed on the way."""

import os
import signal

import pytest

from harray.distributed.dealing import Crew, deal
from harray.distributed.prediction import predict_on_ray
from harray.distributed.resources import actors_demand
from harray.errors import InputError
from harray.extraction.extractor import keypoints_shape
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.inference import Predictor
from harray.inference.entries import VideoTask, failed_entry, video_entry
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import layout_named
from harray.training.checkpoint import Checkpoint, save_checkpoint
from tests.distributed.conftest import write_video


@pytest.fixture
def checkpoint(config, tmp_path):
    """An untrained model of the conftest's extraction."""
    skeleton, model = layout_named("coco17"), ModelConfig()
    people, frames, joints, columns = keypoints_shape(config)
    network = FusionNetwork(
        model,
        num_people=people,
        num_frames=frames,
        num_joints=joints,
        num_coordinates=columns - 1,
        scene_dim=None,
        num_classes=3,
        bones=skeleton.bones,
    )
    untrained = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=("run", "sit", "wave"),
        skeleton=skeleton,
        scene_grid=None,
        store_digest="",
        provenance=Provenance.of(config),
    )
    return save_checkpoint(untrained, tmp_path / "checkpoint")


@pytest.fixture
def tasks(tmp_path):
    """Nine videos, the sixth of which cannot be read."""
    found = []
    for number in range(9):
        path = tmp_path / "videos" / f"{number}.mp4"
        write_video(path, 20 * number)
        found.append(VideoTask(video=str(path), top=2))
    (tmp_path / "videos" / "5.mp4").write_text("no video")
    return found


def prediction_workers() -> list[int]:
    """Process ids of this machine's prediction actors."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if "PredictionActor" in file.read():
                    found.append(int(pid))
        except OSError:
            continue
    return found


def test_entries_are_complete_and_in_order_though_a_worker_is_killed(ray_cluster, checkpoint, tasks):
    before, told, killed = set(prediction_workers()), [], []

    def kill_one_after_the_second(entry):
        told.append(entry["video"])
        if len(told) == 2:
            killed.append(max(set(prediction_workers()) - before))
            os.kill(killed[0], signal.SIGKILL)

    entries = predict_on_ray(checkpoint, tasks, [], 2, kill_one_after_the_second)
    assert len(killed) == 1
    assert sorted(told) == [entry["video"] for entry in entries] == [task.video for task in tasks]
    alone = Predictor.load(checkpoint, device="cpu")
    for task, entry in zip(tasks, entries, strict=True):
        expected = video_entry(alone, task)
        assert entry.keys() == expected.keys()
        assert entry.get("error") == expected.get("error")
        assert entry.get("label") == expected.get("label")
        assert entry.get("probability") == pytest.approx(expected.get("probability"), abs=1e-4)
    assert ["error" in entry for entry in entries].index(True) == 5


class DyingActor:
    """Dies of one video, whenever it is given to it."""

    def load(self):
        pass

    def work(self, task):
        if task.video == "deadly":
            os._exit(1)
        return {"video": task.video, "label": "run"}


def crew_of_one(actor) -> Crew:
    return Crew(hire=actor.remote, num_actors=1, demand=actors_demand("prediction", 1))


def test_a_video_that_kills_its_worker_is_given_up_and_the_others_are_not(ray_cluster):
    import ray

    actor = ray.remote(num_cpus=1)(DyingActor)
    tasks = [VideoTask(video=name, top=1) for name in ("a", "deadly", "b")]
    entries = dict(deal(tasks, crew_of_one(actor), failed_entry))
    assert {index: entry.get("label") for index, entry in entries.items()} == {0: "run", 1: None, 2: "run"}
    assert entries[1] == {"video": "deadly", "error": "the worker died 3 times on it"}


def test_a_node_without_the_weights_is_named_by_one_line(ray_cluster, checkpoint, tasks, monkeypatch):
    class WithoutWeights(DyingActor):
        def load(self):
            raise InputError("poses.weights=x.pt: no such file")

    import ray

    actor = ray.remote(num_cpus=1)(WithoutWeights)
    with pytest.raises(InputError, match=r"^poses\.weights=x\.pt: no such file$"):
        list(deal(tasks, crew_of_one(actor), failed_entry))


def test_more_actors_than_the_cluster_holds_are_refused(ray_cluster, checkpoint, tasks):
    with pytest.raises(InputError, match=r"prediction with 9 actors needs 9 times 1 CPU; there are 2 CPU"):
        predict_on_ray(checkpoint, tasks, [], 64)
