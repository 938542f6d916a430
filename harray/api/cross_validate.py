"""Cross-validate variants of an experiment on a store; what an interrupted run finished is not trained again."""

import html
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Unpack

import numpy as np

import harray
from harray.api.comparisons import Comparison, check_tracking, cross_validation_metrics, record_comparison
from harray.api.session import working
from harray.api.starting import StartOptions, start_from
from harray.api.stores import Store, as_store
from harray.api.train import with_known_start
from harray.config import digest, parse_overrides, with_overrides
from harray.errors import InputError
from harray.evaluation.occlusion import HIDDEN_SHARES, KINDS
from harray.experiment import ExperimentConfig
from harray.files import Place, fetch, write_atomically
from harray.reporting import SILENT, Reporter
from harray.store import FeatureStore
from harray.store.leaks import doubles_apart, ledger_rows
from harray.validation.ablations import variants_without
from harray.validation.cross_validation import (
    CrossValidation,
    FoldOutcome,
    FoldTraining,
    Spread,
    floors_by_fold,
    hidden_part,
    scores_of_variant,
    train_fold,
)
from harray.validation.plan import (
    CrossValidationPlan,
    Occlusion,
    deal_folds,
    every_occlusion,
    plan_trainings,
    split_as_fold,
    start_of,
)
from harray.validation.verdicts import verdicts_of_cross_validation
from harray.workspace import Workspace

ALL = "all"  # of `hide`
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
    """Also score so occluded: a share such as `0.5`, `KIND:SHARE`, or `all` for every kind at all the usual shares."""
    splits: Sequence[str] | None = None
    """Whose clips are dealt; None for the config's train split."""
    score_split: str | None = None
    """Train on the config's train split and score this one, in place of folds; None deals folds."""
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

    def hiding(self) -> dict[str, dict[float, dict[str, Spread]]]:
        """Top-1 by kind of occlusion, share hidden and variant, of the kinds that were scored at all usual shares."""
        variants = self.scores.variants
        first, found = next(iter(variants.values())), dict[str, dict[float, dict[str, Spread]]]()
        for kind in KINDS:
            parts = {share: hidden_part(kind, share) if share else "fusion" for share in HIDDEN_SHARES}
            if set(parts.values()) <= first.parts.keys():
                found[kind] = {
                    share: {name: scores.parts[part].top1 for name, scores in variants.items()}
                    for share, part in parts.items()
                }
        return found

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
    store: str | Place | Store,
    *,
    options: CrossValidateOptions = CrossValidateOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
    **starting: Unpack[StartOptions],
) -> CrossValidated:
    """Train on all folds but one and score that one, for every fold, seed and variant; recorded as one run.

    No held-out clip chooses anything: every training runs all its epochs. Finished trainings are kept in the
    workspace, and the same call goes on after an interruption.

    Args:
        options: what is compared.
        starting: recipe, config, overrides and init: what the experiment starts from, as of `start_from`.

    Raises:
        InputError: no store, no such split or part, too few groups for the folds, more workers than the cluster holds,
            or a tracking store that does not answer.
    """
    start, there = start_from(**starting), as_store(store)
    with working(workspace, reporter) as (place, told):
        plan = plan_comparison(there.features, with_known_start(start.experiment, place), options)
        if num := doubles_apart(ledger_rows(there.features)):
            told.say(
                f"note: {num} files stand under several names in different groups, so in several folds; "
                f"`harray audit {there.path}` lists them"
            )
        if taken := start_of(plan):
            told.result(str(taken))
        check_tracking(place)
        found = run_plan(plan, place.out, num_workers=options.num_workers, reporter=told)
        verdicts = verdicts_of_cross_validation(found)
        kind = "ablate" if options.score_split else "cross-validate"
        record = Comparison(kind, cross_validation_metrics(found), found.to_json(), verdicts)
        run_id = record_comparison(record, there.path, start, place)
    return CrossValidated(scores=found, verdicts=verdicts, run_id=run_id)


def plan_comparison(
    store: FeatureStore, experiment: ExperimentConfig, options: CrossValidateOptions
) -> CrossValidationPlan:
    """Folds, or the split in place of them, and a training of every variant for each.

    Raises:
        InputError: no such split or part, too few clips or groups for the folds, or limbs to hide where the store's
            layouts know none.
    """
    if options.score_split is None:
        folds = deal_folds(store, experiment.training, options.splits, options.num_folds)
    else:
        folds = split_as_fold(store, experiment.training, options.score_split)
    variants = variants_of(experiment, options.without, options.variants)
    return plan_trainings(
        store,
        {name: variant.learning for name, variant in variants.items()},
        folds,
        num_seeds=options.num_seeds,
        occlusions=occlusions_named(options.hide, store),
    )


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


def occlusions_named(texts: Sequence[str], store: FeatureStore) -> list[Occlusion]:
    """What `occlusion_named` makes of each; `all` is every kind at all the usual shares.

    Raises:
        InputError: no such kind, or no share.
    """
    found = [every_occlusion(store) if text == ALL else [occlusion_named(text)] for text in texts]
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def occlusion_named(text: str) -> Occlusion:
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


def run_plan(
    plan: CrossValidationPlan, out: Path, *, num_workers: int | None = None, reporter: Reporter = SILENT
) -> CrossValidation:
    """Run a plan's trainings through Ray, or in this process with 0 workers, and score its variants.

    Every outcome is kept under `out` as soon as it is there. One of the same configs, clips, fold and code is
    read from there instead of trained again.

    Raises:
        InputError: the cluster cannot hold so many workers, or the store cannot be trained on.
    """
    folder = out.absolute() / "cross-validation"
    fetch(folder)
    files = {each: folder / f"{digest([each.key, code_digest()])}.npz" for each in plan.trainings}
    todo = [each for each in plan.trainings if not files[each].exists()]
    done = len(plan.trainings) - len(todo)
    with reporter.progress("training", "models") as update:
        update(done, len(plan.trainings), f"{done} were there before" if done else "")
        for each, outcome in _run(todo, num_workers):
            write_atomically(files[each], outcome.save)
            done += 1
            update(done, len(plan.trainings), f"{each.variant}, seed {each.seed}, fold {each.fold + 1}")
    return _scored(plan, {each: FoldOutcome.load(file) for each, file in files.items()})


def _scored(plan: CrossValidationPlan, found: Mapping[FoldTraining, FoldOutcome]) -> CrossValidation:
    folds, classes = plan.folds, plan.store.labels()
    truths = [np.array([classes.index(folds.labels[place]) for place in fold]) for fold in folds.places]
    outcomes = {(each.variant, each.seed, each.fold): outcome for each, outcome in found.items()}
    names = list(dict.fromkeys(each.variant for each in plan.trainings))
    variants = {
        name: scores_of_variant(
            [[outcomes[name, seed, fold] for fold in range(len(folds.places))] for seed in plan.seeds], truths
        )
        for name in names
    }
    learning = plan.trainings[0].learning
    floors = scores_of_variant([floors_by_fold(plan.store, folds.splits, folds.places, learning)], truths)
    return CrossValidation(
        store_digest=plan.store.digest(),
        splits=folds.splits,
        num_classes=len(set(folds.labels)),
        fold_sizes=tuple(len(fold) for fold in folds.places),
        seeds=plan.seeds,
        tied_by=folds.tied_by,
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


def _run(
    trainings: list[FoldTraining], num_workers: int | None
) -> Iterator[tuple[FoldTraining, FoldOutcome]]:
    if num_workers == 0:
        yield from ((each, train_fold(each)) for each in trainings)
        return
    if not trainings:
        return
    from harray.distributed.resources import check_machine, start_ray, trainings_demand

    at_once = min(num_workers or 1, len(trainings))
    num_threads = trainings[0].learning.training.num_threads
    check_machine(trainings_demand(at_once, num_threads))
    with start_ray():
        from harray.distributed.cross_validation import train_folds

        yield from train_folds(trainings, num_workers)
