"""Fold plans: every clip held out once, groups whole, classes even, and what cannot be dealt is refused."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harray.errors import InputError
from harray.validation.folds import leave_one_group_out, plan_folds


def names(count):
    return [f"c{i}" for i in range(count)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=12, max_size=60), st.integers(2, 4))
def test_every_clip_is_held_out_once_and_classes_are_even(extra, num_folds):
    labels = [str(label) for label in [*range(3)] * num_folds + extra]
    folds = plan_folds(labels, [None] * len(labels), names(len(labels)), num_folds)
    assert sorted(place for fold in folds for place in fold) == list(range(len(labels)))
    for label, count in Counter(labels).items():
        for fold in folds:
            assert abs(sum(labels[place] == label for place in fold) - count / num_folds) < 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=20, max_size=60))
def test_a_group_never_straddles_two_folds(groups):
    groups = [*range(10), *groups]
    labels = [("a", "b")[i % 2] for i in range(len(groups))]
    folds = plan_folds([*labels, "a", "b"], [*map(str, groups), None, None], names(len(groups) + 2), 3)
    assert sorted(place for fold in folds for place in fold) == list(range(len(groups) + 2))
    for number in range(10):
        assert sum(any(place < len(groups) and groups[place] == number for place in f) for f in folds) == 1


def test_the_same_clip_under_two_paths_is_held_out_together():
    clip_ids = [f"c{i // 2}" for i in range(24)]
    folds = plan_folds(["a", "a", "b", "b"] * 6, [None] * 24, clip_ids, 3)
    assert all(sum({2 * i, 2 * i + 1} <= set(fold) for fold in folds) == 1 for i in range(12))


def test_groups_keep_classes_even_where_they_can():
    groups = [f"g{i // 4}" for i in range(48)]
    labels = ["ab"[i % 2] for i in range(48)]
    for fold in plan_folds(labels, groups, names(48), 4):
        assert Counter(labels[place] for place in fold) == {"a": 6, "b": 6}


def test_leaving_one_group_out_makes_a_fold_of_each():
    assert leave_one_group_out(list("abab"), ["2", "2", "1", "1"]) == [[2, 3], [0, 1]]


@pytest.mark.parametrize(
    ("labels", "groups", "num_folds", "words"),
    [
        ("aaab", [None] * 4, 2, "class 'b' has 1 clips, expected at least 2"),
        ("aabb", ["x", "x", "x", "x"], 2, "found 1 groups, expected at least 2"),
        (
            "aabbbb",
            ["x", "x", "y", "z", "y", "z"],
            2,
            "all clips of class 'a' are held out together",
        ),
    ],
)
def test_too_little_for_the_folds_is_refused(labels, groups, num_folds, words):
    with pytest.raises(InputError, match=words):
        plan_folds(list(labels), groups, names(len(labels)), num_folds)


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        ("abab", ["x", "x", None, "y"], "1 of 4 clips have no group"),
        ("abab", ["x"] * 4, "found 1 group"),
        ("abaa", ["x", "x", "y", "y"], "class 'b'"),
    ],
)
def test_groups_that_cannot_be_left_out_are_refused(labels, groups, words):
    with pytest.raises(InputError, match=words):
        leave_one_group_out(list(labels), groups)
