"""Learning without labels: motion that was masked is predicted, and a training starts from the outcome."""

import dataclasses

import pytest
import torch

from harray.config import with_overrides
from harray.errors import InputError
from harray.features.rowrandom import RowRandom
from harray.inference import Predictor
from harray.store import FeatureStore
from harray.training.checkpoint import load_checkpoint
from harray.training.config import TrainingConfig
from harray.training.masked_motion import MaskedMotionStep
from harray.training.run import TrainingRequest, train_store
from tests.toys import arm_store, tiny_experiment

WITHOUT = {
    "training.use_labels": False,
    "training.num_epochs": 2,
    "training.learning_rate": 1e-2,
    "model.pcm.prior": False,
}


@pytest.fixture
def unlabelled(tmp_path) -> FeatureStore:
    rows = [{"path": f"/{number:02}.mp4", "label": None, "splits": ["train"]} for number in range(16)]
    return arm_store(tmp_path / "unlabelled", rows)


def pretrained(store: FeatureStore, out, **overrides):
    learning = tiny_experiment(**{**WITHOUT, **overrides}).learning
    return train_store(TrainingRequest(store=store.path, out=out, learning=learning))


def test_masked_motion_is_predicted_better_from_epoch_to_epoch(unlabelled, tmp_path):
    found = pretrained(unlabelled, tmp_path / "model", **{"training.num_epochs": 12})
    losses = [report.losses for report in found.history]
    assert set(losses[0]) == {"total", "completion", "prediction", "motion"}
    assert losses[-1]["motion"] < 0.9 * losses[0]["motion"]


def test_what_is_learned_tells_no_classes_and_is_a_start(unlabelled, tmp_path):
    model = tmp_path / "model"
    pretrained(unlabelled, model)
    kept = load_checkpoint(model)
    assert kept.classes == () and kept.network.cfn is None
    assert kept.learned_clips == {f"{number:02}" for number in range(16)}
    with pytest.raises(InputError, match="pretrained without labels and tells no classes"):
        Predictor(kept)
    labelled = arm_store(tmp_path / "labelled", [{"path": f"/x{number}.mp4"} for number in range(8)])
    learning = with_overrides(
        tiny_experiment(), {"training.init": str(model), "training.num_epochs": 1}
    ).learning
    result = train_store(TrainingRequest(store=labelled.path, out=tmp_path / "next", learning=learning))
    assert any("13 of 13 joints and 0 of 2 classes by name" in line for line in result.decisions)


def test_labels_change_nothing(unlabelled, tmp_path):
    pretrained(unlabelled, tmp_path / "one")
    rows = [{"path": f"/{number:02}.mp4", "splits": ["train"]} for number in range(16)]
    pretrained(arm_store(tmp_path / "labelled", rows), tmp_path / "other")
    one, other = (load_checkpoint(tmp_path / name).network.state_dict() for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_frames_are_masked_by_spans_of_the_asked_share(share):
    step = MaskedMotionStep(torch.nn.Identity(), dataclasses.replace(TrainingConfig(), masked_share=share))
    masked_BT = step._masked(10, RowRandom(0, 1, torch.arange(3)))
    assert masked_BT.shape == (3, 10) and masked_BT.float().mean() == share
