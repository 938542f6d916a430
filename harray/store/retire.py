"""Inputs that are to be there no more: their ledger rows go, their features stay where other inputs may use them."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from harray.files import Place
from harray.schema import MOVED
from harray.store.feature_store import FeatureStore
from harray.store.ledger import renewed
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
        ledger = store.ledger()
        rows = ledger.filter(pc.is_in(ledger["path"], pa.array(inputs, pa.string())))
        store.append_ledger(renewed(rows, {"status": MOVED}))
    return len(rows)
