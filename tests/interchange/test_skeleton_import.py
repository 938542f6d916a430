from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from harray.api.cross_validate import CrossValidateOptions, plan_comparison
from harray.config import with_overrides
from harray.errors import InputError
from harray.evaluation.evaluate import evaluate
from harray.evaluation.occlusion import occlusion_curves
from harray.experiment import ExperimentConfig
from harray.features.config import FeaturesConfig
from harray.features.tensors import load_clips, normalised
from harray.inference import Predictor
from harray.interchange import skeleton_import
from harray.interchange.pickles import read_skeletons
from harray.interchange.skeleton_import import ImportOptions, import_skeletons
from harray.store import FeatureStore
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import TrainingRequest, train_store
from tests.reporters import Recorder
from tests.toys import TINY_MODEL

FEW = ImportOptions(num_frames=4)


def test_annotations_become_clips_of_an_ordinary_store(saved, clip_fields, tmp_path):
    content = {
        "split": {"test1": ["b"], "sub_train": ["a", "b"]},
        "annotations": [clip_fields("b", 1, label=1), clip_fields("a", 2, people=3, frames=9)],
        "skeleton": "coco17",
        "label_map": ["run", "sit"],
    }
    path = saved(content)
    imported = import_skeletons(path, tmp_path / "store", FEW)
    assert (imported.inputs, imported.extracted, imported.quarantined, imported.computed) == (2, 2, 0, 2)
    assert imported.messages == []
    store = FeatureStore.open(tmp_path / "store")
    assert (store.settings.skeleton, store.settings.keypoints_shape) == ("coco17", (2, 4, 17, 3))
    a, b = store.read(columns=["frame_index", "frame_sec", "height_px", "width_px"]).to_pylist()
    assert (a["path"], b["path"]) == (f"{path}#a", f"{path}#b")
    assert (a["label"], b["label"]) == ("run", "sit")
    assert (a["splits"], b["splits"]) == (["sub_train"], ["sub_train", "test1"])
    assert (a["group"], a["dataset"]) == (None, "skeleton")
    assert a["frame_index"] == [0, 3, 5, 8]
    assert a["frame_sec"] == [0, 0.12, 0.2, 0.32]
    assert (a["height_px"], a["width_px"]) == (240, 320)
    clips = load_clips(store)
    first = content["annotations"][0]
    np.testing.assert_array_equal(clips.keypoints_NPTKC[1, 0].numpy(), first["keypoint"][0, [0, 1, 3, 4]])
    np.testing.assert_array_equal(
        clips.confidence_NPTK[1, 0].numpy(), first["keypoint_score"][0, [0, 1, 3, 4]]
    )
    assert not clips.confidence_NPTK[1, 1].any()


def test_importing_twice_writes_nothing_and_the_same_clip_under_two_names_is_one(
    saved, clip_fields, tmp_path
):
    path = saved([clip_fields("a"), clip_fields("copy"), clip_fields("other", 1)])
    assert import_skeletons(path, tmp_path / "store", FEW).computed == 2
    files = sorted((tmp_path / "store").rglob("*.parquet"))
    again = import_skeletons(path, tmp_path / "store", FEW)
    assert (again.inputs, again.extracted, again.computed) == (3, 3, 0)
    assert sorted((tmp_path / "store").rglob("*.parquet")) == files
    info = FeatureStore.open(tmp_path / "store").info()
    assert (info.num_inputs, info.num_clips) == (3, 2)


def test_a_corrected_label_needs_no_second_clip(saved, clip_fields, tmp_path):
    import_skeletons(
        saved({"annotations": [clip_fields("a")], "label_map": ["runn"]}), tmp_path / "store", FEW
    )
    path = saved({"annotations": [clip_fields("a")], "label_map": ["run"], "split": {"val": ["a"]}})
    assert import_skeletons(path, tmp_path / "store", FEW).computed == 0
    (row,) = FeatureStore.open(tmp_path / "store").ledger().to_pylist()
    assert (row["label"], row["splits"]) == ("run", ["val"])


@pytest.mark.parametrize("name", ["clips.pkl", "mended.pkl"])
def test_a_clip_that_moves_to_another_split_stands_in_it_alone(name, saved, clip_fields, tmp_path):
    wrong = {"annotations": [clip_fields("a"), clip_fields("b", 1)], "split": {"train": ["a", "b"]}}
    first = saved(wrong)
    import_skeletons(first, tmp_path / "store", FEW)
    right = {"annotations": [clip_fields("renamed")], "split": {"test": ["renamed"]}}
    first.unlink()
    again = import_skeletons(saved(right, name), tmp_path / "store", FEW)
    store = FeatureStore.open(tmp_path / "store")
    where = {(row["path"].split("#")[1], *row["splits"]) for row in store.ledger().to_pylist()}
    assert where == {("renamed", "test")} | ({("b", "train")} if name == "mended.pkl" else set())
    assert any("retired" in message for message in again.messages)
    assert len(load_clips(store, ["test"])) == 1


def test_pickles_that_deal_the_same_clips_otherwise_stand_side_by_side(saved, clip_fields, tmp_path):
    for view, split in (("xsub", "train"), ("xview", "test")):
        content = {"annotations": [clip_fields("a")], "split": {f"{view}_{split}": ["a"]}}
        imported = import_skeletons(saved(content, f"{view}.pkl"), tmp_path / "store", FEW)
        assert not any("retired" in message for message in imported.messages)
    assert FeatureStore.open(tmp_path / "store").splits() == ["xsub_train", "xview_test"]


@pytest.mark.parametrize("people", [1, 2])
def test_a_joint_that_coordinates_start_from_is_seen(people, saved, clip_fields, tmp_path):
    centred = clip_fields("a", joints=25, coordinates=3, keypoint_score=None, people=people)
    centred["keypoint"][:] -= centred["keypoint"].mean(2, keepdims=True)
    centred["keypoint"][0, :, 0] = 0
    nobody = clip_fields("b", 1, joints=25, coordinates=3, keypoint_score=None)
    nobody["keypoint"][:] = 0
    imported = import_skeletons(saved([centred, nobody]), tmp_path / "store", FEW)
    assert imported.messages == [
        "skeleton ntu25, for its 25 joints in 3D; --skeleton says otherwise",
        "spine_base: 0 in every frame; taken for where coordinates start, not for missing",
        "1 clips show nobody",
    ]
    confidence_NPTK = load_clips(FeatureStore.open(tmp_path / "store")).confidence_NPTK
    assert (confidence_NPTK[0, 0] == 1).all()
    assert not confidence_NPTK[1].any()


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({}, []),
        (
            {"keypoint_score": np.ones((1, 5, 25))},
            ["20 joints (16.0%) lie at 0 beside a body, with scores up to 1; they count as missing"],
        ),
    ],
)
def test_joints_that_are_always_0_beside_a_body_elsewhere_are_missing(
    changes, messages, saved, clip_fields, tmp_path
):
    fields = clip_fields("a", joints=25, coordinates=3, **({"keypoint_score": None} | changes))
    fields["keypoint"][:, :, 21:] = 0  # the body stands at 1 to 240
    imported = import_skeletons(
        saved({"annotations": [fields], "skeleton": "ntu25"}), tmp_path / "store", FEW
    )
    assert imported.messages == messages
    confidence_NPTK = load_clips(FeatureStore.open(tmp_path / "store")).confidence_NPTK
    assert not confidence_NPTK[0, 0, :, 21:].any()
    assert confidence_NPTK[0, 0, :, :21].all()


def test_joints_at_0_with_a_score_move_no_other_joint(saved, clip_fields, tmp_path):
    """Today's ultralytics writes (0, 0) with scores of .3 to .5 for what it did not find."""
    whole = clip_fields("a", frames=8, keypoint_score=np.full((1, 8, 17), 0.9))
    lost = clip_fields("b", frames=8, keypoint_score=np.full((1, 8, 17), 0.9))
    lost["keypoint"][:, 2:6, 7:11] = 0
    lost["keypoint_score"][:, 2:6, 7:11] = 0.45
    truth = clip_fields("c", frames=8, keypoint_score=np.full((1, 8, 17), 0.9))
    truth["keypoint_score"][:, 2:6, 7:11] = 0
    options = ImportOptions(num_frames=8)
    said = import_skeletons(
        saved({"annotations": [whole, lost, truth], "skeleton": "coco17"}), tmp_path / "s", options
    )
    assert said.messages == [
        "16 joints (3.9%) lie at 0 beside a body, with scores up to 0.45; they count as missing"
    ]
    clips = normalised(load_clips(FeatureStore.open(tmp_path / "s")), FeaturesConfig())
    _, second, third = (clips.keypoints_NPTKC[i] for i in range(3))
    assert not clips.visible_NPTK[1, 0, 2:6, 7:11].any()
    np.testing.assert_allclose(second, third, atol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "num_names", "named", "words"),
    [
        ([1, 2, 3], 3, ["c0", "c1", "c2"], "labels run from 1 to 3"),
        ([0, 1, 2], 3, ["c0", "c1", "c2"], None),
        ([1, 2], 4, ["c1", "c2"], "no clip has label 0, c0; if labels count from 1"),
        ([2, 3], 4, ["c2", "c3"], None),
    ],
)
def test_labels_that_count_from_1_are_seen_by_the_number_of_names(
    numbers, num_names, named, words, saved, clip_fields, tmp_path
):
    annotations = [clip_fields(f"v{number}", number, label=number) for number in numbers]
    content = {
        "annotations": annotations,
        "label_map": [f"c{i}" for i in range(num_names)],
        "skeleton": "coco17",
    }
    imported = import_skeletons(saved(content), tmp_path / "store", FEW)
    rows = FeatureStore.open(tmp_path / "store").ledger().to_pylist()
    assert sorted(row["label"] for row in rows) == named
    assert [message for message in imported.messages if "label" in message] == imported.messages
    assert bool(imported.messages) == bool(words)
    assert not words or words in imported.messages[0]


def test_scores_that_would_hide_most_joints_are_said(saved, clip_fields, tmp_path):
    unsure = clip_fields("a", keypoint_score=np.full((1, 5, 17), 0.2))
    (message,) = import_skeletons(
        saved({"annotations": [unsure], "skeleton": "coco17"}), tmp_path / "store", FEW
    ).messages
    assert "100% of the joints have scores under 0.3" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"keypoint_score": None},
        {"img_shape": (480, 640)},
        {"frame_sec": np.arange(5) / 30},
        {"keypoint": np.ones((1, 5, 17, 2))},
    ],
)
def test_a_clip_that_differs_in_anything_is_another(saved, clip_fields, tmp_path, changes):
    import_skeletons(saved([clip_fields("a")]), tmp_path / "store", FEW)
    assert import_skeletons(saved([clip_fields("a", **changes)]), tmp_path / "store", FEW).computed == 1


def test_a_store_grows_by_other_pickles_and_refuses_other_settings(saved, clip_fields, tmp_path):
    import_skeletons(saved([clip_fields("a")]), tmp_path / "store", FEW)
    import_skeletons(saved([clip_fields("b", 1)], "more.pkl"), tmp_path / "store", FEW)
    with pytest.raises(InputError, match="keypoints_shape"):
        import_skeletons(saved([clip_fields("a")]), tmp_path / "store", ImportOptions(num_frames=8))
    with pytest.raises(InputError, match="skeleton coco17 in the store, penn13 now"):
        import_skeletons(saved([clip_fields("c", joints=13)]), tmp_path / "store", FEW)
    assert FeatureStore.open(tmp_path / "store").info().num_inputs == 2


def test_a_large_pickle_is_written_in_several_shards_and_progress_is_told(
    saved, clip_fields, tmp_path, monkeypatch
):
    monkeypatch.setattr(skeleton_import, "CLIPS_PER_SHARD", 2)
    told = Recorder()
    path = saved([clip_fields(str(i), i) for i in range(5)])
    import_skeletons(path, tmp_path / "store", FEW, told)
    assert [update[1:3] for update in told.updates] == [(2, 5), (4, 5), (5, 5)]
    assert len(list((tmp_path / "store" / "clips").glob("*.parquet"))) == 3
    assert len(FeatureStore.open(tmp_path / "store").read()) == 5


@pytest.mark.parametrize(
    ("joints", "named", "wanted", "layout"),
    [
        (13, None, None, "penn13"),
        (15, None, None, "jhmdb15"),
        (17, None, "generic17", "generic17"),
        (21, None, None, "generic21"),
        (17, "coco17", "coco17", "coco17"),
        (17, "h36m", "generic17", "generic17"),
        (18, "generic18", None, "generic18"),
        (11, None, "generic", "generic11"),
        (17, "generic", None, "generic17"),
    ],
)
def test_the_layout_is_that_of_the_pickle_else_the_wanted_one_else_that_of_its_joints(
    saved, clip_fields, tmp_path, joints, named, wanted, layout
):
    path = saved({"annotations": [clip_fields("a", joints=joints)], "skeleton": named})
    imported = import_skeletons(path, tmp_path / "store", ImportOptions(num_frames=4, skeleton=wanted))
    assert imported.skeleton == layout
    assert bool(imported.messages) == (layout.startswith("generic") or not (named or wanted))


@pytest.mark.parametrize(
    ("options", "content", "words"),
    [
        ({"skeleton": "penn13"}, {}, "17 joints, but skeleton penn13 has 13; .* --skeleton coco17"),
        ({"skeleton": "mpii16"}, {}, "'mpii16': expected one of coco17"),
        ({"skeleton": "generic17"}, {"skeleton": "coco17"}, "its skeleton is coco17, not generic17"),
        ({}, {"skeleton": "h36m"}, "'h36m': .* --skeleton generic17"),
        ({}, {"label_map": ["run"]}, r"annotation 1 \(b\): label: found 1, expected less than 1"),
        ({"labels": "one.txt"}, {}, "expected less than 1, the number of class names in .*one.txt"),
        ({"labels": "one.txt"}, {"label_map": ["run", "sit"]}, "label_map of its own"),
        ({"labels": "gone.txt"}, {}, "gone.txt"),
        ({"labels": "gap.txt"}, {}, "line 2 is empty"),
        ({"fps": 0}, {}, "--fps 0"),
        ({"fps": float("nan")}, {}, "--fps nan"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_store_is_made(
    saved, clip_fields, tmp_path, options, content, words
):
    (tmp_path / "one.txt").write_text("run\n")
    (tmp_path / "gap.txt").write_text("run\n\nsit\n")
    path = saved({"annotations": [clip_fields("a"), clip_fields("b", 1, label=1)], **content})
    if "labels" in options:
        options = {**options, "labels": tmp_path / options["labels"]}
    with pytest.raises(InputError, match=words):
        import_skeletons(path, tmp_path / "store", ImportOptions(num_frames=4, **options))
    assert not (tmp_path / "store").exists()


def test_class_names_come_from_a_file_of_lines_and_without_one_labels_are_numbers(
    saved, clip_fields, tmp_path
):
    (tmp_path / "names.txt").write_text("run\nsit down\n\n")
    path = saved([clip_fields("a"), clip_fields("b", 1, label=1)])
    import_skeletons(path, tmp_path / "named", ImportOptions(labels=tmp_path / "names.txt"))
    assert FeatureStore.open(tmp_path / "named").labels() == ["run", "sit down"]
    import_skeletons(path, tmp_path / "numbered", FEW)
    assert FeatureStore.open(tmp_path / "numbered").labels() == ["0", "1"]


def test_joints_that_are_not_finite_are_told_of(saved, clip_fields, tmp_path):
    keypoint = np.ones((1, 5, 17, 2))
    keypoint[0, 2, 3] = np.nan
    imported = import_skeletons(saved([clip_fields("a", keypoint=keypoint)]), tmp_path / "store", FEW)
    assert any("1 clips have joints without finite coordinates" in message for message in imported.messages)


def test_zeros_that_ultralytics_writes_are_missing_whatever_their_scores(shared_data, tmp_path):
    zeroed = shared_data.parent / "cases" / "zeroed-joints" / "ultralytics_like.pkl"
    (annotation, *_) = read_skeletons(zeroed).annotations
    at_zero = ~annotation.keypoints_MTVC.any(axis=-1)
    assert annotation.scores_MTV is not None
    assert annotation.scores_MTV[at_zero].min() > 0
    imported = import_skeletons(zeroed, tmp_path / "store", ImportOptions(num_frames=24))
    assert any("lie at 0 beside a body, with scores up to 0.5" in message for message in imported.messages)
    rows = FeatureStore.open(tmp_path / "store").read(columns=["keypoints"])
    keypoints = rows.filter(pc.equal(rows["path"], f"{zeroed}#{annotation.frame_dir}"))["keypoints"]
    (found,) = keypoints.combine_chunks().to_numpy_ndarray()
    assert not found[0, ..., 2][at_zero[0]].any()
    np.testing.assert_array_equal(found[0, ..., 2][~at_zero[0]], annotation.scores_MTV[0][~at_zero[0]])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mmaction2_pickle/open-mmlab+mmaction2/sample.pkl", r"\(jf7RDuUTrsQ\): no field keypoint; expected"),
        ("mmaction2_pickle/open-mmlab+mmaction2/joint.pkl", "refused, and nothing of it was run"),
        ("pyskl_like_pickles/coekmez+Hand-EffGCN/eval_label.pkl", "found tuple; expected a skeleton pickle"),
        (
            "ava/open-mmlab+mmaction2/ava_proposals_sample.pkl",
            "found the keys .*; expected a skeleton pickle",
        ),
    ],
)
def test_real_pickles_of_something_else_are_refused(name, words, shared_data, tmp_path):
    with pytest.raises(InputError, match=words):
        import_skeletons(shared_data / "formats" / name, tmp_path / "store", FEW)


@pytest.mark.slow
def test_real_pickles_of_other_projects_are_imported(shared_data, tmp_path):
    sample = shared_data / "skeleton" / "example_UCF101_skeleton.pkl"
    names = shared_data / "annotations" / "label_map_ucf101.txt"
    import_skeletons(sample, tmp_path / "ucf", ImportOptions(labels=names))
    (row,) = FeatureStore.open(tmp_path / "ucf").read(columns=["frame_index", "height_px"]).to_pylist()
    assert (row["label"], row["height_px"], row["frame_index"][-1]) == ("ApplyEyeMakeup", 256, 162)
    jhmdb = import_skeletons(
        shared_data / "skeleton" / "jhmdb14_split1_train.pkl", tmp_path / "jhmdb", ImportOptions()
    )
    assert (jhmdb.skeleton, jhmdb.computed) == ("jhmdb15", 433)


def moving(clip_fields, num_clips, joints, coordinates, people):
    """Clips of two actions in metres or pixels, without scores: the last person's fourth joint goes up or down.

    In 3D one joint is lost in every clip, and stands at the origin as sensors leave it.
    """
    clips = []
    for number in range(num_clips):
        clip = clip_fields(f"c{number}", 7, people=people, joints=joints, coordinates=coordinates)
        clip |= {"label": number % 2, "keypoint_score": None}
        clip["keypoint"] = clip["keypoint"].astype(np.float32) / 48
        clip["keypoint"][-1, :, 4, 1] += np.linspace(0, 15, 5) * (1 if number % 2 else -1) + number / 100
        if coordinates == 3:
            clip["keypoint"][:, 1:3, 2] = 0
        clips.append({name: value for name, value in clip.items() if value is not None})
    return clips


KINDS = [
    (13, 2, 2, "penn13"),
    (15, 2, 1, "jhmdb15"),
    (17, 3, 1, "coco17"),
    (20, 3, 1, "kinect20"),
    (25, 3, 2, "ntu25"),
    (11, 2, 3, "generic11"),
    (21, 3, 1, "generic21"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("joints", "coordinates", "people", "skeleton"), KINDS)
def test_a_model_learns_from_a_pickle_without_videos_or_scenes(
    saved, clip_fields, tmp_path, joints, coordinates, people, skeleton
):
    annotations = moving(clip_fields, 24, joints, coordinates, people)
    names = [each["frame_dir"] for each in annotations]
    path = saved({"annotations": annotations, "split": {"train": names[:16], "val": names[16:]}})
    options = ImportOptions(num_frames=8, max_people=people, skeleton=skeleton)
    import_skeletons(path, tmp_path / "store", options)
    request = TrainingRequest(
        store=tmp_path / "store",
        out=tmp_path / "model",
        learning=LearningConfig(
            model=TINY_MODEL,
            features=with_overrides(FeaturesConfig(), {"augmentation.enabled": False}),
            training=TrainingConfig(num_epochs=25, device="cpu"),
        ),
    )
    train_store(request)
    predictor = Predictor.load(tmp_path / "model")
    assert predictor.checkpoint.skeleton.name == skeleton
    assert predictor.network.cfn is None
    store = FeatureStore.open(tmp_path / "store")
    report = evaluate(predictor, store, "val", model="m", occlusion=False)
    assert report.scores.top1 >= 0.875
    assert report.num_learned == report.scores.num_clips  # val chose the epoch
    said = predictor.predict_clips(load_clips(store, ["val"]))
    assert said.visible_NPTK[:, :, 2:4, 2].any() == (coordinates == 2)  # of 8 frames, the lost joint's
    assert np.isfinite(said.completed_NPTKC).all()
    one = predictor.predict_keypoints(_row(store, 0), 240, 320)
    assert one.label in ("0", "1")
    with pytest.raises(InputError, match="learned from imported skeletons"):
        predictor.extractor


def test_limbs_are_hidden_only_where_they_are_known(saved, clip_fields, tmp_path):
    annotations = moving(clip_fields, 24, 11, 2, 1)
    import_skeletons(saved(annotations), tmp_path / "store", ImportOptions(num_frames=8))
    store = FeatureStore.open(tmp_path / "store")
    assert occlusion_curves({}, load_clips(store), kinds=("joints", "limbs")).keys() == {"joints"}
    with pytest.raises(InputError, match="generic11 skeletons, which know no limbs"):
        plan_comparison(store, ExperimentConfig(), CrossValidateOptions(num_folds=2, hide=["limbs:0.5"]))


def _row(store, number):
    """Keypoints and confidence of a stored clip, as `Predictor.predict_keypoints` takes them."""
    clips = load_clips(store)
    return np.concatenate(
        [clips.keypoints_NPTKC[number].numpy(), clips.confidence_NPTK[number].numpy()[..., None]], axis=-1
    )


def test_a_model_refuses_a_store_of_another_layout_or_of_other_coordinates(
    saved, clip_fields, tmp_path, harray
):
    stores = {"penn13": (13, 2), "jhmdb15": (15, 2), "deep13": (13, 3)}
    for name, (joints, coordinates) in stores.items():
        annotations = moving(clip_fields, 8, joints, coordinates, 1)
        names = [each["frame_dir"] for each in annotations]
        path = saved({"annotations": annotations, "split": {"train": names, "test": names}})
        import_skeletons(path, tmp_path / name, replace(FEW, skeleton=name.replace("deep", "penn")))
    train_store(
        TrainingRequest(
            store=tmp_path / "penn13",
            out=tmp_path / "model",
            learning=LearningConfig(
                model=TINY_MODEL,
                training=TrainingConfig(num_epochs=1, device="cpu"),
            ),
        )
    )
    refusals = {"jhmdb15": "jhmdb15 skeletons, the model was trained on penn13", "deep13": "3 coordinates"}
    for name, words in refusals.items():
        ending = harray("evaluate", tmp_path / "model", "--store", tmp_path / name, "--out", tmp_path)
        assert ending.code == 2
        assert words in ending.err.splitlines()[-1]
