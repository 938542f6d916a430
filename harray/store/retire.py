"""Inputs that are to be there no more: their ledger rows go, their features stay where other inputs may use them."""

from collections.abc import Collection

from harray.files import Place
from harray.schema import MOVED
from harray.store.feature_store import FeatureStore
from harray.store.lock import writing


def retire(path: Place, inputs: Collection[str], command: str) -> int:
    """Take inputs out of a store's ledger; how many it had.

    Args:
        command: that asks for it, for whoever finds the store locked.

    Raises:
        InputError: no store, or another command writes to it.
    """
    with writing(path, command):
        store = FeatureStore.open(path)
        rows = [row for row in store.ledger().to_pylist() if row["path"] in inputs]
        gone = [
            {name: value for name, value in row.items() if name != "time"} | {"status": MOVED} for row in rows
        ]
        store.append_ledger(gone)
    return len(rows)
