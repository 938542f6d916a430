"""Score a checkpoint on one split of a store: as a whole, with each branch switched off, and under occlusion."""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from harray.errors import InputError
from harray.evaluation.across import ClassMap, as_known, compared, in_layout
from harray.evaluation.calibration import calibration_report
from harray.evaluation.findings import ClassScores, Mistake
from harray.evaluation.occlusion import HIDDEN_SHARES, KINDS, occlusion_curves
from harray.evaluation.reconstruction import reconstruction
from harray.evaluation.report import EvaluationReport
from harray.features.rowrandom import RowRandom
from harray.features.tensors import ClipTensors, load_clips
from harray.inference.predictor import ClipPredictions, Predictor
from harray.metrics import classification_scores, confusion_matrix, per_class_scores
from harray.reporting import Update, ignore
from harray.store import FeatureStore
from harray.store.ledger import quarantined_rows
from harray.training.floors import floor_scores

ALL = "all"  # in place of a split


def evaluate(
    predictor: Predictor,
    store: FeatureStore,
    split: str,
    *,
    model: str,
    occlusion: bool = True,
    min_precision: float | None = None,
    class_names: Mapping[str, str] | None = None,
    update: Update = ignore,
) -> EvaluationReport:
    """Evaluate on every extracted clip of `split`, or of the store for `all`.

    Args:
        model: the name under which the report speaks of the checkpoint.
        occlusion: whether to measure accuracy and completion with joints hidden (some forty more passes over
            the clips).
        min_precision: share of right answers for which the threshold of "unsure" is chosen; None: one in two.
        class_names: of a store of other labels, the model's class by label (evaluation/across.py); then other joints
            are no hindrance either. None: the store has the model's.
        update: told of steps done, steps in all, and what comes next.

    Raises:
        InputError: no such split, a skeleton or label that the model does not know.
    """
    num_hidings = len(KINDS) * len(HIDDEN_SHARES) if occlusion else 0
    counted, total = itertools.count(), num_hidings + 2

    def step(note: str) -> None:
        update(next(counted), total, note)

    step("scores")
    classes = predictor.classes
    found = None
    if class_names is None:
        clips = clips_for(predictor, store, split)
    else:
        found, clips = clips_across(predictor, store, split, class_names)
    labels_N = clips.labels_N.numpy()
    by_part = predictions_by_part(predictor, clips)
    fusion_NA = by_part["fusion"].probabilities_NA
    predicted_N = fusion_NA.argmax(axis=1)
    ablation = {
        name: classification_scores(part.probabilities_NA, labels_N) for name, part in by_part.items()
    }
    learned = learned_clips(predictor, store, clips)
    predictors = {"without_pcm": predictor}
    if predictor.network.pcm is not None:
        predictors = {"with_pcm": predictor, "without_pcm": predictor.without_pcm()}
    step("completion of hidden joints")
    completion = reconstruction(predictor, clips) if occlusion and "with_pcm" in predictors else {}
    hide = partial(step, "accuracy with joints hidden")
    curves = occlusion_curves(predictors, clips, on_share=hide) if occlusion else {}
    return EvaluationReport(
        model=model,
        store_digest=store.digest(),
        split=split,
        classes=tuple(classes),
        num_missing=_num_quarantined(store, split),
        num_learned=_num_learned(predictor.checkpoint.learned_clips, clips),
        scores=ablation["fusion"],
        calibration=calibration_report(predictor.checkpoint.calibration, min_precision, fusion_NA, labels_N),
        ablation=ablation,
        gate=_gate(predictor, by_part),
        occlusion=curves,
        reconstruction=completion,
        confusion_AA=confusion_matrix(labels_N, predicted_N, len(classes)),
        per_class=_class_rows(labels_N, predicted_N, classes),
        mistakes=_mistakes(clips, fusion_NA, classes),
        floors={} if learned is None else floor_scores(learned, clips, predictor.checkpoint.features),
        num_floor_clips=0 if learned is None else len(learned),
        class_map=found,
    )


def predictions_by_part(predictor: Predictor, clips: ClipTensors) -> dict[str, ClipPredictions]:
    """What `fusion` says of the clips, and where a scene decides too what `pose_only`, `scene_only` and, with noise for
    a scene, fusion (`scene_noise`) say."""
    parts = {"fusion": predictor.predict_clips(clips)}
    if parts["fusion"].gate_N is not None:
        parts["pose_only"] = predictor.predict_clips(clips, use_scene=False)
        parts["scene_only"] = predictor.predict_clips(clips, use_pose=False)
        parts["scene_noise"] = predictor.predict_clips(scene_is_noise(predictor, clips))
    return parts


def _gate(predictor: Predictor, by_part: Mapping[str, ClipPredictions]) -> dict[str, float]:
    cfn = predictor.network.cfn
    if cfn is None or not cfn.config.gate:
        return {}
    return {name: float(part.gate_N.mean()) for name, part in by_part.items() if part.gate_N is not None}


def scene_is_noise(predictor: Predictor, clips: ClipTensors) -> ClipTensors:
    """The clips with noise in place of scenes, of the training set's mean and deviation in every channel."""
    cfn, tokens_NSD = predictor.network.cfn, clips.tokens_NSD
    assert cfn is not None and tokens_NSD is not None
    rows = torch.arange(len(clips), device=cfn.mean_D.device)
    noise = [  # row by row, to save memory
        cfn.noise_like(tokens_1SD.to(rows.device), RowRandom(0, 0, row)).cpu()
        for tokens_1SD, row in zip(tokens_NSD.split(1), rows.split(1), strict=True)
    ]
    return replace(clips, tokens_NSD=torch.cat(noise))


def splits_named(store: FeatureStore, split: str) -> list[str] | None:
    """The splits that `split` names: itself, or all clips (None) for `all` where none is called so."""
    return None if split == ALL and ALL not in store.splits() else [split]


def clips_for(predictor: Predictor, store: FeatureStore, split: str) -> ClipTensors:
    """Labelled clips of a split in the model's classes and layout.

    Raises:
        InputError: the store's layout is not the model's, there is no such split, no clip in it has a label, or
            a label is unknown to the model.
    """
    layout, which = predictor.checkpoint.skeleton, predictor.checkpoint.features.keypoints
    if which == "all" and store.skeleton.name != layout.name:
        raise InputError(
            f"store {store.path} holds {store.skeleton.name} skeletons, the model was trained on {layout.name}; "
            "evaluate on a store of the model's layout"
        )
    splits = splits_named(store, split)
    labels = set(store.read(splits, columns=[])["label"].drop_null().to_pylist())
    if strange := sorted(labels - set(predictor.classes)):
        raise InputError(
            f"store {store.path}: split {split!r} has labels that the model does not know: {', '.join(strange[:5])}; "
            f"it knows {', '.join(predictor.classes[:8])}; evaluate on a store of its classes, or name theirs by "
            "--classes"
        )
    if not labels:
        raise InputError(f"store {store.path}: no clip of split {split!r} has a label to compare with")
    clips = load_clips(store, splits, predictor.classes).looked_at(which)
    return clips.select((clips.labels_N >= 0).nonzero().squeeze(1))


def clips_across(
    predictor: Predictor, store: FeatureStore, split: str, class_names: Mapping[str, str]
) -> tuple[ClassMap, ClipTensors]:
    """Clips of another data set's split as the model knows them, and what cannot be compared.

    Raises:
        InputError: no such split, label or class, or nothing to compare.
    """
    splits = splits_named(store, split)
    labels = store.read(splits, columns=[])["label"].to_pylist()
    found = compared(class_names, labels, store.labels(), predictor.classes)
    clips = load_clips(store, splits).looked_at(predictor.checkpoint.features.keypoints)
    clips = as_known(clips, found, predictor.classes)
    if clips.skeleton.name != predictor.checkpoint.skeleton.name:
        clips, absent = in_layout(clips, predictor.checkpoint.skeleton)
        found = replace(found, absent_joints=absent)
    return found, clips


def learned_clips(predictor: Predictor, store: FeatureStore, scored: ClipTensors) -> ClipTensors | None:
    """Labelled clips that the model learned from and the store still has, less those that are scored; None if none."""
    wanted = (predictor.checkpoint.learned_clips or frozenset()).difference(scored.clip_ids)
    if not wanted:
        return None
    rows = store.read(columns=[]).select(["clip_id", "splits"]).to_pylist()
    splits = {split for row in rows if row["clip_id"] in wanted for split in row["splits"]}
    clips = load_clips(store, sorted(splits) or None, predictor.classes)
    places = [place for place, clip_id in enumerate(clips.clip_ids) if clip_id in wanted]
    known = [place for place in places if clips.labels_N[place] >= 0]
    return clips.select(known) if known else None


def _num_quarantined(store: FeatureStore, split: str) -> int:
    splits = splits_named(store, split)
    missing = quarantined_rows(store.ledger())["splits"].to_pylist()
    return len(missing) if splits is None else sum(split in names for names in missing)


def _num_learned(learned_clips: Collection[str] | None, clips: ClipTensors) -> int | None:
    return None if learned_clips is None else sum(clip in learned_clips for clip in clips.clip_ids)


def _class_rows(labels_N: np.ndarray, predicted_N: np.ndarray, classes: list[str]) -> list[ClassScores]:
    columns = per_class_scores(labels_N, predicted_N, len(classes))
    rows = zip(
        classes, *(columns[name].tolist() for name in ("precision", "recall", "f1", "support")), strict=True
    )
    return [
        ClassScores(label=label, precision=precision, recall=recall, f1=f1, num_clips=support)
        for label, precision, recall, f1, support in rows
    ]


def _mistakes(clips: ClipTensors, probabilities_NA: np.ndarray, classes: list[str]) -> list[Mistake]:
    predicted_N = probabilities_NA.argmax(axis=1)
    wrong = np.flatnonzero(predicted_N != clips.labels_N.numpy())
    mistakes = [
        Mistake(
            path=clips.paths[i],
            label=classes[int(clips.labels_N[i])],
            predicted=classes[predicted_N[i]],
            probability=float(probabilities_NA[i, predicted_N[i]]),
        )
        for i in wrong
    ]
    return sorted(mistakes, key=lambda mistake: -mistake.probability)
