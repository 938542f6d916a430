"""Cross-validate variants of an experiment on a store; what an interrupted run finished is not trained again."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

import harray
from harray.config import digest
from harray.errors import InputError
from harray.evaluation.occlusion import knows_limbs
from harray.experiment import ExperimentConfig
from harray.files import write_atomically
from harray.store import FeatureStore
from harray.training.config import LearningConfig
from harray.validation.cross_validation import (
    CrossValidation,
    Outcome,
    Trial,
    floors_by_fold,
    labelled_clips,
    labelled_rows,
    run_trial,
    scores_of_variant,
)
from harray.validation.folds import leave_one_group_out, plan_folds
from harray.validation.near_doubles import near_doubles

DECISIVE = ("features", "model", "training", "inference", "evaluation")  # rooms whose code decides an outcome

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials of a cross-validation, and the truth they are scored by."""

    store: FeatureStore
    splits: tuple[str, ...] | None
    folds: list[list[int]]
    labels: list[str]  # of every labelled clip
    tied_by: str  # `groups`, `near doubles` or `nothing`: what is held out together
    seeds: tuple[int, ...]
    trials: list[Trial]  # fold by fold, so that the first results compare all variants


def plan_cross_validation(
    store: Path,
    variants: Mapping[str, ExperimentConfig],
    *,
    splits: Sequence[str] | None = None,
    num_folds: int | None = 5,
    num_seeds: int = 3,
    occlusions: Sequence[tuple[str, float]] = (),
) -> Plan:
    """Decide on folds and trials.

    Args:
        variants: by name; their seeds run from `training.seed` upwards, alike for all.
        splits: whose clips are dealt into folds; None for the config's train split, or for all clips of a store
            without any split.
        num_folds: None leaves one group out at a time. Where no clip has a group, near doubles stand in for groups.
        occlusions: kinds (as of `occluded`) and shares, to score every held-out fold under as well.

    Raises:
        InputError: no store, no such split, too few clips or groups for the folds, or limbs to hide where the
            store's layouts know none.
    """
    opened = FeatureStore.open(store)
    _check_limbs(opened, occlusions)
    first = next(iter(variants.values())).training
    if splits is None and opened.splits():
        splits = first.train_splits
    chosen = None if splits is None else tuple(splits)
    rows = labelled_rows(opened, chosen)
    labels, groups, clip_ids = (rows[name].to_pylist() for name in ("label", "group", "clip_id"))
    tied_by = "groups" if any(group is not None for group in groups) else "near doubles"
    if num_folds is None:
        folds = leave_one_group_out(labels, groups)
    elif tied_by == "groups":
        folds = plan_folds(labels, groups, clip_ids, num_folds)
    else:
        folds = plan_folds(labels, groups, clip_ids, num_folds)
        doubles = near_doubles(labelled_clips(opened.path, opened.digest(), chosen))
        try:
            folds = plan_folds(labels, doubles, clip_ids, num_folds)
        except InputError:  # of some class all clips are alike: better dealt one by one than not at all
            tied_by = "nothing"
    seeds = tuple(range(first.seed, first.seed + num_seeds))
    trials = [
        Trial(
            variant=name,
            fold=fold,
            store=opened.path,
            learning=_learning(experiment, seed),
            splits=chosen,
            held_out=tuple(held_out),
            occlusions=tuple(occlusions),
        )
        for seed in seeds
        for fold, held_out in enumerate(folds)
        for name, experiment in variants.items()
    ]
    return Plan(
        store=opened,
        splits=chosen,
        folds=folds,
        labels=labels,
        tied_by=tied_by,
        seeds=seeds,
        trials=trials,
    )


def _check_limbs(store: FeatureStore, occlusions: Sequence[tuple[str, float]]) -> None:
    wants_limbs = any(kind == "limbs" for kind, _ in occlusions)
    if wants_limbs and not knows_limbs(store.skeleton, store.second_skeleton):
        raise InputError(
            f"--hide limbs: store {store.path} holds {store.skeleton.name} skeletons, which know no limbs; "
            "hide joints or whole_joints instead"
        )


def _learning(experiment: ExperimentConfig, seed: int) -> LearningConfig:
    """A training that carves out no val: nothing chooses an epoch."""
    training = dataclasses.replace(experiment.training, seed=seed, val_share=0.0)
    return dataclasses.replace(experiment.learning, training=training)


def cross_validate(
    plan: Plan,
    out: Path,
    *,
    num_workers: int | None = None,
    on_progress: Progress = lambda done, total, note: None,
) -> CrossValidation:
    """Run a plan's trials through Ray, or in this process with 0 workers, and score its variants.

    Every outcome is kept under `out` as soon as it is there. One of the same configs, clips, fold and code is
    read from there instead of trained again.

    Raises:
        InputError: the cluster cannot hold so many workers, or the store cannot be trained on.
    """
    folder = out.absolute() / "cross-validation"
    files = {trial: folder / f"{digest([trial.key, code_digest()])}.npz" for trial in plan.trials}
    todo = [trial for trial in plan.trials if not files[trial].exists()]
    done = len(plan.trials) - len(todo)
    on_progress(done, len(plan.trials), f"{done} were there before" if done else "")
    for trial, outcome in _run(todo, num_workers):
        write_atomically(files[trial], outcome.save)
        done += 1
        on_progress(done, len(plan.trials), f"{trial.variant}, seed {trial.seed}, fold {trial.fold + 1}")
    classes = sorted(set(plan.store.labels()))
    truths = [np.array([classes.index(plan.labels[place]) for place in fold]) for fold in plan.folds]
    outcomes = {(trial.variant, trial.seed, trial.fold): Outcome.load(files[trial]) for trial in plan.trials}
    names = list(dict.fromkeys(trial.variant for trial in plan.trials))
    variants = {
        name: scores_of_variant(
            [[outcomes[name, seed, fold] for fold in range(len(plan.folds))] for seed in plan.seeds], truths
        )
        for name in names
    }
    features = plan.trials[0].learning.features
    floors = scores_of_variant([floors_by_fold(plan.store, plan.splits, plan.folds, features)], truths)
    return CrossValidation(
        store_digest=plan.store.digest(),
        splits=plan.splits,
        num_classes=len(set(plan.labels)),
        fold_sizes=tuple(len(fold) for fold in plan.folds),
        seeds=plan.seeds,
        tied_by=plan.tied_by,
        variants=variants,
        floors=floors.parts,
    )


@cache  # code that changes under a running process is not what it runs
def code_digest() -> str:
    """Stands for the code that decides an outcome: what older code found is not taken for this code's."""
    root, content = Path(harray.__file__).parent, blake2b(digest_size=8)
    files = [root / "skeleton.py", *(file for room in DECISIVE for file in (root / room).rglob("*.py"))]
    for file in sorted(files):
        content.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return content.hexdigest()


def _run(trials: list[Trial], num_workers: int | None) -> Iterator[tuple[Trial, Outcome]]:
    if num_workers == 0:
        yield from ((trial, run_trial(trial)) for trial in trials)
        return
    if not trials:
        return
    from harray.distributed.resources import check_machine, start_ray

    at_once = min(num_workers or 1, len(trials))
    num_threads = trials[0].learning.training.num_threads
    check_machine({"CPU": at_once * num_threads}, f"{at_once} trials at once", "use fewer --workers")
    with start_ray():
        from harray.distributed.cross_validation import run_trials

        yield from run_trials(trials, num_workers)
