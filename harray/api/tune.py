"""A sweep from end to end: its cluster, its folder, its trials, its runs in MLflow, its outcome."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from harray.api.session import working
from harray.api.starting import Overrides, StartOptions, start_from
from harray.api.stores import Store, as_store
from harray.api.sweeps import Sweep
from harray.api.train import as_extracted, check_trainable, with_known_start
from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.files import Place, place, remote_of
from harray.reporting import SILENT, Reporter, Update
from harray.search_spaces import first_point, moved, search_named, space_of
from harray.store import FeatureStore
from harray.tracking.location import check_answers, tracking_uri
from harray.tracking.runs import check_recording, outcome_of
from harray.tuning.config import SweepConfig
from harray.tuning.demand import Places, cluster_for_sweep
from harray.tuning.folder import TRIALS_FOLDER, claimed_folder
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.tracking.sweeps import SweepRuns
    from harray.tuning.outcome import SweepOutcome
    from harray.tuning.sweep import StudySweep

CHECK_SEC = 5.0  # for the tracking store to answer at all
VAL_SHARE = 0.15  # of the training clips, where nothing else says by which clips trials are compared


def tune(
    store: str | Place | Store,
    sweep: SweepConfig = SweepConfig(),
    *,
    register: str | None = None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
    **options: Unpack[StartOptions],
) -> Sweep:
    """Search hyperparameters: every trial trains on the store and is a run in MLflow, nested in the sweep's.

    Args:
        sweep: what to search and how long, such as `SweepConfig(search="optimisation", num_trials=20)`; what it says of
            store and experiment is filled in.
        register: train the best on train and val, register it under this name, and score it on the test split.
        options: recipe, config, overrides and init: what the first trial is, as of `start_from`; what `overrides` names
            is not searched, and every trial starts from `init`.

    Raises:
        InputError: as of `tune_recorded`, or a bad name.
        NotRecorded: the tracking store does not take the runs; its `outcome` is the `Sweep` where there is one.
    """
    start, there = start_from(**options), as_store(store)
    asked = replace(sweep, recipe=start.name, fixed=keys_of(options.get("overrides")))
    asked = sweep_config(asked, there.path, start.experiment)
    with working(workspace, reporter) as (place, told):
        outcome, missed = outcome_of(lambda: tune_recorded(asked, place, told))
        if missed:
            missed.outcome = Sweep(outcome)
            raise missed
        if register is None:
            return Sweep(outcome)
        from harray.api.winner import train_winner

        return train_winner(outcome, place, told, name=register)


def keys_of(overrides: Overrides | None) -> tuple[str, ...]:
    """What overrides name, in order."""
    if isinstance(overrides, Mapping):
        return tuple(sorted(overrides))
    return tuple(sorted(text.partition("=")[0] for text in overrides or []))


def sweep_config(asked: SweepConfig, store: str | Place, experiment: ExperimentConfig) -> SweepConfig:
    """What a sweep of a store is asked to do, whole.

    Args:
        asked: what to search, and how long.
        experiment: where the search starts; where neither it nor the store has val clips to compare trials by, some
            are carved out.

    Raises:
        InputError: no such store or search, or a search that does not fit.
    """
    opened, training = FeatureStore.open(store), experiment.training
    has_val = training.val_split in set(opened.splits()) - set(training.train_splits)
    if not has_val and not training.val_share:
        experiment = with_overrides(experiment, {"training.val_share": VAL_SHARE})
    search = search_named(asked.search)
    first_point(search, experiment, asked.fixed)
    return replace(
        asked,
        store=str(opened.path),
        store_digest=opened.digest(),
        experiment=experiment,
        space=space_of(search, experiment, asked.fixed),
    )


def tune_recorded(config: SweepConfig, workspace: Workspace, reporter: Reporter = SILENT) -> "SweepOutcome":
    """Run a sweep, or what is left of one.

    Args:
        config: from `sweep_config`.

    Raises:
        InputError: a store that cannot be trained on, more than the cluster holds, an unfinished sweep without
            `resume`, none with it, a tracking store that cannot be recorded in, or no trial that is complete.
        NotRecorded: the tracking store does not take the sweep's records; its `outcome` is a `SweepOutcome`.
    """
    started, store = time.monotonic(), place(config.store)
    experiment = with_known_start(config.experiment, workspace)
    check_trainable(store, experiment)
    config = replace(config, experiment=as_extracted(experiment, store))
    search = search_named(config.search)
    first = first_point(search, config.experiment, config.fixed)
    for name, (asked, found) in moved(first, config.experiment).items():
        reporter.say(f"{name}: the search has no {asked}, so its first trial starts from {found}")
    uri = tracking_uri(workspace)
    check_answers(uri, CHECK_SEC)
    with cluster_for_sweep(config, FeatureStore.open(store).num_bytes_in_memory(), reporter) as places:
        from harray.tuning.outcome import finish
        from harray.tuning.records import runs_of
        from harray.tuning.study import open_study
        from harray.tuning.sweep import StudySweep

        check_recording(uri)
        with claimed_folder(workspace.out, config) as folder:
            study = open_study(folder, config)
            deadline = time.monotonic() + (config.time_budget_sec or math.inf)
            sweep = StudySweep(study, folder, config, search, held=places.per_trial, deadline=deadline)
            with runs_of(folder, config, study, uri) as runs, sweep:
                _run(sweep, runs, places, reporter)
                return finish(sweep, runs, time.monotonic() - started, reporter)


def _run(sweep: "StudySweep", runs: "SweepRuns", places: Places, reporter: Reporter) -> None:
    from harray.training.run import origin_of, started_network, training_clips
    from harray.tuning.search import run_trials
    from harray.tuning.trial import TrialJob

    store = FeatureStore.open(sweep.config.store)
    train, val = training_clips(sweep.config.experiment.learning, store)
    if val is None:
        raise InputError(
            f"store {store.path}: no clips to compare trials by; set training.val_share, or give it a val split"
        )
    if (learning := sweep.config.experiment.learning).training.init:
        reporter.result(str(started_network(learning, train.looked_at(learning.features.keypoints))[1]))
    job = TrialJob(
        config=sweep.config,
        folder=remote_of(sweep.folder / TRIALS_FOLDER),
        origin=origin_of(store),
        gpus_per_worker=places.gpus_per_worker,
    )
    with reporter.progress("tuning", "trials") as update:

        def tell() -> None:
            _show(sweep, update)
            runs.say_trouble(reporter)

        run_trials(sweep, job, train, val, places.at_once, tell)


def _show(sweep: "StudySweep", update: Update) -> None:
    """Say how far a sweep is, after every epoch."""
    best, failed = sweep.best(), sweep.num_failed()
    said = [f"best {best[0].values[0]:.3f}"] if best else []
    said += [f"{failed} failed"] if failed else []
    update(sweep.num_over(), sweep.config.num_trials, ", ".join(said))
