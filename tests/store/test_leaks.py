"""What a test part shares with what is trained on."""

import pytest

from harray.errors import InputError
from harray.store import FeatureStore
from harray.store.leaks import check_no_leak, doubles_apart, overlap, overlap_of_splits, overlap_with_clips
from harray.store.retire import retire
from tests.toys import arm_store


def row(clip_id, group, *splits):
    return {"clip_id": clip_id, "group": group, "splits": list(splits)}


@pytest.mark.parametrize(
    ("rows", "counts", "groups"),
    [
        ([row("a", "g1", "train"), row("b", "g2", "test")], (1, 0, 0), ()),
        ([row("a", "g1", "train"), row("b", "g1", "test"), row("c", "g2", "test")], (2, 0, 1), ("g1",)),
        ([row("a", None, "train"), row("a", None, "test"), row("b", None, "test")], (2, 1, 0), ()),
        ([row("a", "g1", "train", "test")], (1, 1, 0), ()),
        ([row("a", "g1", "train1", "test2"), row("b", "g1", "test1")], (0, 0, 0), ()),
    ],
)
def test_clips_and_groups_on_both_sides_are_counted(rows, counts, groups):
    learned = {found["clip_id"] for found in rows if "train" in found["splits"]}
    found = overlap(rows, learned, "test")
    assert (found.num_inputs, found.num_clips, found.num_of_groups) == counts
    assert found.groups == groups
    assert bool(found) is any(counts[1:])


def test_a_leak_is_refused_unless_it_is_allowed(tmp_path):
    rows = [
        {"path": f"/{n}.mp4", "splits": ["train" if n < 4 else "test"], "group": f"g{n % 5}"}
        for n in range(8)
    ]
    store = arm_store(tmp_path / "store", rows, scene=False)
    said = r"of 4 clips of test, 3 are of groups learned from \(g0, g1, g2\)"
    with pytest.raises(InputError, match=f"{said}, so that .* or set training.allow_leak=true"):
        check_no_leak(store, ["train"], "test", allowed=False)
    assert check_no_leak(store, ["train"], "test", allowed=True) == overlap_of_splits(
        store, ["train"], "test"
    )
    assert check_no_leak(store, ["train"], None, allowed=False) is None
    assert not overlap_with_clips(store, {"3"}, "test")
    assert overlap_with_clips(store, {"4"}, "test").num_clips == 1


def test_one_file_in_two_groups_is_counted():
    rows = [row("a", "g1"), row("a", "g2"), row("b", "g1"), row("b", "g1"), row("c", None)]
    assert doubles_apart(rows) == 1


def test_what_is_retired_is_gone_and_its_features_stay(tmp_path):
    rows = [{"path": f"/{n}.mp4", "splits": []} for n in range(4)]
    store = arm_store(tmp_path / "store", rows, scene=False)
    assert retire(store.path, {"/1.mp4", "/9.mp4"}, "a test") == 1
    assert FeatureStore.open(store.path).read(columns=[])["path"].to_pylist() == [
        "/0.mp4",
        "/2.mp4",
        "/3.mp4",
    ]
    assert len(FeatureStore.open(store.path).clip_ids()) == 4
