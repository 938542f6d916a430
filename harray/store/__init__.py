"""The feature store: content-addressed Parquet shards, and the ledger of what became of every input."""

from harray.store.settings import StoreSettings
from harray.store.store import FeatureStore, StoreInfo

__all__ = ["FeatureStore", "StoreInfo", "StoreSettings"]
