"""A test part for a store whose manifest names none: whole groups, drawn once, and kept by the store.

    STORE/test_part.json    share and seed: the store's test part is its own, not its manifest's
    ledger                  the splits, `train` or `test`, where every command finds them

What was drawn stays: clips that come later follow their group, and new groups are dealt by the same rule.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from harray.errors import InputError
from harray.files import Place, write_atomically
from harray.schema import MANIFEST
from harray.store import FeatureStore
from harray.store.ledger import extracted_rows
from harray.store.lock import writing

FILE_NAME = "test_part.json"
TRAIN, TEST = "train", "test"
SEED = 0


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a store holds out, and how it was drawn."""

    share: float  # of each class's clips that was asked for
    seed: int
    num_test: int
    num_clips: int  # that were dealt; val clips are not among them
    num_groups: int  # of test; where no groups are known, every video by itself
    grouped: bool  # whether the manifest names groups
    classes_without: tuple[str, ...]  # classes that no test clip is of

    def __str__(self) -> str:
        how = (
            f"{self.num_groups} whole groups"
            if self.grouped
            else "no groups known, so that clips of one source video or person may stand on both sides"
        )
        left_out = f"; no test clip of {', '.join(self.classes_without[:5])}" if self.classes_without else ""
        return f"test part: {self.num_test} of {self.num_clips} clips, drawn by seed {self.seed}, {how}{left_out}"


def deal_test(
    labels: Sequence[str | None],
    groups: Sequence[str],
    dealt: Sequence[str | None],
    *,
    share: float,
    seed: int,
) -> list[str]:
    """`train` or `test` for every clip, whole groups at a time.

    Groups are taken in an order that depends on their names and the seed alone, each one that brings the classes
    nearer to `share` of their clips, one clip at least; a class that then has no test clip gets its smallest group.
    None is taken whole: every class keeps clips to train on.

    Args:
        groups: of the clips; clips of one group stay together.
        dealt: what a clip was dealt before, which is kept, and its group with it; None where it was not.
        share: in (0, 1).
    """
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    of_class = Counter(label for label in labels if label is not None)
    wanted = {label: max(1, round(share * count)) for label, count in of_class.items()}
    counts = {
        group: Counter(label for place in places if (label := labels[place]) is not None)
        for group, places in members.items()
    }
    before = {group: {dealt[place] for place in places} - {None} for group, places in members.items()}
    test = [group for group in members if TEST in before[group]]
    taken = sum((counts[group] for group in test), Counter())
    free = sorted((group for group in members if not before[group]), key=lambda group: _lot(group, seed))

    def take(group: str) -> None:
        test.append(group)
        taken.update(counts[group])

    def may_go(group: str) -> bool:
        return all(taken[label] + n < of_class[label] for label, n in counts[group].items())

    for group in free:
        nearer = sum(
            abs(taken[label] - wanted[label]) - abs(taken[label] + n - wanted[label])
            for label, n in counts[group].items()
        )
        if nearer > 0 and may_go(group):
            take(group)
    for label in of_class:
        others = [group for group in free if group not in test and counts[group][label] and may_go(group)]
        if not taken[label] and others:
            take(min(others, key=lambda group: len(members[group])))
    return [TEST if group in set(test) else TRAIN for group in groups]


def hold_out_test(path: Place, share: float, command: str) -> HeldOut:
    """Deal a test part out of a store's clips that belong to no split or to `train`; the same again changes nothing.

    Args:
        share: of each class's clips.
        command: that does it, for whoever wants to write meanwhile.

    Raises:
        InputError: the store has another test part, or too few groups to hold one out.
    """
    check_share(path, share)
    store = FeatureStore.open(path)
    with writing(store.path, command):
        rows = [row for row in extracted_rows(store.ledger()).to_pylist() if _is_free(row)]
        groups = _groups(rows)
        names = _dealt(store.path, rows, groups, share)
        if recorded(store.path) is None:  # before the ledger: whose test part it is, is known at any moment
            part = json.dumps({"share": share, "seed": SEED})
            write_atomically(store.path / FILE_NAME, lambda file: file.write_text(part))
        store.append_ledger(
            {name: value for name, value in row.items() if name != "time"} | {"splits": [split]}
            for row, split in zip(rows, names, strict=True)
            if row["splits"] != [split]
        )
    return _held_out(rows, groups, names, share)


def can_hold_out(path: Place, share: float) -> bool:
    """Whether a store has enough groups to hold whole ones out."""
    rows = [row for row in extracted_rows(FeatureStore.open(path).ledger()).to_pylist() if _is_free(row)]
    try:
        check_share(path, share)
        _dealt(path, rows, _groups(rows), share)
    except InputError:
        return False
    return True


def complete(path: Place, command: str) -> HeldOut | None:
    """Deal clips that are new in the store; None where its splits are its manifest's."""
    known = recorded(path)
    return None if known is None else hold_out_test(path, known["share"], command)


def check_share(path: Place, share: float) -> None:
    """Refuse, before anything is extracted or trained, a share that a store cannot have.

    Raises:
        InputError: not a share, a store that has another, or one whose manifest named a test part.
    """
    if not 0 < share < 1:
        raise InputError(f"--test-share {share:g}: expected a share between 0 and 1, such as 0.2")
    if (known := recorded(path)) is not None:
        if known["share"] != share:
            raise InputError(
                f"store {path}: it holds out {known['share']:g} of its clips, not {share:g}, and models were trained "
                f"on the rest; leave --test-share out, or make another store"
            )
    elif (path / "store.json").exists() and (named := test_splits(FeatureStore.open(path).splits())):
        raise InputError(
            f"store {path}: its manifest names the split {', '.join(named)} already; leave --test-share out"
        )


def check_named(source: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises InputError: a manifest that names a test part needs no other."""
    if named := test_splits({name for row in rows for name in row["splits"]}):
        raise InputError(f"{source}: it names the split {', '.join(named)} already; leave --test-share out")


def train_split_among(splits: Sequence[str], wanted: str) -> str | None:
    """The split to train on where a store lacks the wanted one: the first that is called so, such as `xsub_train`."""
    if not splits or set(wanted.split("+")) <= set(splits):
        return wanted
    return next((name for name in splits if TRAIN in name), None)


def scored_split(splits: Sequence[str], train_split: str, val_split: str = "val") -> str | None:
    """The split that scores what was trained on `train_split`; None where there is none.

    That is `test2` of `train2`, else `test`, else `xsub_val` of `xsub_train`, unless that chose the epoch.

    >>> scored_split(["test1", "test2", "train1", "train2"], "train2")
    'test2'
    """
    first, learned = train_split.partition("+")[0], {*train_split.split("+"), val_split}
    twins = (first.replace(TRAIN, TEST), TEST, first.replace(TRAIN, "val"))
    return next((name for name in twins if name in splits and name not in learned), None)


def test_splits(splits: Iterable[str]) -> list[str]:
    """Those of the splits that are a test part: test, test1, testing."""
    return sorted(name for name in splits if name.startswith(TEST))


def recorded(path: Place) -> dict[str, Any] | None:
    """Share and seed of a store's own test part; None where it has none."""
    file = path / FILE_NAME
    return json.loads(file.read_text()) if file.exists() else None


def as_dealt(rows: list[dict[str, Any]], path: Place) -> list[dict[str, Any]]:
    """Rows of a manifest, with the splits that the store has dealt them; as they are where it has dealt none, or where
    the manifest has come to name a test part."""
    named = {name for row in rows for name in row["splits"]}
    if recorded(path) is None or test_splits(named):
        return rows
    ledger = FeatureStore.open(path).ledger().select(["path", "splits"]).to_pylist()
    before = {row["path"]: row["splits"] for row in ledger if row["splits"] in ([TRAIN], [TEST])}
    return [
        {**row, "splits": before.get(row["path"], row["splits"])} if _is_free(row) else row for row in rows
    ]


def manifest_as_dealt(manifest: pa.Table, path: Place) -> pa.Table:
    """The same of a manifest's table."""
    if recorded(path) is None:
        return manifest
    return pa.Table.from_pylist(as_dealt(manifest.to_pylist(), path), schema=MANIFEST)


def _dealt(store: Place, rows: list[dict[str, Any]], groups: list[str], share: float) -> list[str]:
    has_begun = any(TEST in row["splits"] for row in rows)  # else a `train` is the manifest's, and free
    before = [row["splits"][0] if has_begun and row["splits"] else None for row in rows]
    names = deal_test([row["label"] for row in rows], groups, before, share=share, seed=SEED)
    if TEST not in names:
        raise InputError(
            f"store {store}: found {len(set(groups))} groups in {len(rows)} clips, too few to hold out whole ones and "
            "to train on every class; add videos, or a manifest with a finer group column"
        )
    return names


def _held_out(rows: list[dict[str, Any]], groups: list[str], names: list[str], share: float) -> HeldOut:
    test = [place for place, name in enumerate(names) if name == TEST]
    without = {row["label"] for row in rows} - {rows[place]["label"] for place in test} - {None}
    return HeldOut(
        share=share,
        seed=SEED,
        num_test=len(test),
        num_clips=len(rows),
        num_groups=len({groups[place] for place in test}),
        grouped=any(row["group"] is not None for row in rows),
        classes_without=tuple(sorted(without)),
    )


def _is_free(row: Mapping[str, Any]) -> bool:
    """Whether a row may be dealt: it belongs to no split but these two."""
    return set(row["splits"]) <= {TRAIN, TEST}


def _groups(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What must stay together: a group, the same video under several names, and what hangs together by these."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.setdefault(name, name)) != name:
            name = above
        return name

    for row in rows:
        video = root(f"video {row['clip_id']}")
        if row["group"] is not None:
            parent[video] = root(f"group {row['group']}")
    return [root(f"video {row['clip_id']}") for row in rows]


def _lot(group: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {group}".encode(), digest_size=8).digest()


def to_json(part: HeldOut | None) -> dict[str, Any] | None:
    """For a command's JSON."""
    return None if part is None else dataclasses.asdict(part)
