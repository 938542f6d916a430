"""An evaluation's floors: learned from the clips that the model learned from, never from those that are scored."""

import pytest

from harray.evaluation.evaluate import clips_for, evaluate, learned_clips
from harray.inference import Predictor
from harray.store import FeatureStore
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import TrainingRequest, train_store
from tests.toys import TINY_MODEL, arm_store


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[FeatureStore, Predictor]:
    """Twelve clips each to train on, to select by and to test; an arm goes up or down."""
    folder = tmp_path_factory.mktemp("evaluate")
    splits = ("train", "val", "test")
    rows = [{"path": f"/{number:02}.mp4", "splits": [splits[number // 12]]} for number in range(36)]
    store = arm_store(folder / "store", rows)
    training = TrainingConfig(num_epochs=1, device="cpu")
    request = TrainingRequest(
        store=store.path, out=folder / "model", learning=LearningConfig(model=TINY_MODEL, training=training)
    )
    return store, Predictor.load(train_store(request).checkpoint)


@pytest.mark.parametrize(
    ("split", "learned"),
    [("test", range(24)), ("val", range(12)), ("train", range(12, 24))],
)
def test_floors_learn_from_what_the_model_learned_from_less_what_is_scored(trained, split, learned):
    store, predictor = trained
    found = learned_clips(predictor, store, clips_for(predictor, store, split))
    assert found is not None
    assert found.clip_ids == [f"{number:02}" for number in learned]


def test_the_report_holds_the_floors_beside_the_model(trained):
    store, predictor = trained
    report = evaluate(predictor, store, "test", model="m", occlusion=False)
    assert list(report.floors) == ["majority", "linear_scene", "linear_pose", "linear_product"]
    assert report.floors["linear_pose"].top1 == 1.0 > report.floors["linear_scene"].top1
    assert report.floors["majority"].top1 == 0.5
    assert report.num_floor_clips == 24


def test_a_store_without_the_models_clips_has_no_floors(trained, tmp_path):
    _, predictor = trained
    elsewhere = arm_store(
        tmp_path / "elsewhere", [{"path": f"/x{number}", "splits": ["test"]} for number in (0, 1)]
    )
    report = evaluate(predictor, elsewhere, "test", model="m", occlusion=False)
    assert (report.floors, report.num_floor_clips) == ({}, 0)
