"""A sweep from end to end: its cluster, its folder, its trials, its runs in MLflow, its outcome."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.reporting import SILENT, Reporter, Update
from harray.search_spaces import first_point, moved, search_named, space_of
from harray.store import FeatureStore
from harray.tracking.location import check_answers, tracking_uri
from harray.tuning.config import SweepConfig, TrialJob
from harray.tuning.demand import Places, cluster_for_sweep
from harray.tuning.folder import TRIALS_FOLDER, claimed_folder
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.tracking.sweeps import SweepRuns
    from harray.tuning.outcome import SweepOutcome
    from harray.tuning.sweep import Sweep

CHECK_SEC = 5.0  # for the tracking store to answer at all
VAL_SHARE = 0.15  # of the training clips, where nothing else says by which clips trials are compared


def sweep_config(
    store: Path,
    experiment: ExperimentConfig,
    *,
    search: str = "all",
    fixed: tuple[str, ...] = (),
    **choices: Any,
) -> SweepConfig:
    """What a sweep of a store is asked to do.

    Args:
        experiment: where the search starts; where neither it nor the store has val clips to compare trials by, some
            are carved out.
        search: a named search space, or FILE.py:NAME.
        fixed: keys of `experiment` that are not searched.
        choices: other fields of SweepConfig.

    Raises:
        InputError: no such store or search, or a search that does not fit.
    """
    opened, training = FeatureStore.open(store), experiment.training
    has_val = training.val_split in set(opened.splits()) - set(training.train_splits)
    if not has_val and not training.val_share:
        experiment = with_overrides(experiment, {"training.val_share": VAL_SHARE})
    space = search_named(search)
    first_point(space, experiment, fixed)
    return SweepConfig(
        store=str(store.absolute()),
        store_digest=opened.digest(),
        experiment=experiment,
        search=search,
        space=space_of(space, experiment, fixed),
        fixed=fixed,
        **choices,
    )


def tune_recorded(
    config: SweepConfig,
    workspace: Workspace,
    reporter: Reporter = SILENT,
    *,
    resume: bool | None = False,
) -> "SweepOutcome":
    """Run a sweep, or what is left of one.

    Args:
        config: from `sweep_config`.
        resume: whether to go on with the same sweep; None for where there is one.

    Raises:
        InputError: a store that cannot be trained on, more than the cluster holds, an unfinished sweep without
            `resume`, none with it, a tracking store that cannot be recorded in, or no trial that is complete.
        NotRecorded: the tracking store does not take the sweep's records; its `outcome` is a `SweepOutcome`.
    """
    started = time.monotonic()
    num_bytes = FeatureStore.open(Path(config.store)).num_bytes_in_memory()
    with cluster_for_sweep(config, num_bytes, reporter) as places:  # before anything heavy is imported
        from harray.api.train import as_extracted, check_trainable
        from harray.tracking.runs import check_recording
        from harray.tuning.outcome import finish
        from harray.tuning.records import runs_of
        from harray.tuning.study import open_study
        from harray.tuning.sweep import Sweep

        check_trainable(Path(config.store), config.experiment)
        config = replace(config, experiment=as_extracted(config.experiment, Path(config.store)))
        search = search_named(config.search)
        first = first_point(search, config.experiment, config.fixed)
        for name, (asked, found) in moved(first, config.experiment).items():
            reporter.say(f"{name}: the search has no {asked}, so its first trial starts from {found}")
        uri = tracking_uri(workspace)
        check_answers(uri, CHECK_SEC)
        check_recording(uri)
        with claimed_folder(workspace.out, config, resume=resume) as folder:
            study = open_study(folder, config)
            sweep = Sweep(study, folder, config, search, held=places.per_trial, deadline=_deadline(config))
            with runs_of(folder, config, study, uri) as runs, sweep:
                _run(sweep, runs, places, reporter)
                return finish(sweep, runs, time.monotonic() - started, reporter)


def _run(sweep: "Sweep", runs: "SweepRuns", places: Places, reporter: Reporter) -> None:
    from harray.training.run import origin_of, training_clips
    from harray.tuning.search import run_trials

    store = FeatureStore.open(Path(sweep.config.store))
    train, val = training_clips(sweep.config.experiment.learning, store)
    if val is None:
        raise InputError(
            f"store {store.path}: no clips to compare trials by; set training.val_share, or give it a val split"
        )
    job = TrialJob(
        config=sweep.config,
        folder=sweep.folder / TRIALS_FOLDER,
        origin=origin_of(store),
        gpus_per_worker=places.gpus_per_worker,
    )
    with reporter.progress("tuning", "trials") as update:

        def tell() -> None:
            _show(sweep, update)
            runs.say_trouble(reporter)

        run_trials(sweep, job, train, val, places.at_once, tell)


def _show(sweep: "Sweep", update: Update) -> None:
    """Say how far a sweep is, after every epoch."""
    best, failed = sweep.best(), sweep.num_failed()
    said = [f"best {best[0].values[0]:.3f}"] if best else []
    said += [f"{failed} failed"] if failed else []
    update(sweep.num_over(), sweep.config.num_trials, ", ".join(said))


def _deadline(config: SweepConfig) -> float:
    budget = config.time_budget_sec
    return math.inf if budget is None else time.monotonic() + budget
