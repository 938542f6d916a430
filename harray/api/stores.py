"""A feature store as every verb takes and gives it."""

import contextlib
import html
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from harray.files import Place, place
from harray.store import FeatureStore
from harray.training.config import TrainingConfig

if TYPE_CHECKING:
    from harray.distributed.extraction import ExtractionSummary
    from harray.store.compact import Compaction
    from harray.store.feature_store import StoreInfo
    from harray.store.test_part import HeldOut
    from harray.store.verify import Verification


class Store:
    """Features of clips in a folder, on a disk or in a bucket.

    Attributes:
        path: absolute folder, or a place in a bucket.
        summary: what became of the inputs; None where the store was opened, not extracted.
        held_out: its test part, where harray dealt one.
    """

    def __init__(
        self,
        path: str | Place,
        summary: "ExtractionSummary | None" = None,
        held_out: "HeldOut | None" = None,
    ) -> None:
        """
        Raises:
            InputError: nothing there, or no store.
        """
        self.path = place(path).absolute()
        self.summary = summary
        self.held_out = held_out
        assert self.features

    @cached_property
    def features(self) -> FeatureStore:
        """The store itself, for whoever wants its rows."""
        return FeatureStore.open(self.path)

    def info(self) -> "StoreInfo":
        """Counts of inputs, labels and splits, and what was quarantined and why."""
        return self.features.info()

    def num_quarantined(self, stage: str | None = None) -> int:
        """Inputs that could not be extracted, of one stage or of all."""
        return len(self.features.quarantined(stage))

    def verify(self, *, repair: bool = False) -> "tuple[Verification, list[str]]":
        """Read the store to the last byte and compare what its files say.

        Args:
            repair: move damaged files to `damaged` in the store, for the next extraction to restore.

        Returns:
            What was found, and the files that were moved.
        """
        from harray.store.lock import writing
        from harray.store.parts import undisturbed
        from harray.store.verify import move_damaged, verify

        with writing(self.path, "harray store verify --repair") if repair else contextlib.nullcontext():
            found = undisturbed(lambda: verify(self.features))
            return found, move_damaged(self.features, found) if repair else []

    def compact(self) -> "Compaction":
        """Merge the ledger's parts and small shards into large ones; the store says the same."""
        from harray.store.compact import compact
        from harray.store.lock import writing

        with writing(self.path, "harray store compact"):
            return compact(self.features)

    def splits(self) -> list[str]:
        """Names of its splits."""
        return self.features.splits()

    def train_split(self, training: TrainingConfig) -> str | None:
        """The split that such a training can train on; None where none of its splits suits."""
        from harray.store.test_part import train_split_among

        return train_split_among(self.splits(), training.train_split)

    def scored_split(self, training: TrainingConfig) -> str | None:
        """The split that scores what is so trained; None where it has none."""
        from harray.store.test_part import scored_split

        trained = self.train_split(training)
        return trained and scored_split(self.splits(), trained, training.val_split)

    def can_hold_out(self, share: float) -> bool:
        """Whether it has groups enough to hold so large a share out."""
        from harray.store.test_part import can_hold_out

        return can_hold_out(self.path, share)

    def check_share(self, share: float) -> None:
        """Refuse, before anything is started, a share that it cannot hold out.

        Raises:
            InputError: not a share, or the store has another test part.
        """
        from harray.store.test_part import check_share

        check_share(self.path, share)

    def hold_out_test(self, share: float, command: str = "hold_out_test") -> "HeldOut":
        """Deal so large a share of the clips into split `test`, whole groups, for good.

        Args:
            command: that does it, for whoever wants to write meanwhile.

        Raises:
            InputError: the store has a test part, or too few groups.
        """
        from harray.store.test_part import hold_out_test

        self.held_out = hold_out_test(self.path, share, command)
        return self.held_out

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def _repr_html_(self) -> str:
        info = self.info()
        rows = {
            "inputs": f"{info.num_inputs} = {info.num_extracted} extracted + {info.num_quarantined} quarantined",
            "distinct clips": str(info.num_clips),
            "splits": _counted(info.splits),
            "labels": _counted(info.labels),
        }
        body = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items())
        return f"<b>Feature store {html.escape(str(self.path))}</b><table>{body}</table>"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items()) or "none"


def as_store(store: "str | Place | Store") -> Store:
    """The store, opened where it is named by its folder.

    Raises:
        InputError: nothing there, or no store.
    """
    return store if isinstance(store, Store) else Store(store)
