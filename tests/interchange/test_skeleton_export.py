import pickle

import numpy as np
import pytest

from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.interchange.skeleton_export import export_skeletons, unique_names
from harray.interchange.skeleton_import import ImportOptions, import_skeletons
from harray.schema import EXTRACTED, QUARANTINED
from harray.store import FeatureStore, StoreSettings

SHAPE = (3, 4, 17, 3)
COLUMNS = ["frame_index", "frame_sec", "height_px", "width_px", "keypoints"]


def video_row(clip_id, seed):
    """Features as of a video: the second person the surer, the third absent, scene tokens beside."""
    keypoints = np.random.default_rng(seed).uniform(0, 1, SHAPE).astype(np.float32)
    keypoints[..., :2] *= 1919
    keypoints[0, ..., 2] *= 0.5
    keypoints[2] = 0
    keypoints[0, 1, :5, 2] = 0  # hidden joints keep their coordinates
    return {
        "clip_id": clip_id,
        "frame_index": [0, 5, 11, 16],
        "frame_sec": [0.0, 0.2002, 0.44044, 0.64064],
        "height_px": 1080,
        "width_px": 1920,
        "keypoints": keypoints,
        "scene_tokens": np.zeros((1, 4, 8), np.float16),
    }


@pytest.fixture
def store(tmp_path):
    settings = StoreSettings(
        skeleton="coco17",
        keypoints_shape=SHAPE,
        scene_shape=(1, 4, 8),
        provenance=Provenance(extraction={"version": 1}),
    )
    store = FeatureStore.create(tmp_path / "videos", settings)
    store.write_shard([video_row(f"c{i}", i) for i in range(4)])
    rows = [
        ("/v/sit/1.mp4", "c0", "sit", "g1", ["train1", "test2"]),
        ("/v/run/1.mp4", "c1", "run", "g2", ["test1"]),
        ("/v/run/x.tar.mp4", "c2", "run", None, []),
        ("/v/9.mp4", "c3", None, None, ["test1"]),
    ]
    columns = ("path", "clip_id", "label", "group", "splits")
    outcomes = [dict(zip(columns, row, strict=True)) | {"status": EXTRACTED} for row in rows]
    store.append_ledger([*outcomes, {"path": "/v/broken.mp4", "label": "run", "status": QUARANTINED}])
    return store


def test_labelled_clips_of_videos_become_annotations(store, tmp_path):
    exported = export_skeletons(store, tmp_path / "out.pkl")
    assert (exported.exported, exported.unlabelled) == (3, 1)
    content = pickle.loads((tmp_path / "out.pkl").read_bytes())
    assert [each["frame_dir"] for each in content["annotations"]] == ["1", "x.tar", "1-2"]
    assert [each["label"] for each in content["annotations"]] == [0, 0, 1]
    assert content["label_map"] == ["run", "sit"]
    assert content["split"] == {"test1": ["1"], "train1": ["1-2"], "test2": ["1-2"]}
    sit = content["annotations"][2]
    assert (sit["total_frames"], sit["img_shape"]) == (4, (1080, 1920))
    np.testing.assert_array_equal(sit["keypoint"], video_row("c0", 0)["keypoints"][..., :2])
    np.testing.assert_array_equal(sit["keypoint_score"], video_row("c0", 0)["keypoints"][..., 2])


def without_names(store):
    """What of its rows does not hang on paths and identities, keypoints as bytes."""
    table = store.read(columns=COLUMNS).select(["label", "group", "splits", *COLUMNS])
    rows = table.drop_columns("keypoints").to_pylist()
    arrays = np.concatenate([chunk.to_numpy_ndarray() for chunk in table["keypoints"].chunks])
    named = [{**row, "splits": sorted(row["splits"])} for row in rows]
    pairs = [(str(row), array.tobytes()) for row, array in zip(named, arrays, strict=True) if row["label"]]
    return sorted(pairs)


def test_the_import_of_an_export_has_the_same_rows(store, tmp_path):
    export_skeletons(store, tmp_path / "out.pkl")
    import_skeletons(tmp_path / "out.pkl", tmp_path / "back", ImportOptions(num_frames=4, max_people=3))
    assert without_names(FeatureStore.open(tmp_path / "back")) == without_names(store)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_imported_and_exported_is_recognised_as_the_same_clips(saved, clip_fields, tmp_path, seed):
    random = np.random.default_rng(seed)
    annotations = [
        clip_fields(
            f"clip.{i}",
            100 * seed + i,
            people=int(random.integers(0, 4)),
            frames=int(random.integers(1, 60)),
            coordinates=2 + seed % 2,
            keypoint_score=None,
            img_shape=(240, 320) if seed < 2 else (1, 1),
            label=i % 3,
        )
        for i in range(6)
    ]
    path = saved({"annotations": annotations, "split": {"train": ["clip.1"]}, "label_map": ["a", "b", "c"]})
    import_skeletons(path, tmp_path / "store", ImportOptions(num_frames=8))
    store = FeatureStore.open(tmp_path / "store")
    before = without_names(store)
    export_skeletons(store, tmp_path / "out.pkl")
    again = import_skeletons(tmp_path / "out.pkl", tmp_path / "store", ImportOptions(num_frames=8))
    assert again.computed == 0
    import_skeletons(tmp_path / "out.pkl", tmp_path / "back", ImportOptions(num_frames=8))
    back = FeatureStore.open(tmp_path / "back")
    assert without_names(back) == before
    assert [row["path"].rpartition("#")[2] for row in back.ledger().to_pylist()] == [
        each["frame_dir"] for each in annotations
    ]


def test_a_file_that_is_there_stays_unless_it_is_to_be_overwritten(store, tmp_path):
    (tmp_path / "out.pkl").write_text("mine")
    with pytest.raises(InputError, match="--force"):
        export_skeletons(store, tmp_path / "out.pkl")
    assert (tmp_path / "out.pkl").read_text() == "mine"
    export_skeletons(store, tmp_path / "out.pkl", overwrite=True)
    assert pickle.loads((tmp_path / "out.pkl").read_bytes())["skeleton"] == "coco17"
    with pytest.raises(InputError, match="exists already"):
        export_skeletons(store, tmp_path / "videos", overwrite=True)


def test_a_store_without_labels_has_nothing_to_export(tmp_path):
    settings = StoreSettings(skeleton="coco17", keypoints_shape=SHAPE, scene_shape=(1, 4, 8))
    store = FeatureStore.create(tmp_path / "store", settings)
    with pytest.raises(InputError, match="none of its 0 clips has a label"):
        export_skeletons(store, tmp_path / "out.pkl")
    assert not (tmp_path / "out.pkl").exists()


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a-2", "a-3"]),
        (["a", "a", "a-2"], ["a", "a-3", "a-2"]),  # a name that is somebody's own is not given away
        ([], []),
    ],
)
def test_equal_names_are_numbered(names, unique):
    assert unique_names(names) == unique
