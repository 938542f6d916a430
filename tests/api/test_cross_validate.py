"""Cross-validation for real: tiny trainings through Ray, gone on with, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from harray.api.cross_validate import CrossValidateOptions, plan_comparison, run_plan
from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.tracking.location import connect
from harray.validation.cross_validation import train_fold
from tests.reporters import Recorder
from tests.toys import TINY, arm_store

SMALL = {
    **TINY,
    "training.num_epochs": 8,
    "training.batch_size": 4,
    "training.learning_rate": 1e-2,
    "features.augmentation.enabled": False,
}
EXPERIMENT = with_overrides(ExperimentConfig(), SMALL)


@pytest.fixture
def store(tmp_path):
    """24 clips of four actors: an arm goes up or down before a scene that says nothing; one clip has no label."""
    rows = [
        {"path": f"/{number:02}", "group": f"actor{number // 2 % 4}", "splits": ["train"]}
        for number in range(25)
    ]
    rows[24]["label"] = None
    return arm_store(tmp_path / "store", rows)


def planned(store, **options):
    return plan_comparison(store, EXPERIMENT, CrossValidateOptions(**options))


def test_every_variant_seed_and_fold_is_trained_once_and_gone_on_with(ray_cluster, store, tmp_path):
    plan = planned(store, num_folds=2, num_seeds=2, without=["pcm"], hide=["0.5"])
    assert len(plan.trainings) == 8
    told = Recorder()
    found = run_plan(plan, tmp_path, reporter=told)
    assert [update[1:3] for update in told.updates] == [(done, 8) for done in range(9)]
    full = found.variants["full"]
    assert list(full.parts) == ["fusion", "pose_only", "scene_only", "scene_noise", "joints hidden 50%"]
    assert full.parts["pose_only"].top1.values_SF.shape == (2, 2)
    assert full.parts["fusion"].top1.mean > 0.8 > full.parts["scene_only"].top1.mean
    assert list(found.floors) == ["majority", "linear_scene", "linear_pose", "linear_product"]
    assert found.floors["linear_pose"].top1.values_SF.shape == (1, 2)
    assert found.floors["linear_pose"].top1.mean == 1 > found.floors["linear_scene"].top1.mean
    files = sorted((tmp_path / "cross-validation").iterdir())
    assert len(files) == 8
    files[0].unlink()
    told = Recorder()
    again = run_plan(plan, tmp_path, num_workers=0, reporter=told)
    assert [update[1:3] for update in told.updates] == [(7, 8), (8, 8)]
    for name, scores in found.variants.items():
        for part, values in scores.parts.items():
            assert np.array_equal(again.variants[name].parts[part].top1.values_SF, values.top1.values_SF)


@pytest.mark.slow
def test_the_held_out_clips_are_not_trained_on(store):
    """Their labels turned around, the same network is trained, and it is as wrong as it was right."""
    (training, _) = planned(store, num_folds=2, num_seeds=1).trainings
    before = train_fold(training)
    rows = store.read(columns=[]).select(["path", "clip_id", "group", "splits", "label"]).to_pylist()
    for place in training.held_out:
        rows[place]["label"] = {"up": "down", "down": "up"}[rows[place]["label"]]
    store.append_ledger([{**row, "status": "extracted"} for row in rows])
    after = train_fold(training)
    for part, probabilities in before.probabilities.items():
        np.testing.assert_array_equal(probabilities, after.probabilities[part])


def test_a_split_can_stand_in_place_of_folds(tmp_path):
    rows = [{"path": f"/{number}", "splits": ["test" if number > 7 else "train"]} for number in range(12)]
    store = arm_store(tmp_path / "store", rows)
    plan = planned(store, score_split="test", num_seeds=2, without=["pcm"], hide=["all"])
    paths = store.read(["train", "test"], columns=[])["path"].to_pylist()
    assert [[paths[place] for place in fold] for fold in plan.folds.places] == [["/10", "/11", "/8", "/9"]]
    assert len(plan.trainings) == 4
    assert len(plan.trainings[0].occlusions) == 5 * 4
    with pytest.raises(InputError, match="no split 'val'"):
        planned(store, score_split="val")
    with pytest.raises(InputError, match="expected some to score and others of 'train' to train on"):
        planned(store, score_split="train")


def test_leaving_one_group_out_holds_out_every_actor(store):
    plan = planned(store, num_folds=None, num_seeds=1)
    assert [len(fold) for fold in plan.folds.places] == [6] * 4
    assert plan.folds.tied_by == "groups"


def test_a_training_is_told_apart_by_all_that_decides_it(store):
    (training, other) = planned(store, num_folds=2, num_seeds=1).trainings
    renamed = dataclasses.replace(training, variant="another name of it")
    hiding = dataclasses.replace(training, occlusions=(("joints", 0.5),))
    assert training.key == renamed.key
    assert len({training.key, other.key, hiding.key}) == 3


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"num_folds": 5}, "found 4 groups, expected at least 5"),
        ({"splits": ["val"]}, "no split 'val'"),
    ],
)
def test_what_cannot_be_dealt_is_refused_before_anything_starts(store, how, words):
    with pytest.raises(InputError, match=words):
        planned(store, **how)


def test_more_workers_than_the_cluster_holds_are_refused(ray_cluster, store, tmp_path):
    plan = planned(store, num_folds=2, num_seeds=2)
    with pytest.raises(InputError, match=r"4 trainings at once needs 4 CPU .* use fewer --workers"):
        run_plan(plan, tmp_path, num_workers=64)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--without", "pcmm"), ["pcmm", "pcm-linear"]),
        (("--variant", "model.mme.wdth=8"), ["model.mme.wdth", "model.mme.width"]),
        (("--hide", "legs:0.5"), ["legs:0.5", "limbs"]),
        (("--hide", "50"), ["'50'", "[0, 1]"]),
        (("--folds", 9), ["found 4 groups", "--folds"]),
        (("--splits", "test"), ["no split 'test'", "train"]),
    ],
)
def test_the_command_refuses_in_one_line(store, harray, tmp_path, arguments, words):
    ending = harray("cross-validate", "--store", store.path, "--out", tmp_path, "--folds", 4, *arguments)
    assert ending.code == 2
    assert all(word in ending.err.splitlines()[-1] for word in words)


@pytest.mark.slow
def test_scripts_find_their_keys_and_people_a_table(store, harray, tmp_path):
    overrides = [f"{name}={value}" for name, value in {**SMALL, "training.num_epochs": 1}.items()]
    ending = harray(
        *("cross-validate", "--store", store.path, "--folds", 2, "--seeds", 1, "--workers", 0, "--json"),
        *("--out", tmp_path, "--variant", "model.mme.differences=false", "--hide", "limbs:0.3", *overrides),
    )
    assert ending.code == 0, ending.err
    assert (ending.json["num_clips"], ending.json["num_folds"], ending.json["grouped"]) == (24, 2, True)
    without = ending.json["variants"]["model.mme.differences=false"]
    assert set(without) == {"train_sec", "parts", "calibration"}
    assert set(without["parts"]) == {"fusion", "pose_only", "scene_only", "scene_noise", "limbs hidden 30%"}
    keys = {"top1", "macro_f1", "pooled_top1", "pooled_macro_f1", "top1_less_than_full"}
    assert set(without["parts"]["fusion"]) == keys
    assert set(without["parts"]["fusion"]["top1"]) == {"mean", "std_folds", "std_seeds", "values"}
    assert set(ending.json["floors"]) == {"majority", "linear_scene", "linear_pose", "linear_product"}
    assert set(ending.json["floors"]["majority"]) == keys - {"top1_less_than_full"}
    assert "linear product" in ending.out + ending.err
    (verdict,) = [line for line in ending.err.splitlines() if line.startswith("verdict: ")]
    assert verdict == f"verdict: {ending.json['verdicts']['model.mme.differences=false']}"
    run = connect(f"sqlite:///{tmp_path}/mlflow.db").get_run(ending.json["run_id"])
    assert run.data.tags["harray.kind"] == "cross-validate"
    assert (
        run.data.metrics["full.fusion.top1"]
        == ending.json["variants"]["full"]["parts"]["fusion"]["top1"]["mean"]
    )
    assert "24 clips of 2 classes in 2 folds, groups held out together; 1 seeds" in ending.err
