"""Clips that are mapped from disk: the same numbers as in memory, read a few at a time."""

import pytest
import torch

from harray.features import mapped
from harray.features.config import FeaturesConfig
from harray.features.mapped import MappedRows
from harray.features.tensors import load_clips, normalised
from harray.store import FeatureStore, compact
from tests.store.test_feature_store import SETTINGS, clip, outcome

NUM_CLIPS = 7


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped, "PIECE_BYTES", 5000)  # three clips or so


@pytest.fixture
def store(tmp_path):
    """Clips whose order in the shards is not that of their paths; one video stands under two names."""
    store = FeatureStore.create(tmp_path / "store", SETTINGS)
    generator = torch.Generator().manual_seed(0)
    for number in range(NUM_CLIPS):
        row = clip(f"c{number}")
        row["keypoints"] = torch.rand(SETTINGS.keypoints_shape, generator=generator).numpy()
        row["scene_tokens"] = torch.rand(SETTINGS.scene_shape, generator=generator).half().numpy()
        store.write_shard([row])
    names = [(f"/{(3 * number) % NUM_CLIPS}", f"c{number}") for number in range(NUM_CLIPS)]
    store.append_ledger([outcome(path, clip_id) for path, clip_id in (*names, ("/again", "c2"))])
    return store


def test_mapped_clips_are_those_in_memory_bit_by_bit(store):
    inside, outside = load_clips(store), load_clips(store, most_bytes=1)
    assert isinstance(outside.tokens_NSD, MappedRows)
    assert outside.paths == inside.paths
    for name in ("keypoints_NPTKC", "confidence_NPTK", "tokens_NSD"):
        assert torch.equal(getattr(outside, name)[:], getattr(inside, name))
    chosen = outside.select([5, 0, 5]).select([2, 1])
    assert torch.equal(chosen.tokens_NSD[:], inside.tokens_NSD[[5, 0]])
    assert chosen.tokens_NSD.shape == (2, 4, 8)


def test_normalised_they_are_the_same_too_and_batches_are_read(store):
    inside = normalised(load_clips(store), FeaturesConfig())
    outside = normalised(load_clips(store, most_bytes=1), FeaturesConfig())
    assert torch.equal(outside.keypoints_NPTKC, inside.keypoints_NPTKC)
    assert torch.equal(outside.visible_NPTK, inside.visible_NPTK)
    batch = outside.select([3, 1]).to(torch.device("cpu"))
    assert not batch.is_mapped
    assert torch.equal(batch.tokens_NSD, inside.tokens_NSD[[3, 1]])


def test_files_are_written_once_for_the_same_clips_and_the_longest_unused_go(store, tmp_path):
    load_clips(store, most_bytes=1)
    [file] = (tmp_path / "cache" / "mapped").glob("*/scene_tokens.bin")
    written = file.stat().st_mtime_ns
    compact.compact(store)
    load_clips(store, most_bytes=1)
    assert file.stat().st_mtime_ns == written
    for number in range(mapped.NUM_KEPT):
        store.append_ledger([outcome(f"/new{number}", f"c{number}")])
        load_clips(store, most_bytes=1)
    assert not file.exists()
    assert len(list((tmp_path / "cache" / "mapped").glob("*/scene_tokens.bin"))) == mapped.NUM_KEPT
