import datetime
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.schema import EXTRACTED, LEDGER, QUARANTINED
from harray.store import FeatureStore, StoreSettings
from harray.store.ledger import latest_rows, ledger_table, reasons

SETTINGS = StoreSettings(
    skeleton="coco17",
    keypoints_shape=(2, 4, 17, 3),
    scene_shape=(1, 4, 8),
    provenance=Provenance(
        extraction={"videos": {"num_frames": 4}, "poses": {"image_size": 64, "precision": "fp32"}},
        weights={"poses": "abc"},
    ),
)


def clip(clip_id, value=0.0, settings=SETTINGS):
    row = {
        "clip_id": clip_id,
        "frame_index": [0, 1, 2, 3],
        "frame_sec": [0.0, 0.1, 0.2, 0.3],
        "height_px": 240,
        "width_px": 320,
        "keypoints": np.full(settings.keypoints_shape, value, np.float32),
    }
    if settings.scene_shape:
        row["scene_tokens"] = np.full(settings.scene_shape, value, np.float16)
    return row


def outcome(path, clip_id, label="run", splits=("train",), **columns):
    return {
        "path": path,
        "label": label,
        "splits": list(splits),
        "clip_id": clip_id,
        "status": EXTRACTED,
        **columns,
    }


def broken(path, **columns):
    return {"path": path, "label": "run", "status": QUARANTINED, "stage": "open", "error": "E", **columns}


@pytest.fixture
def store(tmp_path):
    return FeatureStore.create(tmp_path / "store", SETTINGS)


def test_features_come_back_beside_their_manifest_columns_in_order_of_path(store):
    store.write_shard([clip("c1", 1.0), clip("c2", 2.0)])
    store.write_shard([clip("c3", 3.0)])
    store.append_ledger(
        [outcome("/b", "c1"), outcome("/c", "c3", label="sit"), outcome("/a", "c2"), broken("/d")]
    )
    table = store.read()
    assert table["path"].to_pylist() == ["/a", "/b", "/c"]
    keypoints = table["keypoints"].combine_chunks().to_numpy_ndarray()
    assert keypoints.shape == (3, 2, 4, 17, 3)
    assert keypoints[:, 0, 0, 0, 0].tolist() == [2.0, 1.0, 3.0]
    tokens = table["scene_tokens"].combine_chunks().to_numpy_ndarray()
    assert (tokens.dtype, tokens.shape) == (np.float16, (3, 1, 4, 8))
    assert store.num_bytes_in_memory() == keypoints.nbytes + tokens.nbytes
    assert "scene_tokens" not in store.read(columns=["keypoints"]).column_names


def test_a_clip_under_two_names_or_in_two_shards_is_stored_once_and_read_for_each_name(store):
    store.write_shard([clip("c1", 1.0)])
    store.write_shard([clip("c1", 1.0), clip("c2", 2.0)])
    store.append_ledger([outcome("/a", "c1"), outcome("/copy", "c1"), outcome("/b", "c2")])
    assert store.read()["clip_id"].to_pylist() == ["c1", "c2", "c1"]
    info = store.info()
    assert (info.num_inputs, info.num_extracted, info.num_clips) == (3, 3, 2)


def test_writing_the_same_shard_twice_leaves_one_file(store):
    assert store.write_shard([clip("c1"), clip("c2")]) == store.write_shard([clip("c2"), clip("c1")])


def test_of_a_paths_rows_the_latest_rules():
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    later = start + datetime.timedelta(seconds=1)
    rows = [outcome("/a", "new", time=later), outcome("/a", "old", time=start), broken("/b", time=start)]
    rows.append(outcome("/b", "same time, written later", time=start))
    assert latest_rows(ledger_table(rows))["clip_id"].to_pylist() == ["new", "same time, written later"]


def test_splits_choose_clips_and_a_split_that_is_not_there_lists_those_that_are(store):
    store.write_shard([clip("c1"), clip("c2"), clip("c3")])
    rows = [("/a", "c1", ["train1", "test2"]), ("/b", "c2", ["test1"]), ("/c", "c3", [])]
    store.append_ledger([outcome(path, clip_id, splits=splits) for path, clip_id, splits in rows])
    assert store.splits() == ["test1", "test2", "train1"]
    assert store.read(["test1", "test2"])["path"].to_pylist() == ["/a", "/b"]
    assert len(store.read()) == 3
    with pytest.raises(InputError, match=r"no split 'val'; it has test1, test2, train1"):
        store.read(["val"])


def test_a_store_without_splits_is_read_whole(store):
    store.write_shard([clip("c1")])
    store.append_ledger([outcome("/a", "c1", splits=[])])
    assert len(store.read()) == 1
    with pytest.raises(InputError, match="its manifest named no splits"):
        store.read(["train"])


def test_an_empty_store_reads_as_an_empty_table_with_all_columns(store):
    table = store.read()
    assert table.column_names == [*LEDGER.names, *store.schema.names[1:]]
    assert len(table) == 0
    assert store.labels() == []


def test_any_skeleton_and_no_scene_is_a_store_too(tmp_path):
    settings = StoreSettings(skeleton="ntu25", keypoints_shape=(1, 4, 25, 4))
    store = FeatureStore.create(tmp_path / "ntu", settings)
    store.write_shard([clip("c1", settings=settings)])
    store.append_ledger([outcome("/a", "c1")])
    opened = FeatureStore.open(tmp_path / "ntu")
    assert opened.skeleton.num_joints == 25
    assert opened.read()["keypoints"].combine_chunks().to_numpy_ndarray().shape == (1, 1, 4, 25, 4)
    assert "scene_tokens" not in opened.read().column_names


def test_a_shard_whose_ledger_row_was_never_written_is_known_but_not_read(store):
    store.write_shard([clip("c1")])
    assert store.clip_ids() == {"c1"}
    assert len(store.read()) == 0


def test_half_a_file_of_a_dead_writer_is_never_read(store):
    store.write_shard([clip("c1")])
    store.append_ledger([outcome("/a", "c1")])
    for folder in ("clips", "ledger"):
        (store.path / folder / ".half.parquet.123.part").write_bytes(b"PAR1")
        (store.path / folder / ".half.parquet").write_bytes(b"PAR1")
    assert len(FeatureStore.open(store.path).read()) == 1


def test_a_failing_write_leaves_nothing(store, monkeypatch):
    def write_half(table, part, **options):
        part.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harray.store.feature_store.pq.write_table", write_half)
    with pytest.raises(OSError, match="No space"):
        store.write_shard([clip("c1")])
    assert list((store.path / "clips").iterdir()) == []


def test_features_that_are_gone_are_named(store):
    store.write_shard([clip("c1")]).unlink()
    store.append_ledger([outcome("/a", "c1")])
    with pytest.raises(InputError, match=r"features of 1 videos are gone, such as /a; run the same"):
        store.read()


def test_keypoints_of_another_shape_are_refused(store):
    with pytest.raises(ValueError, match="keypoints: shape"):
        store.write_shard([{**clip("c1"), "keypoints": np.zeros((1, 4, 17, 3), np.float32)}])


def test_the_digest_tells_labels_and_splits_and_not_paths_or_order(tmp_path):
    def digest_of(name, rows):
        store = FeatureStore.create(tmp_path / name, SETTINGS)
        store.append_ledger(rows)
        return store.digest()

    first = digest_of("1", [outcome("/a", "c1"), outcome("/b", "c2")])
    assert first == digest_of("2", [outcome("/moved/b", "c2"), outcome("/moved/a", "c1")])
    assert first != digest_of("3", [outcome("/a", "c1", label="sit"), outcome("/b", "c2")])
    assert first != digest_of("4", [outcome("/a", "c1", splits=["test"]), outcome("/b", "c2")])
    assert first == digest_of("5", [outcome("/a", "c1"), outcome("/b", "c2"), broken("/c")])


def test_the_same_settings_open_a_store_again_and_others_are_named(store):
    assert FeatureStore.open_or_create(store.path, SETTINGS).settings == SETTINGS
    extraction = {"videos": {"num_frames": 4}, "poses": {"image_size": 96, "precision": "fp32"}}
    other = replace(SETTINGS, provenance=replace(SETTINGS.provenance, extraction=extraction))
    with pytest.raises(InputError, match=r"extraction.poses.image_size 64 in the store, 96 now"):
        FeatureStore.open_or_create(store.path, other)


def an_absent_folder(path):
    return "no such folder"


def some_other_folder(path):
    path.mkdir()
    return "no store.json in it"


def another_version(path):
    FeatureStore.create(path, SETTINGS)
    values = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps({**values, "harray_store": 99}))
    return "schema version 99, expected 1"


def scribble(path):
    path.mkdir()
    (path / "store.json").write_text("[]")
    return "cannot be read"


@pytest.mark.parametrize("make", [an_absent_folder, some_other_folder, another_version, scribble])
def test_what_is_no_store_is_refused_in_one_line(tmp_path, make):
    message = make(tmp_path / "s")
    with pytest.raises(InputError, match=message) as error:
        FeatureStore.open(tmp_path / "s")
    assert "\n" not in str(error.value)


def test_a_store_is_not_made_in_a_folder_that_holds_something_else(tmp_path):
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(InputError, match="not empty"):
        FeatureStore.create(tmp_path, SETTINGS)


GONE = "[Errno 2] No such file or directory"
REASONS = {
    "the commonest first, each with its files": (
        [broken("/a", message="one"), broken("/b", stage="decode"), broken("/d", message="one")],
        [("open: E: one", ["/a", "/d"]), ("decode: E", ["/b"])],
    ),
    "several messages of one stage and error are several reasons": (
        [broken("/a", message="two"), broken("/b", message="one")],
        [("open: E: one", ["/b"]), ("open: E: two", ["/a"])],
    ),
    "several errors with one message": (
        [broken("/a", message="m"), broken("/b", message="m", error="F")],
        [("open: E: m", ["/a"]), ("open: F: m", ["/b"])],
    ),
    "the file's name makes no reason": (
        [broken("/b", message=f"{GONE}: '/b'"), broken("/it's", message=f"""{GONE}: "/it's\"""")],
        [(f"open: E: {GONE}", ["/b", "/it's"])],
    ),
    "nor does that of a copy": (
        [broken(f"s3://{i}", message=f"Invalid data: '/tmp/x{i}.mp4'") for i in range(2)],
        [("open: E: Invalid data", ["s3://0", "s3://1"])],
    ),
    "what was extracted since has no reason": (
        [broken("/a", message="one"), outcome("/b", "c2")],
        [("open: E: one", ["/a"])],
    ),
    "nothing failed": ([outcome("/a", "c1")], []),
}


@pytest.mark.parametrize(("rows", "expected"), REASONS.values(), ids=REASONS)
def test_every_reason_is_given_with_its_files(rows, expected):
    assert [(str(reason), reason.paths) for reason in reasons(ledger_table(rows))] == expected


def test_the_info_counts_labels_and_splits(store):
    store.write_shard([clip("c1"), clip("c2")])
    store.append_ledger(
        [outcome("/a", "c1", group="g"), outcome("/b", "c2", label=None, splits=[]), broken("/c")]
    )
    info = store.info()
    assert (info.num_inputs, info.num_extracted, info.num_quarantined, info.num_groups) == (3, 2, 1, 1)
    assert (info.labels, info.splits) == ({"run": 1}, {"train": 1})


def test_a_large_ledger_part_keeps_its_types(store):
    store.append_ledger([outcome("/a", "c1", num_bytes=5, modified_ns=2**60)])
    ledger = store.ledger()
    assert ledger.schema.equals(LEDGER)
    assert ledger["modified_ns"].to_pylist() == [2**60]
    assert isinstance(ledger, pa.Table)


def test_a_snapshot_is_the_same_until_something_is_appended(store):
    store.append_ledger([outcome("/a", "c1")])
    before = store.snapshot()
    assert FeatureStore.open(store.path).snapshot() is before
    store.append_ledger([outcome("/b", "c2", label="sit", splits=["test"])])
    after = store.snapshot()
    assert (before.splits, before.labels) == (("train",), ("run",))
    assert (after.splits, after.labels) == (("test", "train"), ("run", "sit"))
    assert before.digest != after.digest


def test_a_damaged_ledger_is_refused_with_the_way_to_mend_it(store):
    store.append_ledger([outcome("/a", "c1")])
    (part,) = (store.path / "ledger").iterdir()
    part.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"harray store verify .* --repair"):
        store.splits()
