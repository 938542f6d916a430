"""Train inside an MLflow run, package the model and register it."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from harray import __version__
from harray.config import digest, dump, to_dict
from harray.errors import InputError
from harray.evaluation.figures import training_figure
from harray.experiment import ExperimentConfig
from harray.store import FeatureStore
from harray.tracking.location import tracking_uri
from harray.tracking.registry import RUN_FILE, Registered, check_model_name, register
from harray.tracking.runs import TrainingRun
from harray.training.loop import EpochReport
from harray.training.run import TrainingRequest, TrainingResult, train_store
from harray.workflows.run_folder import RunFolder

CONFIG_FILE, FIGURE_FILE = "config.yaml", "training.png"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a recorded training leaves behind."""

    result: TrainingResult
    run_id: str
    registered: Registered | None
    resumed: bool  # whether it went on with what the same command had left unfinished

    @property
    def model(self) -> str:
        """How to name it as MODEL."""
        return self.registered.uri if self.registered else str(self.result.checkpoint)


def check_trainable(store: Path, experiment: ExperimentConfig) -> None:
    """Refuse, before anything is started, what cannot be trained on.

    Raises:
        InputError: no store, no such split, or fewer than two labels.
    """
    opened = FeatureStore.open(store)
    splits, wanted = opened.splits(), experiment.training.train_split
    if splits and wanted not in splits:
        raise InputError(
            f"store {store}: no split {wanted!r}, it has {', '.join(splits)}; set training.train_split=NAME"
        )
    if len(labels := opened.labels()) < 2:
        raise InputError(f"store {store}: found {len(labels)} labels, expected at least two to tell apart")


def train_recorded(
    store: Path,
    experiment: ExperimentConfig,
    out: Path,
    *,
    num_workers: int = 0,
    name: str | None = None,
    tracking: str | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Trained:
    """Train and record parameters, metrics per epoch, the resolved config, curves and the packaged model.

    The same call after an interruption, however that happened, goes on in the same folder and MLflow run.

    Args:
        out: its `runs/` gets a folder with checkpoint, config and curves.
        num_workers: DDP workers of Ray Train; 0 trains in this process.
        name: register the model under it.
        tracking: tracking URI, where it is not to be the environment's or the default under `out`.

    Raises:
        InputError: a store that cannot be trained on, a bad name, or more workers than the cluster holds.
    """
    check_trainable(store, experiment)
    if name:
        check_model_name(name)
    uri = tracking_uri(out, tracking)
    seed = experiment.training.seed
    store_digest = FeatureStore.open(store).digest()
    mark = digest([__version__, to_dict(experiment), store_digest, num_workers, uri])
    claimed = RunFolder.claim(out.absolute() / "runs", f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}", mark)
    folder = claimed.path
    dump(experiment, folder / CONFIG_FILE)
    request = TrainingRequest(
        store=store.absolute(),
        out=folder / "checkpoint",
        features=experiment.features,
        model=experiment.model,
        training=experiment.training,
        experiment_yaml=yaml.safe_dump(to_dict(experiment), sort_keys=False),
    )
    tags = {"harray.store_digest": store_digest, "harray.seed": str(seed)}
    with claimed, TrainingRun(uri, experiment, name=folder.name, tags=tags, run_id=claimed.run_id) as run:
        (folder / RUN_FILE).write_text(run.run_id)

        def record(report: EpochReport) -> None:
            run.log_metrics(epoch_metrics(report), step=report.epoch)
            if on_epoch:
                on_epoch(report)

        result = _train(request, num_workers, record, claimed.state_file)
        training_figure(result.history).savefig(folder / FIGURE_FILE, dpi=110)
        for file in (CONFIG_FILE, FIGURE_FILE):
            run.log_artifact(folder / file)
        model_id = run.log_model(result.checkpoint, step=result.best_epoch)
        registered = register(uri, name, model_id) if name else None
    return Trained(
        result=result, run_id=run.run_id, registered=registered, resumed=claimed.run_id is not None
    )


def epoch_metrics(report: EpochReport) -> dict[str, float]:
    """An epoch's figures under their MLflow names."""
    metrics = {f"train.loss.{name}": value for name, value in report.losses.items()}
    metrics |= {"train.learning_rate": report.learning_rate, "train.epoch_sec": report.seconds}
    if report.val is not None and report.val_loss is not None:
        metrics |= {f"val.{name}": value for name, value in dataclasses.asdict(report.val).items()}
        metrics["val.loss"] = report.val_loss
    return metrics


def _train(
    request: TrainingRequest,
    num_workers: int,
    on_epoch: Callable[[EpochReport], None],
    state_file: Path,
) -> TrainingResult:
    if not num_workers:
        return train_store(request, on_epoch, state_file)
    from harray.distributed.resources import start_ray

    with start_ray():
        from harray.distributed.training import train_on_ray

        return train_on_ray(request, num_workers=num_workers, on_epoch=on_epoch)
