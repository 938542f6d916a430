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
from harray.features.augment import Augmented, augment
from harray.features.rowrandom import RowRandom
from harray.features.tensors import ClipTensors
from harray.store import FeatureStore
from harray.training.loop import EpochReport
from harray.training.optimisation import new_optimizer
from harray.training.run import TrainingRequest, new_network, share_of, train_store, training_clips
from harray.training.step import TrainingStep
from harray.training.workers import epoch_batches

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
    """The limit: the same network's forward, losses, backward and step on augmented batches that lie ready."""
    config, clips = request.learning.training, _train_clips(request)
    torch.set_num_threads(config.num_threads)
    step = TrainingStep(
        new_network(request.learning, clips), config, request.learning.features.augmentation
    ).train()
    optimizer = new_optimizer(step.network, config)
    ready = _ready_batches(request, clips)
    clock = EpochClock()
    for _ in range(config.num_epochs):
        for batch, labels_B, random in ready:
            loss = step(batch, labels_B, random)["total"].mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        clock.tick()
    return clock.seconds, _peak_mb()


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
    request: TrainingRequest, clips: ClipTensors
) -> list[tuple[Augmented, torch.Tensor, RowRandom]]:
    ready, config = share_of(clips, request.learning.features).clips, request.learning.training
    batches = []
    for rows in epoch_batches(len(ready), config.batch_size, seed=config.seed, epoch=1):
        part, random = ready.select(rows), RowRandom(config.seed, 1, ready.rows_N[rows])
        variant = augment(
            part.keypoints_NPTKC,
            part.visible_NPTK,
            part.tokens_NSD,
            config=request.learning.features.augmentation,
            layout=clips.skeleton,
            scene_grid=clips.scene_grid,
            random=random,
        )
        batches.append((variant, part.labels_N, random))
    return batches


@functools.cache
def _train_clips(request: TrainingRequest) -> ClipTensors:
    return training_clips(request.learning, FeatureStore.open(request.store))[0]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
