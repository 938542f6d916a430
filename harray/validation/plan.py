"""What a cross-validation trains and scores: folds of a store's clips, or one of its splits in place of a fold."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harray.errors import InputError
from harray.evaluation.occlusion import HIDDEN_SHARES, KINDS, knows_limbs
from harray.store import FeatureStore
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import learned_before, started_network
from harray.training.start import TakenOver
from harray.validation.cross_validation import FoldTraining, labelled_clips, labelled_rows
from harray.validation.folds import check_classes_stay, leave_one_group_out, plan_folds
from harray.validation.near_doubles import near_doubles

Occlusion = tuple[str, float]  # kind, of evaluation/occlusion.py, and share


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Which clips are held out together."""

    splits: tuple[str, ...] | None
    """Of the store, whose labelled clips these are; None for all."""
    labels: list[str]
    """Of every labelled clip."""
    places: list[list[int]]
    """Of the clips that each fold holds out, ascending; those in no fold are only trained on."""
    tied_by: str
    """What is held out together: `groups`, `near doubles`, `nothing`, or `split`."""


@dataclass(frozen=True, kw_only=True)
class CrossValidationPlan:
    """All trainings of a cross-validation, and the truth they are scored by."""

    store: FeatureStore
    folds: Folds
    seeds: tuple[int, ...]
    trainings: list[FoldTraining]  # fold by fold, so that the first results compare all variants


def deal_folds(
    store: FeatureStore, training: TrainingConfig, splits: Sequence[str] | None, num_folds: int | None
) -> Folds:
    """Deal clips into folds.

    Args:
        splits: whose clips; None for the config's train split, or for all clips of a store without any split.
        num_folds: None leaves one group out at a time. Where no clip has a group, near doubles stand in for groups.

    Raises:
        InputError: no such split, or too few clips or groups for the folds.
    """
    if splits is None and store.splits():
        splits = training.train_splits
    chosen = None if splits is None else tuple(splits)
    rows = labelled_rows(store, chosen)
    labels, groups, clip_ids = (rows[name].to_pylist() for name in ("label", "group", "clip_id"))
    tied_by = "groups" if any(group is not None for group in groups) else "near doubles"
    if num_folds is None:
        places = leave_one_group_out(labels, groups)
    else:
        places = plan_folds(labels, groups, clip_ids, num_folds)
    if num_folds is not None and tied_by == "near doubles":
        doubles = near_doubles(labelled_clips(store.path, store.digest(), chosen))
        try:
            places = plan_folds(labels, doubles, clip_ids, num_folds)
        except InputError:  # of some class all clips are alike: better dealt one by one than not at all
            tied_by = "nothing"
    return Folds(splits=chosen, labels=labels, places=places, tied_by=tied_by)


def split_as_fold(store: FeatureStore, training: TrainingConfig, split: str) -> Folds:
    """A split of the store as the only fold; what is trained on is the config's train split.

    Raises:
        InputError: no such split, nothing else to train on, or a class that is only in the split.
    """
    chosen = tuple(dict.fromkeys([*training.train_splits, split]))
    rows = labelled_rows(store, chosen)
    labels, splits = rows["label"].to_pylist(), rows["splits"].to_pylist()
    held_out = [place for place, names in enumerate(splits) if split in names]
    if len(held_out) in (0, len(labels)):
        raise InputError(
            f"store {store.path}: {len(held_out)} of {len(labels)} labelled clips are of split {split!r}; expected "
            f"some to score and others of {training.train_split!r} to train on"
        )
    check_classes_stay(labels, [held_out])
    return Folds(splits=chosen, labels=labels, places=[held_out], tied_by="split")


def every_occlusion(store: FeatureStore) -> list[Occlusion]:
    """All kinds at all the usual shares; limbs only where a layout of the store knows them."""
    kinds = [kind for kind in KINDS if kind != "limbs" or knows_limbs(*store.layouts)]
    return [(kind, share) for kind in kinds for share in HIDDEN_SHARES if share > 0]


def plan_trainings(
    store: FeatureStore,
    variants: Mapping[str, LearningConfig],
    folds: Folds,
    *,
    num_seeds: int,
    occlusions: Sequence[Occlusion] = (),
) -> CrossValidationPlan:
    """One training for every seed, fold and variant.

    Args:
        variants: by name; their seeds run from `training.seed` upwards, alike for all.
        occlusions: to score every held-out fold under as well.

    Raises:
        InputError: limbs to hide where the store's layouts know none, or a start from a model that learned from clips
            that are held out.
    """
    if any(kind == "limbs" for kind, _ in occlusions) and not knows_limbs(*store.layouts):
        raise InputError(
            f"--hide limbs: store {store.path} holds {store.skeleton.name} skeletons, which know no limbs; "
            "hide joints or whole_joints instead"
        )
    first = next(iter(variants.values())).training
    _check_start(store, first, folds)
    seeds = tuple(range(first.seed, first.seed + num_seeds))
    trainings = [
        FoldTraining(
            variant=name,
            fold=fold,
            store=store.path,
            learning=_with_seed(learning, seed),
            splits=folds.splits,
            held_out=tuple(held_out),
            occlusions=tuple(occlusions),
        )
        for seed in seeds
        for fold, held_out in enumerate(folds.places)
        for name, learning in variants.items()
    ]
    return CrossValidationPlan(store=store, folds=folds, seeds=seeds, trainings=trainings)


def start_of(plan: CrossValidationPlan) -> TakenOver | None:
    """What the plan's trainings have of another model; None where their weights are drawn."""
    learning, store = plan.trainings[0].learning, plan.store
    if not learning.training.init:
        return None
    clips = labelled_clips(store.path, store.digest(), plan.folds.splits)
    return started_network(learning, clips.looked_at(learning.features.keypoints))[1]


def _check_start(store: FeatureStore, training: TrainingConfig, folds: Folds) -> None:
    if not training.init or training.allow_leak:
        return
    before, clip_ids = learned_before(training), labelled_rows(store, folds.splits)["clip_id"].to_pylist()
    held_out = [clip_ids[place] for fold in folds.places for place in fold]
    if num := sum(clip in before for clip in held_out):
        raise InputError(
            f"training.init={training.init}: it learned from {num} of the {len(held_out)} clips that are held out; "
            "start from another model, or set training.allow_leak=true"
        )


def _with_seed(learning: LearningConfig, seed: int) -> LearningConfig:
    """A training that carves out no val: nothing chooses an epoch."""
    training = dataclasses.replace(learning.training, seed=seed, val_share=0.0)
    return dataclasses.replace(learning, training=training)
