"""A test part for stores whose manifest names none: whole groups, drawn once, kept by the store."""

import json
from collections import Counter

import pytest

from harray.errors import InputError
from harray.store import FeatureStore
from harray.store.test_part import (
    as_dealt,
    can_hold_out,
    complete,
    deal_test,
    hold_out_test,
    recorded,
    scored_split,
    train_split_among,
)
from tests.toys import arm_store


def splits_of(store: FeatureStore) -> dict[str, list[str]]:
    rows = store.ledger().select(["path", "splits"]).to_pylist()
    return {row["path"]: row["splits"] for row in rows}


@pytest.mark.parametrize(
    ("classes", "per_group", "share", "per_class"),
    [  # clips of each class, clips in a group, the share asked for, and test clips of each class
        ((10, 10), 1, 0.2, (2, 2)),
        ((10, 10, 10), 1, 0.3, (3, 3, 3)),
        ((20, 4), 1, 0.25, (5, 1)),
        ((3, 100), 1, 0.01, (1, 1)),
        ((12, 12), 3, 0.25, (3, 3)),
        ((12, 12), 4, 0.1, (4, 4)),  # the smallest group that there is
        ((8, 1), 1, 0.2, (2, 0)),  # the only clip of a class stays to be learned
    ],
)
def test_every_class_gives_its_share_in_whole_groups(classes, per_group, share, per_class):
    labels = [str(number) for number, count in enumerate(classes) for _ in range(count)]
    groups = [f"{label} {place // per_group}" for place, label in enumerate(labels)]
    names = deal_test(labels, groups, [None] * len(labels), share=share, seed=0)
    assert len(set(zip(groups, names, strict=True))) == len(set(groups))
    test = Counter(label for label, name in zip(labels, names, strict=True) if name == "test")
    if per_group == 1 or len(set(labels)) == len(per_class):
        assert all(abs(test[str(number)] - count) < per_group for number, count in enumerate(per_class))
    assert names == deal_test(labels, groups, [None] * len(labels), share=share, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_every_class_shares_are_taken_whole_and_by_the_seed(seed):
    labels = ["sit", "run", "jump"] * 10
    groups = [f"actor {place // 3}" for place in range(30)]
    names = deal_test(labels, groups, [None] * 30, share=0.2, seed=seed)
    assert Counter(names) == {"test": 6, "train": 24}
    other = deal_test(labels, groups, [None] * 30, share=0.2, seed=seed + 1)
    assert {groups[i] for i, name in enumerate(names) if name == "test"} != {
        groups[i] for i, name in enumerate(other) if name == "test"
    }


def test_what_was_dealt_stays_and_what_comes_later_follows_its_group(tmp_path):
    store = arm_store(tmp_path / "S", [{"path": f"/v/{n}.mp4", "group": f"g{n // 2}"} for n in range(20)])
    first = hold_out_test(store.path, 0.2, "test")
    assert (first.num_test, first.num_clips, first.num_groups, first.grouped) == (4, 20, 2, True)
    before = splits_of(store)
    in_test = next(path for path, splits in before.items() if splits == ["test"])
    group = f"g{int(in_test[3:-4]) // 2}"
    new = [
        {"path": "/v/new.mp4", "group": group},
        *({"path": f"/v/n{n}.mp4", "group": f"n{n}"} for n in range(9)),
    ]
    rows = [
        {"label": "up", "clip_id": row["path"], "splits": [], "status": "extracted", **row} for row in new
    ]
    store.append_ledger(rows)
    complete(store.path, "test")
    after = splits_of(store)
    assert {path: after[path] for path in before} == before
    assert after["/v/new.mp4"] == ["test"]
    assert all(len(splits) == 1 for splits in after.values())


def test_the_same_again_changes_nothing_and_a_manifest_without_splits_takes_nothing_away(tmp_path):
    store = arm_store(tmp_path / "S", [{"path": f"/v/{n}.mp4"} for n in range(10)])
    said = hold_out_test(store.path, 0.2, "test")
    assert json.loads((store.path / "test_part.json").read_text()) == {"share": 0.2, "seed": 0}
    files, digest = sorted((store.path / "ledger").iterdir()), store.digest()
    assert hold_out_test(store.path, 0.2, "test") == said
    assert sorted((store.path / "ledger").iterdir()) == files
    rows = [{"path": path, "splits": []} for path in splits_of(store)]
    assert {row["path"]: row["splits"] for row in as_dealt(rows, store.path)} == splits_of(store)
    named = [{**row, "splits": ["test"]} for row in rows]
    assert as_dealt(named, store.path) == named  # the manifest's own, once it has one
    assert store.digest() == digest


def test_one_video_under_two_names_stays_on_one_side(tmp_path):
    store = arm_store(
        tmp_path / "S", [{"path": f"/{n % 2}/{n // 2}.mp4", "clip_id": f"c{n // 2}"} for n in range(20)]
    )
    hold_out_test(store.path, 0.2, "test")
    splits = splits_of(store)
    assert all(splits[f"/0/{n}.mp4"] == splits[f"/1/{n}.mp4"] for n in range(10))
    assert ["test"] in splits.values()


def test_clips_of_other_splits_are_left_where_they_are(tmp_path):
    rows = [{"path": f"/v/{n}.mp4", "splits": ["val"] if n < 4 else ["train"]} for n in range(20)]
    store = arm_store(tmp_path / "S", rows)
    assert hold_out_test(store.path, 0.25, "test").num_clips == 16
    counts = Counter(splits[0] for splits in splits_of(store).values())
    assert counts == {"val": 4, "test": 4, "train": 12}


@pytest.mark.parametrize(
    ("rows", "share", "words"),
    [
        ([{"path": f"/{n}", "splits": ["test"]} for n in range(8)], 0.2, ["names the split test"]),
        ([{"path": f"/{n}", "splits": [f"t{n}", "test1"]} for n in range(8)], 0.2, ["test1"]),
        ([{"path": f"/{n}"} for n in range(2)], 0.2, ["too few"]),
        ([{"path": f"/{n}", "group": "one"} for n in range(8)], 0.2, ["found 1 groups in 8 clips"]),
        ([{"path": f"/{n}"} for n in range(8)], 1.0, ["--test-share 1", "between 0 and 1"]),
        ([{"path": f"/{n}"} for n in range(8)], 20, ["--test-share 20", "0.2"]),
    ],
)
def test_what_cannot_be_held_out_is_refused_and_nothing_is_written(tmp_path, rows, share, words):
    store = arm_store(tmp_path / "S", rows)
    before = splits_of(store)
    with pytest.raises(InputError) as refused:
        hold_out_test(store.path, share, "test")
    assert all(word in str(refused.value) for word in words)
    assert (splits_of(store), recorded(store.path)) == (before, None)
    assert not can_hold_out(store.path, share)


def test_another_share_than_before_is_refused(tmp_path):
    store = arm_store(tmp_path / "S", [{"path": f"/v/{n}.mp4"} for n in range(10)])
    hold_out_test(store.path, 0.2, "test")
    with pytest.raises(InputError, match=r"holds out 0\.2 of its clips, not 0\.3"):
        hold_out_test(store.path, 0.3, "test")


@pytest.mark.parametrize(
    ("splits", "wanted", "trained", "scored"),
    [
        ([], "train", "train", None),
        (["test", "train"], "train", "train", "test"),
        (["test", "train", "val"], "train+val", "train+val", "test"),
        (["test1", "test2", "train1", "train2"], "train2", "train2", "test2"),
        (["xsub_train", "xsub_val", "xview_train", "xview_val"], "train", "xsub_train", "xsub_val"),
        (["train", "val"], "train", "train", None),
        (["left", "right"], "train", None, None),
    ],
)
def test_the_split_that_is_trained_on_and_the_one_that_scores_it(splits, wanted, trained, scored):
    assert train_split_among(splits, wanted) == trained
    assert scored_split(splits, trained or wanted) == scored
