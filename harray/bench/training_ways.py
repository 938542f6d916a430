"""The ways of training that are measured in processes of their own.

Every function returns seconds per epoch, after a first one that warms up, and the process's peak resident memory, MB.
"""

import dataclasses
import functools
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from harray.bench.sample_loop import augment_one
from harray.features.augment import Augmented
from harray.features.config import AugmentationConfig
from harray.features.rowrandom import RowRandom
from harray.features.tensors import ClipTensors
from harray.store import FeatureStore, StoreSettings
from harray.training.loop import EpochReport
from harray.training.optimisation import new_optimizer
from harray.training.run import (
    TrainingRequest,
    device_named,
    new_network,
    share_of,
    train_store,
    training_clips,
)
from harray.training.step import TrainingStep
from harray.training.workers import epoch_batches

NUM_DRAWN_LABELS = 8
Taken = tuple[float, float]  # seconds an epoch, peak MB


class EpochClock:
    """Takes the time between the ends of epochs, so that nothing that happens between them is missed."""

    def __init__(self) -> None:
        self.ends_sec: list[float] = []

    def tick(self, report: EpochReport | None = None) -> None:
        self.ends_sec.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of an epoch, the mean over all but the first."""
        return (self.ends_sec[-1] - self.ends_sec[0]) / (len(self.ends_sec) - 1)


def harray_seconds(request: TrainingRequest) -> Taken:
    """As `harray train`: with augmentation, validation, averaged weights and the state that is kept."""
    clock = EpochClock()
    with tempfile.TemporaryDirectory() as folder:
        request = dataclasses.replace(request, out=Path(folder, "model"))
        train_store(request, clock.tick, Path(folder, "state.pt"))
    return clock.seconds, _peak_mb()


def bare_seconds(request: TrainingRequest) -> Taken:
    """The limit: forward, losses, backward and optimizer step of the same network on batches that lie ready."""
    config, clips = request.learning.training, _train_clips(request)
    torch.set_num_threads(config.num_threads)
    device = device_named(config.device)
    network = new_network(request.learning, clips).to(device)
    step = TrainingStep(network, config, AugmentationConfig(enabled=False)).train()
    optimizer = new_optimizer(network, config)
    ready = _ready_batches(request, clips, device)
    use_bf16 = device.type == "cuda" and config.mixed_precision
    clock = EpochClock()
    for _ in range(config.num_epochs):
        for batch, labels_B, random in ready:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bf16):
                loss = step(batch, labels_B, random)["total"].mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()  # it is still at work when the last call returns
        clock.tick()
    return clock.seconds, _peak_mb()


def first_loss(request: TrainingRequest, device: str) -> float:
    """Of the first batch before any training, in float32."""
    clips = _train_clips(request)
    network = new_network(request.learning, clips).to(device)
    step = TrainingStep(network, request.learning.training, AugmentationConfig(enabled=False)).train()
    batch, labels_B, random = _ready_batches(request, clips, torch.device(device))[0]
    return float(step(batch, labels_B, random)["total"].mean())


def drawn_store(path: Path, num_clips: int) -> FeatureStore:
    """A store of two people each who sway, at a speed by their label: keypoints alone, for the time they take."""
    shape = (2, 32, 17, 3)
    store = FeatureStore.create(path, StoreSettings(skeleton="coco17", keypoints_shape=shape))
    rng, time_T11 = np.random.default_rng(0), np.linspace(0, 2 * np.pi, shape[1])[:, None, None]
    features, ledger = [], []
    for number in range(num_clips):
        speed = 1 + number % NUM_DRAWN_LABELS
        keypoints = np.ones(shape, np.float32)
        keypoints[..., :2] = rng.normal(300, 60, (shape[0], 1, shape[2], 2))
        keypoints[..., :2] += 20 * np.sin(speed * time_T11 + rng.uniform(0, 6)) + rng.normal(
            0, 1, (*shape[:3], 2)
        )
        keypoints[..., 2] = rng.random(shape[:3]) > 0.2
        clip = {"clip_id": f"drawn-{number}", "frame_index": range(shape[1]), "frame_sec": np.arange(32.0)}
        features.append(clip | {"height_px": 480, "width_px": 640, "keypoints": keypoints})
        row = {"clip_id": clip["clip_id"], "path": f"/drawn/{number}.mp4", "label": f"speed {speed}"}
        ledger.append(row | {"group": f"{number // 8}", "splits": ["train"], "status": "extracted"})
    store.write_shard(features)
    store.append_ledger(ledger)
    return store


def sample_loop_seconds(request: TrainingRequest) -> Taken:
    """Augmentation alone, in numpy, one clip after another."""
    clips = _train_clips(request)
    ready = share_of(clips, request.learning.features).clips
    keypoints, visible = ready.keypoints_NPTKC.numpy(), ready.visible_NPTK.numpy()
    rng, clock = np.random.default_rng(0), EpochClock()
    for _ in range(request.learning.training.num_epochs):
        for clip in zip(keypoints, visible, strict=True):
            augment_one(*clip, request.learning.features.augmentation, clips.skeleton, rng)
        clock.tick()
    return clock.seconds, _peak_mb()


def _ready_batches(
    request: TrainingRequest, clips: ClipTensors, device: torch.device
) -> list[tuple[Augmented, torch.Tensor, RowRandom]]:
    ready = share_of(clips, request.learning.features).clips
    config, batches = request.learning.training, []
    for rows in epoch_batches(len(ready), config.batch_size, seed=config.seed, epoch=1):
        part = ready.select(rows).to(device)
        keypoints, visible = part.keypoints_NPTKC, part.visible_NPTK
        variant = Augmented(keypoints, visible, keypoints, visible, part.tokens_NSD)
        batches.append((variant, part.labels_N, RowRandom(config.seed, 1, part.rows_N)))
    return batches


@functools.cache
def _train_clips(request: TrainingRequest) -> ClipTensors:
    return training_clips(request.learning, FeatureStore.open(request.store))[0]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
