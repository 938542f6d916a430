"""Train inside an MLflow run, package the model and register it."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import yaml

from harray import __version__
from harray.api.models import Model
from harray.api.session import working
from harray.api.starting import StartOptions, start_from
from harray.api.stores import Store, as_store
from harray.config import digest, dump, to_dict, with_overrides
from harray.distributed.training_demand import cluster_for
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.files import Place, remote_of
from harray.metrics import Scores
from harray.names import sqlite_file
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.store.leaks import Overlap, check_no_leak
from harray.store.test_part import scored_split
from harray.tracking.cards import MADE, write_section
from harray.tracking.location import tracking_uri
from harray.tracking.origin import origin_tags_of, run_name
from harray.tracking.registry import RUN_FILE, Registered, check_model_name, resolve_model
from harray.tracking.registry import register as register_model
from harray.tracking.run_folder import RunFolder
from harray.tracking.runs import NotRecorded, TrainingRun, outcome_of, recording
from harray.training.config import TrainingConfig
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.training.loop import EpochReport
    from harray.training.run import TrainingRequest, TrainingResult

CONFIG_FILE, FIGURE_FILE = "config.yaml", "training.png"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Over what a training is spread."""

    count: int = 0  # DDP workers of Ray Train; 0 trains in this process
    storage: str | None = None  # for their state, reached by every node; None for beside the checkpoint
    max_failures: int = 3  # how often lost workers are replaced


@dataclass(frozen=True, kw_only=True)
class RunLabels:
    """How a run is called, and what it belongs to."""

    recipe: str = ""  # that the experiment started from, by name or as a file
    title: str = ""  # in MLflow; empty for recipe, store and seed
    tags: Mapping[str, str] = field(default_factory=dict)  # beside those that identify data and origin


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a recorded training leaves behind."""

    result: "TrainingResult"
    run_id: str
    registered: Registered | None
    resumed: bool  # whether it went on with what the same command had left unfinished
    floors: Mapping[str, Scores] = field(
        default_factory=dict
    )  # on val, of training/floors.py; {} without val

    @property
    def better_floor(self) -> str | None:
        """The floor that beats the model on val; None where none does."""
        from harray.training.floors import better_floor

        return better_floor(self.floors, self.result.val.top1) if self.result.val else None

    @property
    def model(self) -> str:
        """How to name it as MODEL."""
        return self.registered.uri if self.registered else str(self.result.checkpoint)

    @property
    def model_version(self) -> str:
        """This very model, whichever the champion is."""
        return f"models:/{self.registered.name}/{self.registered.version}" if self.registered else self.model


def as_extracted(experiment: ExperimentConfig, store: Place) -> ExperimentConfig:
    """The experiment with the settings that the store was extracted with, so that what is recorded is what was done."""
    return with_overrides(experiment, FeatureStore.open(store).settings.provenance.overrides())


def with_known_start(experiment: ExperimentConfig, workspace: Workspace) -> ExperimentConfig:
    """The experiment with the checkpoint folder that `training.init` names, be it `models:/NAME@ALIAS`.

    Raises:
        InputError: no such model.
    """
    if not (init := experiment.training.init):
        return experiment
    folder = remote_of(resolve_model(init, tracking_uri(workspace)))  # a bucket's, as every machine finds it
    return with_overrides(experiment, {"training.init": str(folder)})


def check_trainable(store: Place, experiment: ExperimentConfig, num_workers: int = 0) -> None:
    """Refuse, before anything is started, what cannot be trained on.

    Raises:
        InputError: no store, no such split, fewer than two labels, a test part that shares clips or groups with what
            is trained on, or fewer clips than workers.
    """
    opened = FeatureStore.open(store)
    splits = opened.splits()
    for wanted in experiment.training.train_splits:
        if splits and wanted not in splits:
            raise InputError(
                f"store {store}: no split {wanted!r}, it has {', '.join(splits)}; set training.train_split=NAME"
            )
    if experiment.training.use_labels and len(labels := opened.labels()) < 2:
        raise InputError(f"store {store}: found {len(labels)} labels, expected at least two to tell apart")
    test_part(store, experiment.training)
    if not num_workers:
        return
    num_clips = len(opened.read(experiment.training.train_splits if splits else None, columns=[]))
    if num_clips < num_workers:
        raise InputError(
            f"store {store}: found {num_clips} clips to train on and {num_workers} workers; use fewer --workers"
        )


def test_part(store: Place, training: TrainingConfig) -> Overlap | None:
    """What the split that will score such a training shares with what it learns from; None without such a split.

    Raises:
        InputError: it shares something, and `training.allow_leak` is not set.
    """
    from harray.training.run import learned_before

    opened = FeatureStore.open(store)
    learned = [*training.train_splits, training.val_split]
    scored = scored_split(opened.splits(), training.train_split, training.val_split)
    return check_no_leak(opened, learned, scored, training.allow_leak, learned_before(training))


def val_part(store: Place, training: TrainingConfig) -> str:
    """What val is in such a training and what it chooses, in a line; the same clips that `training_clips` takes."""
    from harray.training.splits import carve_val

    if not training.use_labels:
        return "val: none, since no labels are used; the last epoch is kept"
    chooses = "choose the epoch" if training.patience else "choose nothing: the last epoch is kept"
    opened = FeatureStore.open(store)
    splits = opened.splits()
    if training.val_split in splits and training.val_split not in training.train_splits:
        return f"val: the clips of the store's split {training.val_split}; they {chooses}"
    rows = opened.read(training.train_splits if splits else None, columns=[])
    labels, groups, clip_ids = (rows[name].to_pylist() for name in ("label", "group", "clip_id"))
    classes = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    numbers = [classes[label] for label in labels]
    taken = carve_val(numbers, groups, clip_ids, share=training.val_share, seed=training.seed)
    if not taken:
        return f"val: none (training.val_share={training.val_share:g}), so the last epoch is kept"
    whole = {groups[place] for place in taken} - {None}
    how = f"{len(whole)} whole groups" if whole else "no groups known"
    return (
        f"val: {len(taken)} of {len(labels)} clips, carved out of {training.train_split if splits else 'all'} by seed "
        f"{training.seed}, {how}; they {chooses}"
    )


def train(
    store: str | Place | Store,
    *,
    register: str | None = None,
    workers: int | Workers = 0,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
    **options: Unpack[StartOptions],
) -> Model:
    """Train on a store, recorded in MLflow: config, metrics per epoch, the model.

    The same call after an interruption, however that happened, goes on in the same run.

    Args:
        register: the model's name in the registry; None registers nothing.
        workers: of Ray Train; 0 trains in this process.
        options: recipe, config, overrides and init: what the experiment starts from, as of `start_from`.

    Raises:
        InputError: a store that cannot be trained on, a bad name, or more workers than the cluster holds.
        Diverged: the loss is no longer a number.
        NotRecorded: the tracking store does not take the run; its `outcome` is the `Model` where training is done.
    """
    start, there = start_from(**options), as_store(store)
    spread = Workers(count=workers) if isinstance(workers, int) else workers
    device = start.experiment.training.device
    with working(workspace, reporter) as (place, told), cluster_for(spread.count, device, told):
        trained, missed = outcome_of(
            lambda: train_recorded(
                there.path,
                start.experiment,
                place,
                told,
                workers=spread,
                register=register,
                labels=RunLabels(recipe=start.name),
            )
        )
    model = Model(trained.model, trained.result.checkpoint, place, training=trained)
    if missed:
        missed.outcome = model
        raise missed
    return model


def train_recorded(
    store: Place,
    experiment: ExperimentConfig,
    workspace: Workspace,
    reporter: Reporter = SILENT,
    *,
    workers: Workers = Workers(),
    register: str | None = None,
    labels: RunLabels = RunLabels(),
) -> Trained:
    """Train and record parameters, metrics per epoch, the resolved config, curves and the packaged model.

    The same call after an interruption, however that happened, goes on in the same folder and MLflow run.

    Args:
        workspace: its `runs/` gets a folder with checkpoint, config and curves.
        reporter: told before it begins what chooses the epoch.
        register: the model's name in the registry; None registers nothing.

    Raises:
        InputError: a store that cannot be trained on, a bad name, or more workers than clips or than the cluster
            holds.
        Diverged: the loss is no longer a number.
        NotRecorded: the tracking store does not take the run; its `outcome` is `Trained` where training is done.
    """
    experiment = with_known_start(experiment, workspace)
    check_trainable(store, experiment, workers.count)
    experiment = as_extracted(experiment, store)
    if register:
        check_model_name(register)
    uri = tracking_uri(workspace)
    reporter.result(val_part(store, experiment.training))
    if scored := test_part(store, experiment.training):
        reporter.result(f"allowed by training.allow_leak: {scored}")
    seed = experiment.training.seed
    store_digest = FeatureStore.open(store).digest()
    place = _place(uri, workspace.out)
    fingerprint = digest([__version__, to_dict(experiment), store_digest, workers.count, place])
    claimed = RunFolder.claim(
        workspace.out / "runs", f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}", fingerprint
    )
    folder, trained = claimed.path, None
    dump(experiment, folder / CONFIG_FILE)
    request = _request(store, experiment, folder)
    tags = {
        **origin_tags_of(request.store, store_digest, seed, labels.recipe),
        "harray.num_workers": str(workers.count),
        "harray.folder": str(remote_of(folder)),
        **labels.tags,
    }
    title = labels.title or run_name(labels.recipe, store, seed)
    try:
        with (
            claimed,
            TrainingRun(uri, experiment, name=title, tags=tags, run_id=claimed.run_id) as run,
            reporter.progress("training", "epochs") as update,
        ):
            (folder / RUN_FILE).write_text(run.run_id)

            def tell(report: "EpochReport") -> None:
                run.log_epoch(report)
                update(report.epoch, report.num_epochs, _note(report))

            result = _train(request, workers, tell, claimed.state_file)
            resumed = claimed.run_id is not None
            floors = _floors_on_val(request) if result.val else {}
            trained = Trained(
                result=result, run_id=run.run_id, registered=None, resumed=resumed, floors=floors
            )
            trained = replace(trained, registered=_record(run, trained, folder, register))
    except NotRecorded as error:
        if trained is None:
            raise
        advice = "the checkpoint is kept; the same command records it, without training again what is trained"
        raise error.after(trained, advice) from error
    _forget(request, workers)
    return trained


def _note(report: "EpochReport") -> str:
    return f"val top-1 {report.val.top1:.3f}" if report.val else f"loss {report.losses['total']:.3f}"


def _record(run: TrainingRun, trained: Trained, folder: Path, name: str | None) -> Registered | None:
    """All that is known at the end of a training."""
    from harray.api.cards import made_section
    from harray.evaluation.figures import training_figure

    result = trained.result
    with recording(run.uri, run.run_id):
        for report in result.history:  # what an earlier process did not live to record
            run.log_epoch(report)
        training_figure(result.history).savefig(folder / FIGURE_FILE, dpi=110)
        for file in (CONFIG_FILE, FIGURE_FILE):
            run.log_artifact(folder / file)
        top1 = {f"floor.{floor}.val_top1": scores.top1 for floor, scores in trained.floors.items()}
        run.log_metrics(top1, step=result.best_epoch)
        model_id = run.log_model(result.checkpoint, step=result.best_epoch)
        if not name:
            return None
        registered = register_model(run.uri, name, model_id)
        section = made_section(result.checkpoint, run.tags)
        write_section(run.client, registered.name, registered.version, MADE, section)
        return registered


def _place(uri: str, out: Path) -> str:
    """A tracking store as it stands to the output folder, so that both can be moved together."""
    file = sqlite_file(uri)
    return uri if file is None else os.path.relpath(file, out.resolve())


def _floors_on_val(request: "TrainingRequest") -> dict[str, Scores]:
    from harray.training.floors import floor_scores
    from harray.training.run import training_clips

    train, val = training_clips(request.learning, FeatureStore.open(request.store))
    return {} if val is None else floor_scores(train, val, request.learning.features)


def _request(store: Place, experiment: ExperimentConfig, folder: Path) -> "TrainingRequest":
    from harray.training.run import TrainingRequest

    return TrainingRequest(
        store=store.absolute(),
        out=folder / "checkpoint",
        learning=experiment.learning,
        experiment_yaml=yaml.safe_dump(to_dict(experiment), sort_keys=False),
    )


def _train(
    request: "TrainingRequest",
    workers: Workers,
    on_epoch: "Callable[[EpochReport], None]",
    state_file: Path,
) -> "TrainingResult":
    if not workers.count:
        from harray.training.run import train_store

        return train_store(request, on_epoch, state_file)
    from harray.distributed.resources import start_ray

    with start_ray():
        from harray.distributed.training import train_on_ray

        return train_on_ray(
            request,
            workers.count,
            on_epoch,
            storage=_storage(request, workers),
            max_failures=workers.max_failures,
            min_workers=1,
        )


def _storage(request: "TrainingRequest", workers: Workers) -> str | None:
    """A folder of its own for each run, since Ray Train goes on with what it finds."""
    return workers.storage and f"{workers.storage.rstrip('/')}/{request.out.parent.name}"


def _forget(request: "TrainingRequest", workers: Workers) -> None:
    """Remove what workers kept; not before the run is closed, so that until then nothing is trained twice."""
    if workers.count:
        from harray.distributed.training import ray_storage, remove_storage

        remove_storage(ray_storage(request, _storage(request, workers)))
