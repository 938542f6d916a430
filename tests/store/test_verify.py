"""What `harray store verify` finds in stores that were really damaged."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from harray.errors import InputError
from harray.schema import EXTRACTED, QUARANTINED
from harray.store import FeatureStore, StoreSettings
from harray.store.clips import clip_keys, shard_name
from harray.store.verify import move_damaged, verify


def clip(clip_id, value=0.5, **columns):
    row = {
        "clip_id": clip_id,
        "frame_index": [0, 1],
        "frame_sec": [0.0, 0.1],
        "height_px": 9,
        "width_px": 9,
        "keypoints": np.full((1, 2, 17, 3), value, np.float32),
    }
    return {**row, **columns}


def extracted(path, clip_id):
    return {"path": path, "status": EXTRACTED, "clip_id": clip_id}


@pytest.fixture
def store(tmp_path):
    """Two clips in two shards, and one quarantined input."""
    store = FeatureStore.create(
        tmp_path / "store", StoreSettings(skeleton="coco17", keypoints_shape=(1, 2, 17, 3))
    )
    store.write_shard([clip("c1")])
    store.write_shard([clip("c2", 0.0)])
    bad = {"path": "/c", "status": QUARANTINED, "stage": "open", "error": "E"}
    store.append_ledger([extracted("/a", "c1"), extracted("/b", "c2"), bad])
    return store


def shard_of(store, clip_id):
    files = (store.path / "clips").iterdir()
    return next(file for file in files if clip_id in pq.read_table(file)["clip_id"].to_pylist())


def test_a_whole_store_is_clean_and_counted(store):
    found = verify(store)
    assert (found.num_inputs, found.num_extracted, found.num_quarantined, found.num_clips) == (3, 2, 1, 2)
    assert (found.problems, found.notes, found.damaged) == ([], [], [])
    assert store.info().num_without_people == 1


def truncate(store):
    file = shard_of(store, "c1")
    file.write_bytes(file.read_bytes()[:-40])


def flip_a_bit(store):
    file = shard_of(store, "c1")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)


def exchange(store):
    shard_of(store, "c2").replace(shard_of(store, "c1"))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, exchange])
def test_a_damaged_shard_is_found_moved_away_and_its_input_named(store, damage):
    damage(store)
    found = verify(store)
    assert [problem for problem in found.problems if problem.startswith("clips/")]
    assert any(
        "extracted inputs without features: " in problem and "/a" in problem for problem in found.problems
    )
    assert move_damaged(store, found) == found.damaged
    assert len(list((store.path / "damaged").iterdir())) == 1
    assert not [problem for problem in verify(store).problems if problem.startswith("clips/")]


def test_a_damaged_part_of_the_ledger_is_found(store):
    [part] = (store.path / "ledger").iterdir()
    part.write_bytes(part.read_bytes()[:-40])
    found = verify(store)
    assert found.damaged == [f"ledger/{part.name}"]
    move_damaged(store, found)
    after = verify(store)
    assert (after.num_inputs, after.problems) == (0, [])
    assert "2 clips that no input refers to" in after.notes[0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"path": "/d", "status": "lost"}, "1 inputs that are neither extracted nor quarantined: /d"),
        (extracted("/d", None), "1 extracted inputs without a clip_id: /d"),
        ({"path": "/d", "status": QUARANTINED}, "1 quarantined inputs without a reason: /d"),
        (extracted("/d", "gone"), "1 extracted inputs without features: /d"),
    ],
)
def test_a_ledger_row_that_cannot_be_is_named(store, row, problem):
    store.append_ledger([row])
    assert problem in verify(store).problems


@pytest.mark.parametrize(("value", "problem"), [(np.nan, "not finite"), (2.0, "confidence outside")])
def test_keypoints_that_cannot_be_are_found(store, value, problem):
    store.write_shard([clip("c3", value)])
    assert problem in verify(store).problems[0]


def test_what_is_harmless_is_a_note(store):
    store.write_shard([clip("c1"), clip("c4")])
    (store.path / "clips" / ".x.parquet.1.part").write_bytes(b"PAR1")
    found = verify(store)
    assert found.problems == []
    assert [note.split(":")[0] for note in found.notes] == [
        "1 unfinished files",
        "1 clips that no input refers to",
        "1 clips stored twice",
    ]


def test_a_video_of_several_clips_is_there_only_with_its_last_one(store):
    store.write_shard([clip("long", span=0, is_last=False), clip("long", span=1, is_last=False)])
    store.append_ledger([extracted("/long", "long")])
    assert "1 extracted inputs without features: /long" in verify(store).problems
    store.write_shard([clip("long", 0.25, span=2, is_last=True)])
    assert verify(store).problems == []
    rows = store.read().select(["path", "group", "span"]).to_pylist()
    assert [(row["path"], row["group"], row["span"]) for row in rows][2:] == [
        ("/long", "long", span) for span in range(3)
    ]


def test_a_long_video_is_there_only_with_all_its_clips(store):
    store.write_shard([clip("long", span=0, is_last=False), clip("long", span=1, is_last=False)])
    store.write_shard([clip("long", span=2, is_last=True)])
    store.append_ledger([extracted("/long", "long")])
    assert verify(store).problems == []
    (store.path / "clips" / shard_name(shard_with(store, "long", 0))).unlink()
    assert "1 extracted inputs without features: /long" in verify(store).problems
    assert "long" not in store.clip_ids()


def shard_with(store, clip_id, span):
    tables = map(pq.read_table, (store.path / "clips").iterdir())
    return next(table for table in tables if (clip_id, span) in clip_keys(table))


def test_a_clip_that_is_in_train_under_one_name_and_in_test_under_another_is_noted(store):
    store.append_ledger([extracted("/copy", "c1") | {"splits": ["test"]}])
    assert verify(store).notes == ["1 clips under several paths with different labels or splits: c1"]


def test_a_damaged_store_is_refused_with_the_way_to_mend_it(store):
    truncate(store)
    with pytest.raises(
        InputError, match=r"cannot be read; run `harray store verify .* --repair`, then the same"
    ):
        store.clip_ids()
