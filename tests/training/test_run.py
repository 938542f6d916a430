"""From a store to a checkpoint, and back."""

import dataclasses

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.features.tensors import clips_from_arrays, load_clips
from harray.skeleton import COCO17, PENN13
from harray.store import FeatureStore
from harray.training.checkpoint import load_checkpoint
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.evaluate import predict_probabilities
from harray.training.run import TrainingRequest, share_of, train_store
from tests.toys import TINY_MODEL, arm_store

PROVENANCE = Provenance(
    extraction={"poses": {"precision": "fp32", "image_size": 320}}, weights={"poses": "abc"}
)


def make_store(path, splits=("train", "test"), labels=("up", "down"), scene=True) -> FeatureStore:
    """Twelve clips a split: an arm goes up or down; three actors."""
    rows = [
        {
            "path": f"/{split}-{number}.mp4",
            "label": labels[number % 2] if labels else None,
            "group": f"a{number % 3}",
            "splits": [split] if split else [],
        }
        for split in splits or (None,)
        for number in range(12)
    ]
    return arm_store(path, rows, scene=scene, provenance=PROVENANCE)


def request(tmp_path, **changes) -> TrainingRequest:
    training = TrainingConfig(num_epochs=2, batch_size=8, device="cpu", val_share=0.34, state_sec=0)
    parts = {"model": TINY_MODEL, "training": training}
    learning = LearningConfig(
        **(parts | {name: changes.pop(name) for name in (*parts, "features") if name in changes})
    )
    values = {"store": tmp_path / "store", "out": tmp_path / "model", "learning": learning}
    return TrainingRequest(**(values | changes))


def test_a_store_becomes_a_checkpoint_that_predicts_the_same_after_loading(tmp_path):
    store = make_store(tmp_path / "store")
    reports = []
    result = train_store(request(tmp_path, experiment_yaml="a: 1\n"), reports.append)
    assert result.checkpoint == tmp_path / "model"
    assert result.num_epochs == len(reports) == 2
    assert result.val is not None
    assert result.val.num_clips == 4  # one of three actors carved out of train
    loaded = load_checkpoint(result.checkpoint)
    assert loaded.classes == ("down", "up")
    assert loaded.skeleton is PENN13
    assert loaded.scene_grid == (1, 2)
    assert loaded.model == TINY_MODEL
    assert loaded.features == FeaturesConfig()
    assert loaded.provenance == PROVENANCE
    assert loaded.store_digest == store.digest()
    assert loaded.learned_clips == frozenset(
        load_clips(store, ["train"]).clip_ids
    )  # the carved val among them
    clips = loaded.prepared(load_clips(store, ["test"], loaded.classes))
    first = predict_probabilities(loaded.network, clips, batch_size=5)
    again = predict_probabilities(load_checkpoint(result.checkpoint).network, clips)
    assert np.allclose(first, again, atol=1e-6)
    assert np.allclose(first.sum(axis=1), 1, atol=1e-5)
    assert (result.checkpoint / "experiment.yaml").read_text() == "a: 1\n"


def test_a_checkpoint_holds_no_pickle(tmp_path):
    make_store(tmp_path / "store")
    folder = train_store(request(tmp_path)).checkpoint
    assert sorted(file.name for file in folder.iterdir()) == [
        "calibration.json",
        "checkpoint.yaml",
        "clips.txt",
        "model.safetensors",
    ]
    assert yaml.safe_load((folder / "checkpoint.yaml").read_text())["format"] == 3


@pytest.mark.slow
def test_stores_without_scenes_without_splits_or_with_val_are_trained_on(tmp_path):
    make_store(tmp_path / "bare", splits=(), scene=False)
    assert train_store(request(tmp_path, store=tmp_path / "bare")).val is not None
    assert load_checkpoint(tmp_path / "model").network.cfn is None
    make_store(tmp_path / "whole", splits=("train", "val"))
    result = train_store(request(tmp_path, store=tmp_path / "whole"))
    assert result.val is not None
    assert result.val.num_clips == 12
    training = TrainingConfig(num_epochs=1, val_share=0.0, train_split="train+val")
    assert train_store(request(tmp_path, store=tmp_path / "whole", training=training)).val is None
    training = TrainingConfig(num_epochs=1, val_share=0.0)
    assert train_store(request(tmp_path, store=tmp_path / "bare", training=training)).val is None


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_state_file(tmp_path):
    make_store(tmp_path / "store")
    expected = train_store(request(tmp_path))
    state, epochs = tmp_path / "state.pt", []

    def stop_after_first(report):
        epochs.append(report.epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_store(request(tmp_path), stop_after_first, state)
    result = train_store(request(tmp_path), lambda report: epochs.append(report.epoch), state)
    assert epochs == [1, 2, 2]
    assert result.val == expected.val
    again = train_store(request(tmp_path), lambda report: epochs.append(report.epoch), state)
    assert epochs == [1, 2, 2]  # it was over, and only the checkpoint had to be written
    assert again.history == result.history


def test_the_state_of_another_training_is_refused(tmp_path):
    make_store(tmp_path / "store")
    state = tmp_path / "state.pt"

    def interrupt(report):
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_store(request(tmp_path), interrupt, state)
    other = dataclasses.replace(request(tmp_path).learning.training, seed=5)
    with pytest.raises(InputError, match="other settings or clips"):
        train_store(request(tmp_path, training=other), state_file=state)
    state.write_text("no state")
    with pytest.raises(InputError, match="cannot be read"):
        train_store(request(tmp_path), state_file=state)


@pytest.mark.parametrize(
    ("store", "changes", "message"),
    [
        ({}, {"training": TrainingConfig(train_split="fold1")}, "no split 'fold1'"),
        ({"labels": None}, {}, "fewer than two labels"),
        ({"labels": ("up", "up")}, {}, "fewer than two labels"),
    ],
)
def test_stores_that_cannot_be_trained_on_are_refused(tmp_path, store, changes, message):
    make_store(tmp_path / "store", **store)
    with pytest.raises(InputError, match=message):
        train_store(request(tmp_path, **changes))


def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    make_store(tmp_path / "store")
    with pytest.raises(InputError, match="torch finds no GPU"):
        train_store(request(tmp_path, training=TrainingConfig(device="cuda")))


@pytest.fixture
def folder(tmp_path):
    make_store(tmp_path / "store")
    return train_store(request(tmp_path, training=TrainingConfig(num_epochs=1))).checkpoint


def test_wrong_models_are_refused_in_one_line(folder, tmp_path):
    cases = {"no such folder": tmp_path / "nowhere", "no checkpoint.yaml": tmp_path}
    for message, path in cases.items():
        with pytest.raises(InputError, match=message):
            load_checkpoint(path)
    about = yaml.safe_load((folder / "checkpoint.yaml").read_text())
    (folder / "checkpoint.yaml").write_text(yaml.safe_dump(about | {"classes": ["one"]}))
    with pytest.raises(InputError, match="damaged or do not match") as refusal:
        load_checkpoint(folder)
    assert "\n" not in str(refusal.value)
    (folder / "checkpoint.yaml").write_text(yaml.safe_dump(about | {"format": 99}))
    with pytest.raises(InputError, match="format 99, expected 3"):
        load_checkpoint(folder)
    (folder / "checkpoint.yaml").write_text(yaml.safe_dump(about))
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(folder)


def test_a_checkpoint_of_the_format_before_members_answers_as_it_did(folder):
    now = load_checkpoint(folder)
    weights = {
        name.replace(".members.0.", ".")
        .replace("people.0.", "people.")
        .replace("motion.0.", "motion."): value
        for name, value in now.network.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    about = yaml.safe_load((folder / "checkpoint.yaml").read_text()) | {"format": 2}
    (folder / "checkpoint.yaml").write_text(yaml.safe_dump(about))
    before = load_checkpoint(folder).network.state_dict()
    assert before.keys() == now.network.state_dict().keys() != weights.keys()
    assert all(torch.equal(value, before[name]) for name, value in now.network.state_dict().items())


@pytest.mark.parametrize(
    ("shape", "skeleton", "message"),
    [
        ((1, 1, 8, 17, 3), COCO17, r"their skeleton is coco17 \(17 joints\)"),
        ((1, 1, 8, 13, 4), PENN13, "3 coordinates, expected 2"),
        ((1, 1, 9, 13, 3), PENN13, "9 frames each, expected 8"),
        ((1, 2, 8, 13, 3), PENN13, "they hold 2 people"),
    ],
)
def test_clips_that_do_not_fit_the_model_are_refused(folder, shape, skeleton, message):
    clips = clips_from_arrays(np.zeros(shape, np.float32), skeleton=skeleton)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder).prepared(clips)


def test_places_that_no_clip_fills_are_left_out_of_training_but_not_out_of_the_model():
    keypoints = np.ones((3, 3, 4, 13, 3), np.float32)
    keypoints[:, 2, ..., 2] = 0.0  # nobody is third
    keypoints[1, 1, ..., 2] = 0.0
    clips = clips_from_arrays(keypoints, skeleton=PENN13)
    share = share_of(clips, FeaturesConfig())
    assert share.clips.keypoints_NPTKC.shape == (3, 2, 4, 13, 2)
    assert share.clips.visible_NPTK[:, 1].any(dim=(1, 2)).tolist() == [True, False, True]
    nobody = share_of(clips_from_arrays(keypoints * 0, skeleton=PENN13), FeaturesConfig())
    assert nobody.clips.visible_NPTK.shape == (3, 1, 4, 13)
