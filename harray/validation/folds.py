"""Folds: every clip is held out once, whole groups at a time, classes as even as possible."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from harray.errors import InputError

FOLDS_SEED = 0  # folds stay as they are whatever seeds train on them, so that trainings compare pair by pair


def plan_folds(
    labels: Sequence[str], groups: Sequence[str | None], clip_ids: Sequence[str], num_folds: int
) -> list[list[int]]:
    """Places of the clips that each of `num_folds` folds holds out, ascending.

    What belongs to one group (actor, source video) is held out together; where a clip has no group, the same
    clip under other paths is its group. Without any such ties this is stratified k-fold.

    Raises:
        InputError: too few clips, or too few groups, of a class for so many folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    ties = [
        f"clip {clip_id}" if group is None else f"group {group}"
        for group, clip_id in zip(groups, clip_ids, strict=True)
    ]
    _check_class_sizes(labels, num_folds)
    if len(set(ties)) < num_folds:
        raise InputError(f"found {len(set(ties))} groups, expected at least {num_folds}; use fewer --folds")
    how, clips = {"n_splits": num_folds, "shuffle": True, "random_state": FOLDS_SEED}, np.zeros(len(ties))
    if len(set(ties)) == len(ties):
        parts = StratifiedKFold(**how).split(clips, labels)
    else:
        parts = StratifiedGroupKFold(**how).split(clips, labels, ties)
    folds = [held_out.tolist() for _, held_out in parts]
    check_classes_stay(labels, folds)
    return folds


def leave_one_group_out(labels: Sequence[str], groups: Sequence[str | None]) -> list[list[int]]:
    """Places of the clips of each group, the groups in order of their names.

    Raises:
        InputError: a clip without group, fewer than two groups, or a class that only one group has.
    """
    if ungrouped := sum(group is None for group in groups):
        raise InputError(
            f"{ungrouped} of {len(groups)} clips have no group to leave out; "
            "give the manifest a group column, or use --folds"
        )
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(str(group), []).append(place)
    if len(members) < 2:
        raise InputError("found 1 group, expected at least two to leave one out; use --folds")
    folds = [members[group] for group in sorted(members)]
    check_classes_stay(labels, folds)
    return folds


def _check_class_sizes(labels: Sequence[str], num_folds: int) -> None:
    label, count = min(Counter(labels).items(), key=lambda item: item[1])
    if count < num_folds:
        raise InputError(
            f"class {label!r} has {count} clips, expected at least {num_folds}, one per fold; use fewer "
            "--folds, or leave the class out"
        )


def check_classes_stay(labels: Sequence[str], folds: list[list[int]]) -> None:
    """Every class must be left to train on when a fold is held out."""
    everything = Counter(labels)
    for held_out in folds:
        counts = Counter(labels[place] for place in held_out)
        if gone := [label for label, count in counts.items() if count == everything[label]]:
            raise InputError(
                f"all clips of class {gone[0]!r} are held out together, which would leave none to train on; leave the "
                "class out, or mend the groups"
            )
