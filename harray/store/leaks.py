"""What a part to be scored shares with what was learned from: clips, and groups. From the ledger alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from harray.errors import InputError
from harray.store.feature_store import FeatureStore
from harray.store.ledger import extracted_rows

SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Inputs of a split that say nothing of new clips; true where there are any."""

    split: str
    num_inputs: int
    num_clips: int  # that were learned from themselves
    num_of_groups: int  # others, whose group was learned from
    groups: tuple[str, ...]  # these groups

    def __bool__(self) -> bool:
        return self.num_clips + self.num_of_groups > 0

    def __str__(self) -> str:
        if not self:
            return f"{self.split}: {self.num_inputs} clips, none of a clip or group learned from"
        shown = ", ".join(self.groups[:SHOWN]) + (" and others" if len(self.groups) > SHOWN else "")
        parts = [
            f"{self.num_clips} are learned from" if self.num_clips else "",
            f"{self.num_of_groups} are of groups learned from ({shown})" if self.num_of_groups else "",
        ]
        return f"of {self.num_inputs} clips of {self.split}, {' and '.join(filter(None, parts))}"


def overlap_of_splits(
    store: FeatureStore, learned: Sequence[str], scored: str, before: Collection[str] = ()
) -> Overlap:
    """What a split shares with those that are trained on.

    Args:
        before: clip_ids that were learned from before, by whatever model the training starts from.
    """
    rows = ledger_rows(store)
    clips = {row["clip_id"] for row in rows if set(learned) & set(row["splits"])}
    return overlap(rows, clips.union(before), scored)


def check_no_leak(
    store: FeatureStore,
    training: Sequence[str],
    scored: str | None,
    allowed: bool,
    before: Collection[str] = (),
) -> Overlap | None:
    """What the split to be scored later shares with those that are trained on; None without such a split.

    Raises:
        InputError: it shares something, and that is not allowed.
    """
    if scored is None:
        return None
    found = overlap_of_splits(store, training, scored, before)
    if found and not allowed:
        raise InputError(
            f"store {store.path}: {found}, so that scores on it would say nothing of new ones; keep whole groups in "
            f"one split (`harray audit {store.path}` lists them), or set training.allow_leak=true"
        )
    return found


def overlap_with_clips(store: FeatureStore, learned: Collection[str], scored: str) -> Overlap:
    """What a split shares with the clips that a model learned from, and their groups as far as the store knows them."""
    return overlap(ledger_rows(store), learned, scored)


def ledger_rows(store: FeatureStore) -> list[dict[str, Any]]:
    """path, label, group, splits and clip_id of every extracted input."""
    columns = ["path", "label", "group", "splits", "clip_id"]
    return extracted_rows(store.ledger()).select(columns).to_pylist()


def overlap(rows: Sequence[dict[str, Any]], learned: Collection[str], scored: str) -> Overlap:
    """The same of ledger rows.

    Args:
        learned: clip_ids.
        scored: split.
    """
    groups = {row["group"] for row in rows if row["clip_id"] in learned} - {None}
    of_split = [row for row in rows if scored in row["splits"]]
    others = [row["group"] for row in of_split if row["clip_id"] not in learned and row["group"] in groups]
    return Overlap(
        split=scored,
        num_inputs=len(of_split),
        num_clips=sum(row["clip_id"] in learned for row in of_split),
        num_of_groups=len(others),
        groups=tuple(sorted(set(others))),
    )


def doubles_apart(rows: Sequence[dict[str, Any]]) -> int:
    """Files that stand under several names in different groups, so that folds by group hold one out and learn from
    another."""
    groups: dict[str, set[str | None]] = {}
    for row in rows:
        groups.setdefault(row["clip_id"], set()).add(row["group"])
    return sum(len(of_clip) > 1 for of_clip in groups.values())
