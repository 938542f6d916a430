"""The training loop: plain torch, one process or a worker among several; reports after each epoch.

Letters: N clips, B batch, A action classes.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from harray.features.augment import Augmented, augment
from harray.features.rowrandom import RowRandom
from harray.features.tensors import NormalisedClips
from harray.metrics import Scores, classification_scores
from harray.model.network import FusionNetwork
from harray.skeleton import SkeletonLayout
from harray.training.config import LearningConfig
from harray.training.divergence import check_finite
from harray.training.evaluate import predict_probabilities
from harray.training.masked_motion import MaskedMotionStep
from harray.training.optimisation import decay_at, new_optimizer, rate_at
from harray.training.scene_probe import fit_scene_probe
from harray.training.statistics import fit_priors, fit_standardisation
from harray.training.step import TrainingStep, class_weights
from harray.training.workers import WorkerGroup, epoch_batches

MEASURING_PASS = 0  # random streams of the measurements before training: 0 and down; training counts from 1
MOST_PASSES = 5  # over the clips in an epoch
MOST_VARIANTS = 10  # of any one clip
AUGMENTED_AT_ONCE = 256  # rows without scene tokens; more leave the caches


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """The result of one epoch; epochs are numbered from 1."""

    epoch: int
    num_epochs: int
    losses: dict[str, float]  # mean per clip, by the names that `TrainingStep` gives them
    val: Scores | None  # of the averaged weights; None without val clips
    val_loss: float | None  # mean negative log probability of the truth
    learning_rate: float
    num_workers: int  # that shared its batches
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Share:
    """The clips that this worker owns, and how many there are in all; `rows_N` number them in the whole."""

    clips: NormalisedClips
    ties: list[str]  # of all clips; those of one name, such as a group's, are held out together
    layouts: tuple[SkeletonLayout, ...]  # of the clips' streams of keypoints

    @property
    def num_clips(self) -> int:
        return len(self.ties)

    def on(self, device: torch.device) -> "Share":
        """The clips on a device; mapped ones stay where they are, and batches go there."""
        return self if self.clips.is_mapped else dataclasses.replace(self, clips=self.clips.to(device))


@dataclass(kw_only=True)
class Progress:
    """How far a training is; with weights and optimizer state all that resuming needs."""

    epoch: int = 0
    best_epoch: int = 0
    best_val_loss: float | None = None
    history: list[EpochReport] = field(default_factory=list)


class Trainer:
    """Trains a network on clips that stay on the device, or on the disk where they are mapped.

    Args:
        val: clips to select the epoch by, or None.
        learning: its features with nothing left to the training clips.
        device: where the network and the clips go; of mapped clips each batch.
        measured: a network whose buffers (PCM's prior, standardisation) are copied, not estimated anew.
        old: names of the weights that the network has from another model.
    """

    def __init__(
        self,
        network: FusionNetwork,
        train: Share,
        val: Share | None,
        *,
        learning: LearningConfig,
        device: torch.device,
        measured: FusionNetwork | None = None,
        old: Collection[str] = (),
    ):
        self.config = learning.training
        self.augmentation = learning.features.augmentation
        self.decisions: Sequence[str] = ()
        self.measured = measured
        self.device = device
        self.workers = WorkerGroup.current()
        self.network = network.to(device)
        self.train = train.on(device)
        self.val = None if val is None else val.on(device)
        self.place_of_row_N = torch.full((train.num_clips,), -1)
        self.place_of_row_N[train.clips.rows_N] = torch.arange(len(train.clips))
        self.optimizer = new_optimizer(self.network, self.config, old)
        self.average: AveragedModel | None = None
        self.probe_NA: Tensor | None = None
        self.best: dict[str, Tensor] = {}
        self.progress = Progress()

    def run(
        self,
        on_epoch: Callable[[EpochReport], None] | None = None,
        on_state: Callable[[dict[str, Any], EpochReport], None] | None = None,
        state: dict[str, Any] | None = None,
    ) -> FusionNetwork:
        """Train to the end and return the chosen network: the averaged weights of the best epoch.

        Args:
            on_epoch: called after each epoch, on every worker.
            on_state: called after that with `state()`, which a later `run(state=...)` goes on from.
        """
        for report in self.epochs(state):
            if on_epoch:
                on_epoch(report)
            if on_state:
                on_state(self.state(), report)
        return self.chosen()

    def epochs(self, state: dict[str, Any] | None = None) -> Iterator[EpochReport]:
        """Train epoch by epoch, for callers that may stop in between; after each, `state()` can be kept."""
        self._start(state)
        step = self._wrapped(self._new_step())
        while self.progress.epoch < self.config.num_epochs and not self._out_of_patience():
            yield self._epoch(step)

    def _new_step(self) -> TrainingStep | MaskedMotionStep:
        if not self.config.use_labels:
            return MaskedMotionStep(self.network, self.config)
        return TrainingStep(self.network, self.config, self.augmentation, self._class_weights())

    def _class_weights(self) -> Tensor | None:
        """Of all workers' clips."""
        if not self.config.balance:
            return None
        labels_N = self.train.clips.labels_N
        counts_A = torch.bincount(labels_N[labels_N >= 0], minlength=self.network.num_classes).float()
        return class_weights(self.workers.summed(counts_A), self.config.balance)

    def chosen(self) -> FusionNetwork:
        """The network with the averaged weights of the best epoch so far."""
        self.network.load_state_dict(self.best)
        return self.network.eval()

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs, as tensors and plain values; random streams need no state."""
        average = self._averaged()
        return {
            "network": self.network.state_dict(),
            "average": average.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "progress": dataclasses.asdict(self.progress),
        }

    def _start(self, state: dict[str, Any] | None) -> None:
        if state is None and self.measured is not None:
            for own, known in zip(self.network.buffers(), self.measured.buffers(), strict=True):
                own.copy_(known)
        elif state is None:
            poses = partial(self._variants, with_scene=False)
            fit_priors(self.network, poses, self.train.num_clips, self.workers)
            fit_standardisation(
                self.network, self._variants(self.train.num_clips, with_scene=True), self.workers
            )
        else:
            self.network.load_state_dict(state["network"])
        self.probe_NA = fit_scene_probe(self.network, self.train.clips, self.train.ties, self.workers)
        self.average = AveragedModel(self.network)
        for own, averaged in zip(self.network.modules(), self.average.module.modules(), strict=True):
            for name, buffer in own.named_buffers(recurse=False):
                setattr(
                    averaged, name, buffer
                )  # constant during training and large: shared, not copied at every step
        if state is not None:
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.best = state["best"]
            self.progress = _progress_from(state["progress"])

    def _epoch(self, step: nn.Module) -> EpochReport:
        started = time.perf_counter()
        self.network.train()
        sums: dict[str, Tensor] = {}
        rate = 0.0
        passes = min(MOST_PASSES, -(-self.config.epoch_clips // self.train.num_clips))
        num_steps = passes * len(self._plan(1))
        steps = range(self.progress.epoch * passes + 1, (self.progress.epoch + 1) * passes + 1)
        for number, batch in enumerate(chain.from_iterable(self._batches(step) for step in steps)):
            done = (self.progress.epoch * num_steps + number) / (self.config.num_epochs * num_steps)
            rate = self.config.learning_rate * rate_at(done, self.config.warmup_share)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
            for name, total in self._step(step, *batch).items():
                sums[name] = sums.get(name, 0.0) + total
        totals = self.workers.summed(torch.stack(list(sums.values()))) / (passes * self.train.num_clips)
        val, val_loss = self._validate()
        self.progress.epoch += 1
        self._keep_best(val_loss)
        report = EpochReport(
            epoch=self.progress.epoch,
            num_epochs=self.config.num_epochs,
            losses=dict(zip(sums, totals.tolist(), strict=True)),
            val=val,
            val_loss=val_loss,
            learning_rate=rate,
            num_workers=self.workers.size,
            seconds=time.perf_counter() - started,
        )
        check_finite(report.epoch, {**report.losses, "val": report.val_loss})
        self.progress.history.append(report)
        return report

    def _step(
        self,
        step: nn.Module,
        batch: Augmented,
        labels_B: Tensor,
        random: RowRandom,
        num_rows: int,
        weight: float,
    ) -> dict[str, Tensor]:
        """One update; returns the sums of the losses over this worker's rows of the batch."""
        use_bf16 = self.device.type == "cuda" and self.config.mixed_precision
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=use_bf16):
            losses = step(batch, labels_B, random)
        total = (
            losses["total"].sum() * weight / num_rows * self.workers.size
        )  # DDP divides by the group's size
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        average = self._averaged()
        decay = decay_at(int(average.n_averaged), self.config.average_decay)  # the number is on the CPU
        average.multi_avg_fn = get_ema_multi_avg_fn(decay)
        average.update_parameters(self.network)
        return {name: loss.detach().sum() * weight for name, loss in losses.items()}

    def _plan(self, number: int) -> list[Tensor]:
        return epoch_batches(
            self.train.num_clips, self.config.batch_size, seed=self.config.seed, epoch=number
        )

    def _batches(
        self, number: int, *, with_scene: bool = True
    ) -> Iterator[tuple[Augmented, Tensor, RowRandom, int, float]]:
        """A pass over the clips: augmented batches, labels, random streams, whole batch's size, this worker's weight.

        A worker that owns no row of a batch computes another one at weight 0, since all workers take every step.
        Several batches are augmented at once (random numbers belong to rows): many small tensors would cost more calls
        than work.
        """
        clips, plan = self.train.clips, self._plan(number)
        if not with_scene:
            clips = dataclasses.replace(clips, tokens_NSD=None)
        at_once = max(1, _rows_at_once(clips) // len(plan[0]))
        for first in range(0, len(plan), at_once):
            batches = plan[first : first + at_once]
            places = [self._places(rows_B) for rows_B in batches]
            indices = [mine if len(mine) else mine.new_zeros(1) for mine in places]
            index, sizes = torch.cat(indices), [len(mine) for mine in indices]
            part = clips.select(index).to(self.device)
            random = RowRandom(self.config.seed, number, part.rows_N)
            variant = self._augmented(part, self.train.layouts[0], random)
            if self.probe_NA is not None:
                variant = variant._replace(probe_BA=self.probe_NA[index])
            if part.second is not None:  # by the same random numbers, so that both streams stay consistent
                second = self._augmented(part.second, self.train.layouts[1], random)
                variant = variant._replace(second=second)
            own = zip(part.rows_N.split(sizes), part.labels_N.split(sizes), variant.split(sizes), strict=True)
            for rows_B, mine, (row_B, label_B, batch) in zip(batches, places, own, strict=True):
                random = RowRandom(self.config.seed, number, row_B)
                yield batch, label_B, random, len(rows_B), float(len(mine) > 0)

    def _variants(self, num_clips: int, *, with_scene: bool) -> Iterator[Augmented]:
        """This worker's share of so many augmented clips, to estimate statistics: all in turn, repeated if needed.

        Padding rows are left out.
        """
        numbers = range(MEASURING_PASS, MEASURING_PASS - MOST_VARIANTS, -1)
        passes = (self._batches(number, with_scene=with_scene) for number in numbers)
        num_batches = -(-num_clips // self.config.batch_size)
        for batch, *_, weight in islice(chain.from_iterable(passes), num_batches):
            if weight:
                yield batch

    def _places(self, rows_B: Tensor) -> Tensor:
        """Where this worker's rows among these stand in its share."""
        places_B = self.place_of_row_N[rows_B]
        return places_B[places_B >= 0].to(self.device)

    def _augmented(self, clips: NormalisedClips, layout: SkeletonLayout, random: RowRandom) -> Augmented:
        return augment(
            *clips.inputs,
            config=self.augmentation,
            layout=layout,
            scene_grid=clips.scene_grid,
            random=random,
        )

    def _validate(self) -> tuple[Scores | None, float | None]:
        if self.val is None:
            return None, None
        averaged: Any = self._averaged().module
        probabilities = predict_probabilities(
            averaged, self.val.clips, batch_size=max(64, self.config.batch_size)
        )
        share = torch.from_numpy(probabilities).to(self.device)
        everyone_NA = self.workers.gathered(share, self.val.num_clips).cpu()
        labels_N = self.workers.gathered(self.val.clips.labels_N.to(self.device), self.val.num_clips).cpu()
        everyone_NA, labels_N = everyone_NA[labels_N >= 0], labels_N[labels_N >= 0]
        truth_N = everyone_NA.gather(1, labels_N[:, None]).clamp(min=1e-8)
        return classification_scores(everyone_NA.numpy(), labels_N.numpy()), float(-truth_N.log().mean())

    def _keep_best(self, val_loss: float | None) -> None:
        """Remember the averaged weights: the last, or where val may stop training, those with the lowest val loss.

        Once the learning rate has fallen to 0 the last average is about the best there is, while the best of many
        epochs by a few dozen val clips is the luckiest. By the loss, since scores change by whole clips.
        """
        lowest = self.progress.best_val_loss
        if self.config.patience == 0 or val_loss is None or lowest is None or val_loss < lowest:
            self.progress.best_val_loss, self.progress.best_epoch = val_loss, self.progress.epoch
            averaged = self._averaged().module
            weights = {name: value.detach().clone() for name, value in averaged.named_parameters()}
            self.best = {**averaged.state_dict(), **weights}  # buffers are large, and no step changes them

    def _out_of_patience(self) -> bool:
        since_best = self.progress.epoch - self.progress.best_epoch
        return self.val is not None and 0 < self.config.patience <= since_best

    def _averaged(self) -> AveragedModel:
        assert self.average is not None, "run() makes the average"
        return self.average

    def _wrapped(self, step: nn.Module) -> nn.Module:
        if self.workers.size == 1:
            return step
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            step,
            device_ids=devices,
            broadcast_buffers=False,
            find_unused_parameters=not self.config.use_labels,  # those that tell classes
        )


def _rows_at_once(clips: NormalisedClips) -> int:
    """How many rows to augment at once: scene tokens are large, and are copied."""
    return AUGMENTED_AT_ONCE if clips.tokens_NSD is None else 1


def report_from(values: dict[str, Any]) -> EpochReport:
    """The report from what `dataclasses.asdict` made of it."""
    fields = dict(values)
    if fields["val"] is not None:
        fields["val"] = Scores(**fields["val"])
    return EpochReport(**fields)


def _progress_from(values: dict[str, Any]) -> Progress:
    fields = dict(values)
    fields["history"] = [report_from(report) for report in fields["history"]]
    return Progress(**fields)
