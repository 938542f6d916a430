"""A store's clips as tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harray.errors import InputError
from harray.features.config import FeaturesConfig
from harray.features.tensors import clips_from_arrays, load_clips, normalised
from harray.skeleton import COCO17, PENN13
from harray.store import FeatureStore, StoreSettings


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    settings = StoreSettings(skeleton="penn13", keypoints_shape=(1, 4, 13, 3), scene_shape=(2, 9, 5))
    store = FeatureStore.create(tmp_path / "store", settings)
    rows = []
    for number, (label, split) in enumerate((("walk", "train"), ("run", "train"), (None, "test"))):
        features = {
            "clip_id": f"c{number}",
            "frame_index": [0, 1, 2, 3],
            "frame_sec": [0.0, 0.1, 0.2, 0.3],
            "height_px": 240,
            "width_px": 320,
            "keypoints": np.full((1, 4, 13, 3), number, np.float32),
            "scene_tokens": np.full((2, 9, 5), number, np.float16),
        }
        store.write_shard([features])
        rows.append(
            {"path": f"/v/{9 - number}.mp4", "label": label, "splits": [split], "status": "extracted"}
            | {"clip_id": f"c{number}", "group": f"g{number}"}
        )
    store.append_ledger(rows)
    return store


def test_clips_come_sorted_by_path_with_their_labels(store):
    clips = load_clips(store)
    assert clips.paths == ["/v/7.mp4", "/v/8.mp4", "/v/9.mp4"]
    assert clips.classes == ("run", "walk")
    assert clips.labels_N.tolist() == [-1, 0, 1]
    assert clips.groups == ["g2", "g1", "g0"]
    assert clips.keypoints_NPTKC.shape == (3, 1, 4, 13, 2)
    assert clips.confidence_NPTK[:, 0, 0, 0].tolist() == [2, 1, 0]
    assert clips.frame_size_N2.tolist() == [[240, 320]] * 3
    assert clips.tokens_NSD is not None
    assert clips.tokens_NSD.shape == (3, 18, 5)
    assert clips.tokens_NSD.dtype == torch.float16
    assert clips.scene_grid == (2, 3)


def test_a_models_classes_rule_the_label_numbers(store):
    clips = load_clips(store, ["train"], classes=["swim", "walk"])
    assert clips.labels_N.tolist() == [-1, 1]  # run is unknown to the model


def test_a_split_that_is_not_there_is_refused(store):
    with pytest.raises(InputError, match="no split 'val'"):
        load_clips(store, ["val"])


def test_joints_that_do_not_fit_the_skeleton_are_refused():
    with pytest.raises(InputError, match="13 joints, but skeleton coco17 has 17"):
        clips_from_arrays(np.zeros((1, 1, 4, 13, 3), np.float32), skeleton=COCO17)


def test_selecting_keeps_order_and_lists_together():
    keypoints = np.random.default_rng(0).random((4, 1, 4, 13, 3), np.float32)
    clips = clips_from_arrays(keypoints, skeleton=PENN13, paths=list("abcd"))
    clips = replace(clips, labels_N=torch.arange(4))
    some = clips.select([3, 1])
    assert some.paths == ["d", "b"]
    assert some.labels_N.tolist() == [3, 1]
    assert normalised(some, FeaturesConfig()).rows_N.tolist() == [0, 1]


def test_who_is_hardly_seen_beside_somebody_is_a_false_track_and_not_there():
    keypoints = np.random.default_rng(0).random((3, 2, 8, 13, 3), np.float32)
    keypoints[..., 2] = 1.0
    keypoints[0, 1, 2:, :, 2] = 0.0  # seen in a quarter of the time
    keypoints[1, 1, 4:, :, 2] = 0.0  # in half of it
    keypoints[2, :, 1:, :, 2] = 0.0  # both hardly at all
    config = FeaturesConfig()
    clips = clips_from_arrays(keypoints, skeleton=PENN13)
    seen = normalised(clips, config).visible_NPTK
    assert seen.any(dim=(2, 3)).tolist() == [[True, False], [True, True], [True, True]]
    alone = clips_from_arrays(keypoints[:1, :1], skeleton=PENN13)
    of_both, of_one = (normalised(x, config).keypoints_NPTKC[0, 0] for x in (clips, alone))
    assert torch.equal(of_both, of_one)  # nor does it move the clip's centre
    everybody = normalised(clips, FeaturesConfig(min_presence=0.0)).visible_NPTK
    assert everybody.any(dim=(2, 3)).all()
