"""The feature store: content-addressed Parquet shards, and the ledger of what became of every input."""

from harray.store.feature_store import FeatureStore, StoreInfo
from harray.store.settings import StoreSettings

__all__ = ["FeatureStore", "StoreInfo", "StoreSettings"]
