"""2D and 3D keypoints of the same clips in one store, looked at together and each alone."""

import dataclasses

import numpy as np
import pytest
import torch

from harray.api.cross_validate import CrossValidateOptions, plan_comparison, run_plan
from harray.config import with_overrides
from harray.errors import InputError
from harray.evaluation.evaluate import evaluate
from harray.experiment import ExperimentConfig
from harray.features.tensors import load_clips
from harray.inference import Predictor
from harray.interchange.skeleton_import import ImportOptions, import_skeletons
from harray.skeleton import KINECT20, PENN13
from harray.store import FeatureStore
from harray.training.run import TrainingRequest, train_store
from tests.toys import TINY

pytestmark = pytest.mark.slow

SMALL = {
    **TINY,
    "training.num_epochs": 16,
    "training.batch_size": 8,
    "training.learning_rate": 8e-3,
    "features.augmentation.enabled": False,
}
EXPERIMENT = with_overrides(ExperimentConfig(), SMALL)
NUM_CLIPS, NUM_FRAMES = 48, 8


def body(layout):
    """A standing figure in metres `[joints, 3]`: joints of one name stand in the same place in every layout."""
    return np.stack(
        [np.random.default_rng(sum(map(ord, name))).uniform(-0.8, 0.8, 3) for name in layout.joints]
    )


def pair(number):
    """A clip of one of four actions in pixels and in metres.

    The right wrist comes nearer or goes away, which a picture does not show; the left one goes left or right, but
    the depth sensor has lost it.
    """
    random = np.random.default_rng(number)
    action = number % 4
    way_TC = np.linspace(0, 0.8, NUM_FRAMES)[:, None]
    content = {}
    for coordinates, layout in ((2, PENN13), (3, KINECT20)):
        keypoints = np.repeat(body(layout)[None], NUM_FRAMES, axis=0)
        right, left = layout.joints.index("right_wrist"), layout.joints.index("left_wrist")
        keypoints[:, [right], 2] += way_TC * (1 if action < 2 else -1)
        keypoints[:, [left], 0] += way_TC * (1 if action % 2 else -1)
        keypoints = keypoints[..., :coordinates] + random.normal(0, 0.02, (*keypoints.shape[:2], coordinates))
        keypoints = keypoints * 100 + 150 if coordinates == 2 else keypoints + 3
        if coordinates == 3:
            keypoints[:, left] = 0
        content[coordinates] = keypoints[None].astype(np.float32)
    return action, content


@pytest.fixture(scope="module")
def pickles(tmp_path_factory):
    import pickle

    folder = tmp_path_factory.mktemp("pickles")
    clips = {2: [], 3: []}
    for number in range(NUM_CLIPS):
        action, content = pair(number)
        for coordinates, keypoints in content.items():
            clip = {"frame_dir": f"c{number:02}", "label": action, "total_frames": NUM_FRAMES}
            clip |= {"keypoint": keypoints, "group": f"actor{number // 4 % 6}"}
            clips[coordinates].append(clip | ({"img_shape": (300, 300)} if coordinates == 2 else {}))
    paths = {}
    for coordinates, annotations in clips.items():
        paths[coordinates] = folder / f"{coordinates}d.pkl"
        names = [clip["frame_dir"] for clip in annotations]
        content = {"annotations": annotations, "split": {"train": names, "test": names}}
        paths[coordinates].write_bytes(pickle.dumps(content))
    return paths


@pytest.fixture(scope="module")
def store(pickles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both") / "store"
    how = ImportOptions(num_frames=NUM_FRAMES, max_people=1, also=pickles[3])
    imported = import_skeletons(pickles[2], folder, how)
    assert (imported.skeleton, imported.second_skeleton) == ("penn13", "kinect20")
    assert import_skeletons(pickles[2], folder, how).computed == 0
    return FeatureStore.open(folder)


def test_both_kinds_of_keypoints_stand_beside_each_other(store):
    clips = load_clips(store)
    assert clips.second is not None
    assert clips.keypoints_NPTKC.shape == (NUM_CLIPS, 1, NUM_FRAMES, 13, 2)
    assert clips.second.keypoints_NPTKC.shape == (NUM_CLIPS, 1, NUM_FRAMES, 20, 3)
    _, content = pair(5)
    np.testing.assert_array_equal(clips.second.keypoints_NPTKC[5], content[3])
    assert not clips.second.confidence_NPTK[:, :, :, KINECT20.joints.index("left_wrist")].any()
    some = clips.select([7, 5])
    assert some.second is not None
    assert torch.equal(some.second.keypoints_NPTKC[1], clips.second.keypoints_NPTKC[5])
    assert clips.looked_at("3d").skeleton is KINECT20


def test_two_streams_together_tell_what_neither_tells_alone(store, tmp_path):
    one_kind = [f"features.keypoints={which}" for which in ("2d", "3d")]
    options = CrossValidateOptions(num_folds=2, num_seeds=1, variants=one_kind)
    found = run_plan(plan_comparison(store, EXPERIMENT, options), tmp_path, num_workers=0).variants
    top1 = {
        name.removeprefix("features.keypoints="): scores.parts["fusion"].top1.mean
        for name, scores in found.items()
    }
    assert top1["full"] >= 0.85, top1
    assert top1["2d"] <= 0.7, top1  # two actions look alike
    assert top1["3d"] <= 0.7, top1  # other two are told apart by the lost hand alone


def trained(store, experiment, folder) -> Predictor:
    """A model of these settings, read back from its checkpoint."""
    request = TrainingRequest(
        store=store.path,
        out=folder,
        learning=experiment.learning,
    )
    train_store(request)
    return Predictor.load(folder)


def test_a_model_of_both_is_saved_and_loaded_and_answers_where_one_kind_lacks(store, pickles, tmp_path):
    experiment = with_overrides(EXPERIMENT, {"training.num_epochs": 2, "features.augmentation.enabled": True})
    predictor = trained(store, experiment, tmp_path / "model")
    clips = load_clips(store)
    said = predictor.predict_clips(clips)
    assert said.probabilities_NA.shape == (NUM_CLIPS, 4)
    assert said.completed_NPTKC is not None
    assert said.completed_NPTKC.shape[-2:] == (13, 2)
    # The second stream has a say; where it shows nobody, it is as if it were not there.
    unseen = dataclasses.replace(clips.second, confidence_NPTK=torch.zeros_like(clips.second.confidence_NPTK))
    without = predictor.predict_clips(dataclasses.replace(clips, second=unseen)).probabilities_NA
    assert np.isfinite(without).all()
    assert not np.allclose(without, said.probabilities_NA)
    assert predictor.without_pcm().predict_clips(clips).probabilities_NA.shape == (NUM_CLIPS, 4)
    import_skeletons(pickles[2], tmp_path / "flat", ImportOptions(num_frames=NUM_FRAMES, max_people=1))
    flat = load_clips(FeatureStore.open(tmp_path / "flat"))
    np.testing.assert_allclose(predictor.predict_clips(flat).probabilities_NA, without, atol=1e-5)
    with pytest.raises(InputError, match=r"features\.keypoints=3d: these clips have none"):
        flat.looked_at("3d")


def test_a_model_of_one_kind_evaluates_on_a_store_of_both(store, tmp_path):
    experiment = with_overrides(EXPERIMENT, {"training.num_epochs": 1, "features.keypoints": "3d"})
    predictor = trained(store, experiment, tmp_path / "model")
    assert predictor.checkpoint.skeleton is KINECT20
    assert predictor.network.second is None
    assert evaluate(predictor, store, "test", model="m").scores.num_clips == NUM_CLIPS


def test_the_commands_say_that_there_are_two(store, pickles, harray, tmp_path):
    options = ("--also", pickles[3], "--store", tmp_path / "store", "--frames", NUM_FRAMES, "--people", 1)
    ending = harray("skeleton", "import", pickles[2], *options)
    assert ending.code == 0, ending.err
    assert "48 clips of penn13 and kinect20 skeletons" in ending.out
    assert "beside them skeleton kinect20, keypoints 1x8x20x4" in harray("store", "info", store.path).out
    assert harray("store", "verify", store.path).code == 0
    ending = harray("skeleton", "export", "--store", store.path, tmp_path / "out.pkl")
    assert ending.code == 0, ending.err
    assert "kinect20 left out" in ending.err


@pytest.mark.parametrize(
    ("first", "also", "words"),
    [
        (2, 2, "its keypoints are 2D as those of"),
        (3, 3, "its keypoints are 3D as those of"),
        (2, None, "no such file"),
    ],
)
def test_what_cannot_stand_beside_is_refused_and_leaves_no_store(pickles, tmp_path, first, also, words):
    how = ImportOptions(also=pickles.get(also, tmp_path / "gone.pkl"))
    with pytest.raises(InputError, match=words):
        import_skeletons(pickles[first], tmp_path / "store", how)
    assert not (tmp_path / "store").exists()


def test_a_clip_under_two_labels_is_refused_and_one_without_its_pair_is_told_of(saved, clip_fields, tmp_path):
    first = saved([clip_fields("a"), clip_fields("b", 1)], "first.pkl")
    other = saved([clip_fields("a", coordinates=3, joints=20, label=1)], "other.pkl")
    with pytest.raises(InputError, match="a has label 1, but 0 in"):
        import_skeletons(first, tmp_path / "store", ImportOptions(also=other))
    strange = saved([clip_fields("z", coordinates=3, joints=20)], "strange.pkl")
    with pytest.raises(InputError, match="no frame_dir in common"):
        import_skeletons(first, tmp_path / "store", ImportOptions(also=strange))
    good = saved([clip_fields("a", coordinates=3, joints=20)], "good.pkl")
    imported = import_skeletons(first, tmp_path / "store", ImportOptions(also=good))
    assert any("1 of 2 clips are not in" in message for message in imported.messages)
    clips = load_clips(FeatureStore.open(tmp_path / "store"))
    assert clips.second is not None
    assert clips.second.confidence_NPTK.flatten(1).any(dim=1).tolist() == [True, False]
