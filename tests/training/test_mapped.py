"""Training on clips that are mapped from disk, because they would take too much memory."""

import errno
import os
import resource

import pytest
import torch

from harray.errors import InputError
from harray.features.mapped import MappedRows, scratch
from harray.store import FeatureStore
from harray.training import memory
from harray.training.checkpoint import load_checkpoint
from harray.training.config import TrainingConfig
from harray.training.run import train_store, training_clips
from tests.training.test_run import make_store, request


@pytest.mark.parametrize("scene", [True, False])
def test_what_is_learned_from_mapped_clips_is_what_is_learned_from_memory(tmp_path, monkeypatch, scene):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path / "cache"))
    make_store(tmp_path / "store", scene=scene)
    models = {}
    for share in (1.0, 0.0):
        training = TrainingConfig(
            num_epochs=2, batch_size=8, device="cpu", val_share=0.34, memory_share=share
        )
        asked = request(tmp_path, out=tmp_path / f"model{share}", training=training)
        models[share] = load_checkpoint(train_store(asked).checkpoint)
    assert (tmp_path / "cache" / "mapped").exists()
    inside, outside = (models[share].network.state_dict() for share in (1.0, 0.0))
    assert all(torch.equal(inside[name], outside[name]) for name in inside)
    assert models[1.0].calibration == models[0.0].calibration


def test_clips_are_mapped_where_they_take_more_than_their_share_of_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path / "cache"))
    store = make_store(tmp_path / "store")
    learning = request(tmp_path).learning
    for num_bytes, is_mapped in ((1 << 40, False), (40, True)):
        monkeypatch.setattr("harray.training.run.memory_bytes", lambda num_bytes=num_bytes: num_bytes)
        train, _ = training_clips(learning, FeatureStore.open(store.path))
        assert isinstance(train.tokens_NSD, MappedRows) == is_mapped


def test_memory_is_what_control_groups_limits_and_other_workers_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_own_groups", lambda: ["0::/pod/container"])
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    machine = memory.memory_bytes()
    (tmp_path / "pod" / "container").mkdir(parents=True)
    (tmp_path / "pod" / "container" / "memory.max").write_text("max\n")
    assert memory.memory_bytes() == machine
    (tmp_path / "pod" / "memory.max").write_text("1000000\n")
    assert memory.memory_bytes() == 1_000_000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory.memory_bytes() == 250_000
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1000, 1000))
    assert memory.memory_bytes() == 1000


def test_a_disk_without_space_is_said_and_kills_nothing(tmp_path, monkeypatch):
    def full(file, start, num_bytes):  # a real one would be filled for everybody
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"the disk has no 4\.0 GB left .* HARRAY_CACHE"):
        scratch((10**9,), torch.float32)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
