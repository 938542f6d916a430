"""Carving val out of train."""

from collections import Counter

import pytest

from harray.training.splits import carve_val, few_of_each

ACTORS = [f"actor{i // 6}" for i in range(60)]  # 10 actors, each doing 3 actions twice
LABELS = [i % 3 for i in range(60)]
NAMES = [f"clip{i}" for i in range(60)]


def test_groups_are_never_torn_apart():
    taken = carve_val(LABELS, ACTORS, NAMES, share=0.2, seed=0)
    assert len(taken) == 12
    assert sorted(Counter(ACTORS[i] for i in taken).values()) == [6, 6]


def test_the_same_seed_carves_the_same_in_any_order_and_another_seed_otherwise():
    taken = {NAMES[i] for i in carve_val(LABELS, ACTORS, NAMES, share=0.2, seed=0)}
    order = list(reversed(range(60)))
    turned = carve_val(
        *([column[i] for i in order] for column in (LABELS, ACTORS)),
        [NAMES[i] for i in order],
        share=0.2,
        seed=0,
    )
    assert {NAMES[order[i]] for i in turned} == taken
    others = [{NAMES[i] for i in carve_val(LABELS, ACTORS, NAMES, share=0.2, seed=s)} for s in range(1, 5)]
    assert any(other != taken for other in others)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_every_class_keeps_training_clips(share):
    groups = [f"{label}-{i % 2}" for i, label in enumerate(LABELS)]  # groups of one class each, two per class
    taken = carve_val(LABELS, groups, NAMES, share=share, seed=3)
    assert {LABELS[i] for i in set(range(60)) - set(taken)} == {0, 1, 2}


def test_clips_without_a_group_are_their_own():
    taken = carve_val(LABELS, [None] * 60, NAMES, share=0.25, seed=0)
    assert len(taken) == 15


def test_clips_of_one_name_stay_together():
    names = [f"video{i // 2}" for i in range(60)]  # each stands under two paths
    taken = carve_val([i // 2 % 3 for i in range(60)], [None] * 60, names, share=0.25, seed=0)
    assert taken
    assert all(place ^ 1 in taken for place in taken)


@pytest.mark.parametrize(
    ("labels", "groups", "share"),
    [([0, 1], ["a", "a"], 0.5), ([0, 1, 0, 1], ["a"] * 4, 0.25), (LABELS, ACTORS, 0.0)],
)
def test_nothing_is_carved_where_nothing_can_be_spared(labels, groups, share):
    assert carve_val(labels, groups, NAMES[: len(labels)], share=share, seed=0) == []


@pytest.mark.parametrize("most", [1, 5, 100])
def test_a_few_clips_of_each_class_are_drawn_from_as_many_groups_as_there_are(most):
    drawn = few_of_each(LABELS, ACTORS, NAMES, most=most, seed=0)
    for label in range(3):
        actors = Counter(ACTORS[place] for place in drawn if LABELS[place] == label)
        assert sum(actors.values()) == min(most, 20)
        assert max(actors.values()) == (1 if most <= 10 else 2)


def test_the_few_depend_on_names_and_seed_alone_and_unlabelled_clips_are_none_of_them():
    names = {NAMES[i] for i in few_of_each(LABELS, ACTORS, NAMES, most=2, seed=0)}
    columns = [list(reversed(column)) for column in (LABELS, ACTORS, NAMES)]
    assert {columns[2][i] for i in few_of_each(*columns, most=2, seed=0)} == names
    assert {NAMES[i] for i in few_of_each(LABELS, ACTORS, NAMES, most=2, seed=1)} != names
    assert few_of_each([-1, 0, -1], [None] * 3, NAMES[:3], most=2, seed=0) == [1]
