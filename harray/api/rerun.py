"""Train again what a run recorded, and compare."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from harray.config import leaf_types, parse_overrides, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.files import Place
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.tracking.location import tracking_uri
from harray.tracking.origin import RECIPE_TAG, origin_tags_of
from harray.tracking.recorded import RecordedRun, recorded_run
from harray.tracking.runs import NotRecorded, TrainingRun, epoch_metrics
from harray.training.loop import EpochReport
from harray.training.run import device_named, new_trainer, threads, training_clips
from harray.workspace import Workspace

COMPARED = ("train.loss.", "val.")  # metrics; times are not repeated
TOLERANCE = 1e-3  # of a metric; the same machine gives the same figures, another one rounds otherwise


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """A run beside its repetition."""

    run_id: str
    rerun_id: str
    num_epochs: int
    greatest_difference: float  # of any metric in any epoch
    metric: str  # which one it is, and in which epoch
    epoch: int
    val: dict[str, tuple[float, float]]  # of the last epoch: metric -> (then, now)

    @property
    def agrees(self) -> bool:
        return self.greatest_difference <= TOLERANCE


def rerun_recorded(
    run_id: str, workspace: Workspace, reporter: Reporter = SILENT, *, store: str | Place | None = None
) -> Rerun:
    """Train as a run did, for as many epochs, in this process, recorded as a run of its own.

    Args:
        run_id: of a training or of a trial; also as `runs:/ID`.
        store: where the store lies now; by default where it lay then.

    Raises:
        InputError: no such run, one without epochs, or a store with other clips than then.
        NotRecorded: the tracking store does not take the repetition; its `outcome` is a `Rerun` where that is done.
    """
    uri = tracking_uri(workspace)
    recorded = recorded_run(uri, run_id, COMPARED)
    experiment, num_epochs = experiment_of(recorded), max(recorded.history.get("train.loss.total", {0: 0}))
    if not num_epochs:
        raise InputError(f"run {recorded.run_id}: it recorded no epoch, so there is nothing to compare with")
    opened, seed = _store_of(recorded, store), experiment.training.seed
    tags = origin_tags_of(opened.path, opened.digest(), seed, recorded.tags.get(RECIPE_TAG, ""))
    tags |= {"harray.rerun_of": recorded.run_id}
    now: dict[str, dict[int, float]] = {}
    run = TrainingRun(uri, experiment, name=f"rerun of {recorded.name}", tags=tags)
    try:
        with run, reporter.progress("training again", "epochs") as update:
            for report in _epochs(experiment, opened, num_epochs):
                run.log_epoch(report)
                for name, value in epoch_metrics(report).items():
                    now.setdefault(name, {})[report.epoch] = value
                update(report.epoch, report.num_epochs)
    except NotRecorded as error:
        if not now:
            raise
        again = compared(recorded, now, run.run_id, num_epochs)
        raise error.after(again, "the comparison is not recorded") from error
    return compared(recorded, now, run.run_id, num_epochs)


def _epochs(experiment: ExperimentConfig, store: FeatureStore, num_epochs: int) -> Iterator[EpochReport]:
    """So many epochs of a training that may be planned for more, as a pruned trial's is."""
    training, device = experiment.training, device_named(experiment.training.device)
    with threads(training.num_threads, device):
        trainer = new_trainer(experiment.learning, *training_clips(experiment.learning, store), device)
        yield from itertools.islice(trainer.epochs(), num_epochs)


def experiment_of(recorded: RecordedRun) -> ExperimentConfig:
    """The configuration that a run recorded as its parameters."""
    known = leaf_types(ExperimentConfig)
    texts = [f"{name}={value}" for name, value in recorded.params.items() if name in known]
    if not texts:
        raise InputError(
            f"run {recorded.run_id}: it recorded no configuration; expected a run of `harray train` or a trial"
        )
    return with_overrides(ExperimentConfig(), parse_overrides(ExperimentConfig(), texts))


def compared(
    recorded: RecordedRun, now: dict[str, dict[int, float]], rerun_id: str, num_epochs: int
) -> Rerun:
    """Where the two differ most; an epoch that only one of them has differs infinitely."""
    differences = {
        (name, epoch): abs(value - now.get(name, {}).get(epoch, float("inf")))
        for name, values in recorded.history.items()
        for epoch, value in values.items()
        if name.startswith(COMPARED)
    }
    metric, epoch = max(differences, key=lambda place: differences[place])
    last = {
        name: (values[num_epochs], now[name][num_epochs])
        for name, values in recorded.history.items()
        if name.startswith("val.") and num_epochs in values and num_epochs in now.get(name, {})
    }
    return Rerun(
        run_id=recorded.run_id,
        rerun_id=rerun_id,
        num_epochs=num_epochs,
        greatest_difference=differences[metric, epoch],
        metric=metric,
        epoch=epoch,
        val=last,
    )


def _store_of(recorded: RecordedRun, store: str | Place | None) -> FeatureStore:
    where = store or recorded.tags.get("harray.store")
    if where is None:
        raise InputError(f"run {recorded.run_id}: it did not record its store; name it by --store")
    opened = FeatureStore.open(where)
    then, found = recorded.tags.get("harray.store_digest"), opened.digest()
    if then != found:
        raise InputError(
            f"store {where}: its clips have the digest {found}, the run's had {then}; name that store by --store"
        )
    return opened
