"""Cross-validate variants of an experiment on a store; what an interrupted run finished is not trained again."""

import dataclasses
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import harray
from harray.api.comparisons import Found, check_tracking, cross_validation_metrics, record_comparison
from harray.api.session import working
from harray.api.starting import Config, Overrides, start_from
from harray.api.stores import Store, as_store
from harray.config import digest, parse_overrides, with_overrides
from harray.errors import InputError
from harray.evaluation.occlusion import KINDS, knows_limbs
from harray.experiment import ExperimentConfig
from harray.files import write_atomically
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.training.config import LearningConfig
from harray.validation.ablations import variants_without
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
from harray.validation.verdicts import verdicts_of_cross_validation
from harray.workspace import Workspace

DECISIVE = ("features", "model", "training", "inference", "evaluation")  # rooms whose code decides an outcome


@dataclass(frozen=True, kw_only=True)
class CrossValidateOptions:
    """What is compared, on which folds, and how often."""

    num_folds: int | None = 5
    """Parts, each held out once; None leaves one group out at a time."""
    num_seeds: int = 3
    """Trainings of each fold, by `training.seed` and up."""
    without: Sequence[str] = ()
    """Parts to leave out in variants: pcm, pcm-linear, differences, scene, people."""
    variants: Sequence[str] = ()
    """Overrides of further variants, such as `model.mme.lags=[1]`; each a text of `key=value ...`."""
    hide: Sequence[str] = ()
    """Also score so occluded: a share such as `0.5`, or `KIND:SHARE`."""
    splits: Sequence[str] | None = None
    """Whose clips are dealt; None for the config's train split."""
    num_workers: int | None = None
    """Trainings at once; None for what the cluster holds, 0 for this process."""


@dataclass(frozen=True, kw_only=True)
class CrossValidated:
    """Scores of every variant, what may be concluded, and the run that has it all."""

    scores: CrossValidation
    verdicts: Mapping[str, str]
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """The scores' keys, verdicts and run_id."""
        return {**self.scores.to_json(), "verdicts": dict(self.verdicts), "run_id": self.run_id}

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(part.replace('_', ' '))}</td>"
            f"<td>{values.top1.mean:.3f}</td><td>{values.macro_f1.mean:.3f}</td></tr>"
            for name, scores in self.scores.variants.items()
            for part, values in scores.parts.items()
        )
        said = "".join(f"<li>{html.escape(text)}</li>" for text in self.verdicts.values())
        head = "<tr><th></th><th>by</th><th>top-1</th><th>macro F1</th></tr>"
        return f"<table>{head}{rows}</table><ul>{said}</ul>"


def cross_validate(
    store: str | Path | Store,
    *,
    recipe: str = "default",
    config: Config | None = None,
    overrides: Overrides | None = None,
    options: CrossValidateOptions = CrossValidateOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> CrossValidated:
    """Train on all folds but one and score that one, for every fold, seed and variant; recorded as one run.

    No held-out clip chooses anything: every training runs all its epochs. Finished trainings are kept in the
    workspace, and the same call goes on after an interruption.

    Raises:
        InputError: no store, no such split or part, too few groups for the folds, more workers than the cluster holds,
            or a tracking store that does not answer.
    """
    start, there = start_from(recipe, config, overrides), as_store(store)
    with working(workspace, reporter) as (place, told):
        plan = plan_cross_validation(
            there.path,
            variants_of(start.experiment, options.without, options.variants),
            splits=options.splits,
            num_folds=options.num_folds,
            num_seeds=options.num_seeds,
            occlusions=[occlusion_named(text) for text in options.hide],
        )
        check_tracking(place)
        found = run_plan(plan, place.out, num_workers=options.num_workers, reporter=told)
        verdicts = verdicts_of_cross_validation(found)
        record = Found("cross-validate", cross_validation_metrics(found), found.to_json(), verdicts)
        run_id = record_comparison(record, there.path, start, place)
    return CrossValidated(scores=found, verdicts=verdicts, run_id=run_id)


def variants_of(
    experiment: ExperimentConfig, without: Sequence[str], variants: Sequence[str]
) -> dict[str, ExperimentConfig]:
    """`full`, then what is left out, then what is overridden, by name.

    Raises:
        InputError: no such part or key, or a variant that is given twice.
    """
    named = {
        name: with_overrides(experiment, {f"model.{key}": value for key, value in parts.items()})
        for name, parts in variants_without(list(without)).items()
    }
    for text in variants:
        if text in named:
            raise InputError(f"--variant {text!r}: given twice; name each once")
        named[text] = with_overrides(experiment, parse_overrides(experiment, text.split()))
    return named


def occlusion_named(text: str) -> tuple[str, float]:
    """Kind and share of `limbs:0.5`; joints where no kind is named.

    Raises:
        InputError: no such kind, or no share.
    """
    kind, _, share = text.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if (kind or "joints") not in KINDS or not 0 <= value <= 1:
        raise InputError(
            f"--hide {text!r}: expected a share in [0, 1], or KIND:SHARE with {', '.join(KINDS)}"
        )
    return kind or "joints", value


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
    if wants_limbs and not knows_limbs(*store.layouts):
        raise InputError(
            f"--hide limbs: store {store.path} holds {store.skeleton.name} skeletons, which know no limbs; "
            "hide joints or whole_joints instead"
        )


def _learning(experiment: ExperimentConfig, seed: int) -> LearningConfig:
    """A training that carves out no val: nothing chooses an epoch."""
    training = dataclasses.replace(experiment.training, seed=seed, val_share=0.0)
    return dataclasses.replace(experiment.learning, training=training)


def run_plan(
    plan: Plan, out: Path, *, num_workers: int | None = None, reporter: Reporter = SILENT
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
    with reporter.progress("training", "models") as update:
        update(done, len(plan.trials), f"{done} were there before" if done else "")
        for trial, outcome in _run(todo, num_workers):
            write_atomically(files[trial], outcome.save)
            done += 1
            update(done, len(plan.trials), f"{trial.variant}, seed {trial.seed}, fold {trial.fold + 1}")
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
    from harray.distributed.resources import check_machine, start_ray, trials_demand

    at_once = min(num_workers or 1, len(trials))
    num_threads = trials[0].learning.training.num_threads
    check_machine(trials_demand(at_once, num_threads))
    with start_ray():
        from harray.distributed.cross_validation import run_trials

        yield from run_trials(trials, num_workers)
