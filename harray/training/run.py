"""From a store to a checkpoint folder: shared by all ways of training.

store -> clips of train and val (carved where there is no val split) -> Trainer -> checkpoint folder
"""

import dataclasses
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harray.config import digest, to_dict
from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, load_clips, normalised, poses_read
from harray.files import Place, local_tree, place
from harray.metrics import Scores
from harray.model.network import FusionNetwork, StreamShape
from harray.store import FeatureStore
from harray.training.calibration import EPOCH_SHARE, LEAST_CLIPS, Calibration, calibration_of
from harray.training.checkpoint import Checkpoint, learned_clips, save_checkpoint
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.decisions import as_used, decided, num_people_of
from harray.training.evaluate import predict_logits
from harray.training.floors import ties_of
from harray.training.loop import EpochReport, Share, Trainer
from harray.training.memory import memory_bytes
from harray.training.probes import dealt
from harray.training.splits import carve_val, few_of_each
from harray.training.start import TakenOver, start_network
from harray.training.state import load_state, save_state
from harray.training.workers import WorkerGroup


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What to train on what, and where the checkpoint goes; the same for one process and for many workers."""

    store: Place
    out: Path  # the checkpoint folder
    learning: LearningConfig = field(default_factory=LearningConfig)
    experiment_yaml: str = ""  # kept beside the checkpoint for the record

    @property
    def digest(self) -> str:
        """Stands for everything that decides the outcome, the store's clips included."""
        return learned_from(self.learning, self.store)


def parts_of(learning: LearningConfig) -> list[dict[str, Any]]:
    """The configs as plain values, in the order in which digests take them."""
    return [to_dict(learning.features), to_dict(learning.model), to_dict(learning.training)]


def learned_from(learning: LearningConfig, store: Place) -> str:
    """A digest of everything that decides the outcome, the store's clips included."""
    return digest([*parts_of(learning), FeatureStore.open(store).digest()])


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    checkpoint: Path
    val: Scores | None  # of the chosen epoch, by the weights in the checkpoint; None without val clips
    train_sec: float
    num_epochs: int  # that ran
    best_epoch: int  # counted from 1
    history: list[EpochReport]
    decisions: list[str]  # what the training clips decided, a line each


@dataclass(frozen=True, kw_only=True)
class Fitted:
    checkpoint: Checkpoint
    trainer: Trainer


@dataclass(frozen=True, kw_only=True)
class StoreOrigin:
    """What a checkpoint says of the store that it was trained on."""

    store_digest: str
    clip_sec: float | None  # the clips' median length; None: not known
    provenance: Provenance


def train_store(
    request: TrainingRequest,
    on_epoch: Callable[[EpochReport], None] | None = None,
    state_file: Path | None = None,
) -> TrainingResult:
    """Train in this process and write the checkpoint folder.

    Args:
        state_file: keeps the training's state every `training.state_sec` and at the end; when it is there
            already, training goes on from it and ends as if it had never stopped.

    Raises:
        InputError: a store that cannot be trained on, or a state file of another training.
    """
    started, training = time.perf_counter(), request.learning.training
    fingerprint = request.digest if state_file else ""
    state = load_state(state_file, fingerprint) if state_file and state_file.exists() else None

    saved = time.monotonic()

    def keep(state: dict[str, Any], report: EpochReport) -> None:
        nonlocal saved
        due = time.monotonic() - saved >= training.state_sec
        if state_file and (due or report.epoch == report.num_epochs):
            save_state(state, state_file, fingerprint)
            saved = time.monotonic()

    fitted = fit(request, device_named(training.device), on_epoch, keep if state_file else None, state)
    save_checkpoint(fitted.checkpoint, request.out, request.experiment_yaml)
    return result_of(fitted.trainer, request.out, time.perf_counter() - started)


def fit(
    request: TrainingRequest,
    device: torch.device,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_state: Callable[[dict[str, Any], EpochReport], None] | None = None,
    state: dict[str, Any] | None = None,
) -> Fitted:
    """Train on this worker's share of the store (all of it where there is one process)."""
    store = FeatureStore.open(request.store)
    train, val = training_clips(request.learning, store)
    return fit_clips(request.learning, store, train, val, device, on_epoch, on_state, state)


def fit_clips(
    learning: LearningConfig,
    store: FeatureStore,
    train: ClipTensors,
    val: ClipTensors | None,
    device: torch.device,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_state: Callable[[dict[str, Any], EpochReport], None] | None = None,
    state: dict[str, Any] | None = None,
) -> Fitted:
    """Train on these clips of the store, whatever its splits say; without val all epochs run and the last counts."""
    with threads(
        learning.training.num_threads, device
    ):  # the construction too: floating-point sums depend on it
        trainer = new_trainer(learning, train, val, device)
        trained = trainer.run(on_epoch, on_state, state)
        checkpoint = checkpoint_of(trained, learning, train, val, origin_of(store))
        if not learning.training.use_labels:
            return Fitted(checkpoint=checkpoint, trainer=trainer)
        if val is None:
            held_out = _held_out_calibration(learning, train, trainer)
            checkpoint = dataclasses.replace(checkpoint, calibration=held_out)
    found = checkpoint.calibration
    trainer.decisions = [*trainer.decisions, f"calibration: temperature {found.temperature:.2f}, {found.how}"]
    return Fitted(checkpoint=checkpoint, trainer=trainer)


def _held_out_calibration(learning: LearningConfig, train: ClipTensors, trainer: Trainer) -> Calibration:
    """Calibration by a fifth of the clips, held out of a second, short training."""
    labelled_N = (train.labels_N >= 0).nonzero().squeeze(1)
    train = train.select(labelled_N)
    fold_N, num_folds = dealt(train.labels_N.tolist(), ties_of(train))
    held_out, rest = train.select(np.flatnonzero(fold_N == 0)), train.select(np.flatnonzero(fold_N > 0))
    if num_folds < 2 or len(held_out) < max(LEAST_CLIPS, WorkerGroup.current().size):
        return Calibration(how=f"not calibrated: {len(held_out)} held-out clips are too few")
    num_epochs = max(1, round(EPOCH_SHARE * learning.training.num_epochs))
    short = dataclasses.replace(
        learning,
        features=dataclasses.replace(
            learning.features, augmentation=trainer.augmentation
        ),  # as it was decided
        training=dataclasses.replace(learning.training, num_epochs=num_epochs, val_share=0.0),
    )
    second = new_trainer(short, rest, None, trainer.device, measured=trainer.network)
    return _calibration(second.run(), learning, held_out, "clips held out of a second, short training")


def _calibration(
    network: FusionNetwork, learning: LearningConfig, clips: ClipTensors, how: str
) -> Calibration:
    """Calibration by a network's answers on clips that it did not learn from."""
    clips = clips.looked_at(learning.features.keypoints)
    logits_NA = predict_logits(network, normalised(clips, learning.features))
    return calibration_of(logits_NA.astype(np.float64), clips.labels_N.numpy(), how)


def new_trainer(
    learning: LearningConfig,
    train: ClipTensors,
    val: ClipTensors | None,
    device: torch.device,
    measured: FusionNetwork | None = None,
) -> Trainer:
    """A trainer of a fresh network on this worker's share of the clips.

    Args:
        measured: a network whose prior and scales are taken rather than measured anew.

    Raises:
        InputError: fewer clips than workers.
    """
    if len(train) < (size := WorkerGroup.current().size):
        raise InputError(f"found {len(train)} clips to train on and {size} workers; use fewer --workers")
    which, learning = learning.features.keypoints, as_used(learning)
    train, val = train.looked_at(which), None if val is None else val.looked_at(which)
    features, decisions = decided(learning.features, train)
    network, taken = started_network(learning, train)
    if taken:
        decisions = [*decisions, str(taken)]
    trainer = Trainer(
        network,
        share_of(train, features),
        None if val is None else share_of(val, features),
        learning=dataclasses.replace(learning, features=features),
        device=device,
        measured=measured,
        old=taken.old if taken else (),
    )
    trainer.decisions = decisions
    return trainer


def started_network(learning: LearningConfig, clips: ClipTensors) -> tuple[FusionNetwork, TakenOver | None]:
    """A network for such clips as a training starts from it, and what it has of another model; None of none."""
    network, folder = new_network(learning, clips), learning.training.init
    if not folder:
        return network, None
    return network, start_network(
        network, [clips.skeleton, clips.second_skeleton], clips.classes, local_tree(place(folder))
    )


def origin_of(store: FeatureStore) -> StoreOrigin:
    """What a checkpoint says of the store that it was trained on."""
    return StoreOrigin(
        store_digest=store.digest(), clip_sec=median_clip_sec(store), provenance=store.settings.provenance
    )


def median_clip_sec(store: FeatureStore) -> float | None:
    """Seconds from the first to the last frame of the store's clips, their median; None where times are not known."""
    times = store.read(columns=["frame_sec"])["frame_sec"].to_pylist()
    lengths = [each[-1] - each[0] for each in times if each]
    median = float(np.median(lengths)) if lengths else 0.0
    return median if median > 0 else None


def checkpoint_of(
    network: FusionNetwork,
    learning: LearningConfig,
    train: ClipTensors,
    val: ClipTensors | None,
    origin: StoreOrigin,
) -> Checkpoint:
    """A trained network with all that using it needs."""
    looked_at = train.looked_at(learning.features.keypoints)
    return Checkpoint(
        network=network,
        features=learning.features,
        classes=train.classes,
        skeleton=looked_at.skeleton,
        second_skeleton=looked_at.second_skeleton,
        scene_grid=looked_at.scene_grid,
        num_people=num_people_of(looked_at, learning.features),
        calibration=Calibration() if val is None else _calibration(network, learning, val, "clips of val"),
        learned_clips=frozenset(train.clip_ids).union(
            [] if val is None else val.clip_ids, learned_before(learning.training)
        ),
        store_digest=origin.store_digest,
        clip_sec=origin.clip_sec,
        provenance=origin.provenance,
    )


def learned_before(training: TrainingConfig) -> frozenset[str]:
    """Clips that the model learned from with whose weights a training starts."""
    return (learned_clips(local_tree(place(training.init))) or frozenset()) if training.init else frozenset()


def training_clips(learning: LearningConfig, store: FeatureStore) -> tuple[ClipTensors, ClipTensors | None]:
    """Clips to train on and to select by; a store without any split trains on all its clips.

    Raises:
        InputError: no such split, or fewer than two classes in it.
    """
    config, splits = learning.training, store.splits()
    chosen = config.train_splits if splits else None
    most_bytes = config.memory_share * memory_bytes()
    if not config.use_labels:
        clips = load_clips(store, chosen, classes=(), most_bytes=most_bytes)
        return dataclasses.replace(clips, tokens_NSD=None, scene_grid=None), None
    train = load_clips(store, chosen, most_bytes=most_bytes)
    if len(train.labels_N[train.labels_N >= 0].unique()) < 2:
        raise InputError(
            f"store {store.path}: its clips to train on bear fewer than two labels; "
            "give its manifest a label column (or class folders) and extract again"
        )
    if config.val_split in splits and config.val_split not in config.train_splits:
        val = load_clips(store, [config.val_split], train.classes, most_bytes)
    else:
        taken = carve_val(
            train.labels_N.tolist(), train.groups, train.clip_ids, share=config.val_share, seed=config.seed
        )
        val = train.select(taken)
        train = train.select(sorted(set(range(len(train))) - set(taken)))
    val = val.select((val.labels_N >= 0).nonzero().squeeze(1))  # the others cannot select
    return fewer(train, config), val if len(val) else None


def fewer(train: ClipTensors, config: TrainingConfig) -> ClipTensors:
    """The clips that `training.clips_per_class` leaves."""
    if (most := config.clips_per_class) is None:
        return train
    labels, names = train.labels_N.tolist(), train.clip_ids
    return train.select(few_of_each(labels, train.groups, names, most=most, seed=config.seed))


def new_network(learning: LearningConfig, clips: ClipTensors) -> FusionNetwork:
    """A network for such clips, its weights drawn by the seed; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learning.training.seed)
        return FusionNetwork(
            learning.model,
            **stream_shape(clips),
            second=None if clips.second is None else stream_shape(clips.second),
            scene_dim=None if clips.tokens_NSD is None else clips.tokens_NSD.shape[2],
            num_classes=len(clips.classes),
        )


def stream_shape(clips: ClipTensors) -> StreamShape:
    """What a network must know of these keypoints."""
    _, people, frames, joints, coordinates = clips.keypoints_NPTKC.shape
    return StreamShape(
        num_people=people,
        num_frames=frames,
        num_joints=joints,
        num_coordinates=coordinates,
        bones=clips.skeleton.bones,
    )


def device_named(name: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        InputError: `cuda` where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("training.device: cuda, but torch finds no GPU; set training.device=cpu or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def result_of(trainer: Trainer, checkpoint: Path, train_sec: float) -> TrainingResult:
    """The result of a finished training."""
    progress = trainer.progress
    return TrainingResult(
        checkpoint=checkpoint,
        val=progress.history[progress.best_epoch - 1].val,
        train_sec=train_sec,
        num_epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        history=progress.history,
        decisions=list(trainer.decisions),
    )


@contextmanager
def threads(num_threads: int, device: torch.device) -> Generator[None]:
    """Torch on so many threads, on a CPU, and the former number afterwards."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_of(clips: ClipTensors, features: FeaturesConfig) -> Share:
    """This worker's share, normalised; without the places for people that no clip fills."""
    rows = WorkerGroup.current().share(len(clips))
    mine = dataclasses.replace(normalised(clips.select(rows), features), rows_N=rows)
    if clips.second is None:  # two streams keep all places: which are filled may differ between them
        parts = [(part.confidence_NPTK > 0).any(dim=3).any(dim=2).any(dim=0) for part in poses_read(clips)]
        filled_P = torch.stack(parts).any(dim=0)
        num_people = int(filled_P.nonzero().max()) + 1 if filled_P.any() else 1
        keypoints, visible = mine.keypoints_NPTKC[:, :num_people], mine.visible_NPTK[:, :num_people]
        if not mine.is_mapped:
            keypoints, visible = keypoints.contiguous(), visible.contiguous()
        mine = dataclasses.replace(mine, keypoints_NPTKC=keypoints, visible_NPTK=visible)
    return Share(clips=mine, ties=ties_of(clips), layouts=clips.layouts)
