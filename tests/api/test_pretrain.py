"""Pretraining is recorded and registered as a training is, and a training starts from it by its name."""

import pytest

from harray.api.evaluate import evaluate
from harray.api.pretrain import pretrain
from harray.api.train import train
from harray.errors import InputError
from harray.workspace import Workspace
from tests.toys import TINY, arm_store

pytestmark = pytest.mark.mlflow

SMALL = {**TINY, "training.num_epochs": 1, "training.batch_size": 8, "model.pcm.prior": False}


def test_a_registered_start_without_labels_is_found_by_its_name(tmp_path):
    place = Workspace(tmp_path / "out")
    rows = [{"path": f"/{number}.mp4", "label": None} for number in range(8)]
    unlabelled = arm_store(tmp_path / "unlabelled", rows, scene=False)
    start = pretrain(unlabelled.path, register="start", overrides=SMALL, workspace=place)
    assert start.name == "models:/start@champion"
    labelled = arm_store(tmp_path / "labelled", [{"path": f"/x{n}.mp4"} for n in range(8)], scene=False)
    model = train(labelled.path, overrides=SMALL, init=start.name, workspace=place)
    assert any("% of" in line and "taken over" in line for line in model.training.result.decisions)
    with pytest.raises(InputError, match="pretrained without labels and tells no classes"):
        evaluate(start.name, labelled.path, split="all", workspace=place)
