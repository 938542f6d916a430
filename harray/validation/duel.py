"""Champion and challenger on the same clips, in one run: nothing that either learned from, slice by slice.

    store's split -> clips that both can be asked -> answers of both -> Difference, overall and by slice

Letters: N clips, A action classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harray.errors import InputError
from harray.evaluation.evaluate import scene_is_noise
from harray.evaluation.occlusion import as_in_other_clips, occluded
from harray.features.tensors import ClipTensors, load_clips
from harray.inference.evidence import OK, evidence_of
from harray.inference.footprint import latencies_ms, peak_memory_mb
from harray.inference.predictor import ClipPredictions, Predictor
from harray.store import FeatureStore
from harray.training.calibration import expected_calibration_error
from harray.training.floors import ties_of
from harray.validation.gate import OCCLUDED, Cost, Measured, Slice
from harray.validation.paired import Difference, compare, holm

FEWEST_CLIPS = 10  # of a slice; fewer can hardly be told from chance
HIDDEN_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Clips of the split that would not be fair to ask, by why."""

    learned: int  # a model learned from them
    of_their_groups: int  # a model learned from other clips of their groups
    other_labels: int  # not both models know their labels
    not_recorded: tuple[str, ...]  # which models do not say what they learned from

    def __str__(self) -> str:
        counts = {
            "learned from": self.learned,
            "of groups learned from": self.of_their_groups,
            "of labels that not both know": self.other_labels,
        }
        said = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
        unknown = " and ".join(self.not_recorded)
        more = f"; what the {unknown} learned from is not recorded" if unknown else ""
        return f"left out: {said or 'nothing'}{more}"


@dataclass(frozen=True, kw_only=True)
class Duel:
    """Everything that was measured of two models; lists and arrays have an entry per compared clip."""

    measured: Measured
    clips: ClipTensors
    champion: list[tuple[str, float]]  # its answer and probability
    challenger: list[tuple[str, float]]
    gain_N: np.ndarray  # 1 won by the challenger, -1 lost, 0 alike
    left_out: LeftOut


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model under one name."""

    name: str  # champion or challenger
    checkpoint: Path
    predictor: Predictor

    @classmethod
    def load(cls, name: str, checkpoint: Path) -> "Contender":
        return cls(name=name, checkpoint=checkpoint, predictor=Predictor.load(checkpoint))

    def clips(self, store: FeatureStore, split: str) -> ClipTensors:
        """The split's clips as this model looks at them; a label that it does not know is -1."""
        clips = load_clips(store, [split], self.predictor.classes)
        return clips.looked_at(self.predictor.checkpoint.features.keypoints)


def duel(
    pair: tuple[Contender, Contender],
    store: FeatureStore,
    split: str,
    on_step: Callable[[str], None] = lambda note: None,
) -> Duel:
    """Score champion and challenger (`pair`) and compare them.

    Args:
        on_step: called with what comes next, `NUM_STEPS` times.

    Raises:
        InputError: no such split, a store that does not fit both models, or no clip that neither learned from.
    """
    on_step("scores")
    both, left_out = fair_clips(pair, store, split)
    said = [one.predictor.predict_clips(clips) for one, clips in zip(pair, both, strict=True)]
    right = [_right(answers, clips) for answers, clips in zip(said, both, strict=True)]
    groups = ties_of(both[0])
    slices, too_few = _slices(pair, both, said, right, on_step)
    on_step("latency and memory")
    times = latencies_ms([(one.predictor, clips) for one, clips in zip(pair, both, strict=True)])
    costs = [
        Cost(
            latency_ms=float(np.quantile(taken, 0.95)),
            median_ms=float(np.median(taken)),
            memory_mb=peak_memory_mb(one.checkpoint),
            calibration_error=expected_calibration_error(answers.probabilities_NA, clips.labels_N.numpy()),
        )
        for one, taken, answers, clips in zip(pair, times, said, both, strict=True)
    ]
    measured = Measured(
        overall=compare(right[0], right[1], groups),
        slices=slices,
        too_few=too_few,
        champion=costs[0],
        challenger=costs[1],
    )
    answers = [_labelled(said_of, one.predictor.classes) for said_of, one in zip(said, pair, strict=True)]
    return Duel(
        measured=measured,
        clips=both[1],
        champion=answers[0],
        challenger=answers[1],
        gain_N=right[1].astype(int) - right[0].astype(int),
        left_out=left_out,
    )


def fair_clips(
    pair: tuple[Contender, Contender], store: FeatureStore, split: str
) -> tuple[tuple[ClipTensors, ClipTensors], LeftOut]:
    """The same clips as either model looks at them, without those that would not be fair.

    Raises:
        InputError: no such split, or no clip is left.
    """
    clips, others = (one.clips(store, split) for one in pair)
    learned = set().union(*(one.predictor.checkpoint.learned_clips or () for one in pair))
    rows = store.read(columns=[]).select(["clip_id", "group"]).to_pylist()
    groups = {row["group"] for row in rows if row["clip_id"] in learned} - {None}
    is_learned_N = np.array([clip in learned for clip in clips.clip_ids])
    of_group_N = np.array([group in groups for group in clips.groups]) & ~is_learned_N
    known_N = (clips.labels_N.numpy() >= 0) & (others.labels_N.numpy() >= 0)
    fair = np.flatnonzero(~is_learned_N & ~of_group_N & known_N)
    left_out = LeftOut(
        learned=int(is_learned_N.sum()),
        of_their_groups=int(of_group_N.sum()),
        other_labels=int((~known_N & ~is_learned_N & ~of_group_N).sum()),
        not_recorded=tuple(one.name for one in pair if one.predictor.checkpoint.learned_clips is None),
    )
    if not len(fair):
        raise InputError(
            f"store {store.path}: no clip of split {split!r} is left to compare the models on ({left_out}); name "
            "another split, or a store of new clips"
        )
    return (clips.select(fair), others.select(fair)), left_out


def _slices(
    pair: tuple[Contender, Contender],
    both: tuple[ClipTensors, ClipTensors],
    said: Sequence[ClipPredictions],
    right: Sequence[np.ndarray],
    on_step: Callable[[str], None],
) -> tuple[list[Slice], list[str]]:
    """The slices that can be compared, with p corrected for their number, and the names of those of too few clips."""
    groups = np.array(ties_of(both[0]))
    found: dict[str, Difference] = {}
    too_few: list[str] = []
    for name, chosen_N in _parts(pair, both[1], said).items():
        if chosen_N.sum() >= FEWEST_CLIPS:
            found[name] = compare(right[0][chosen_N], right[1][chosen_N], groups[chosen_N].tolist())
        elif chosen_N.any():
            too_few.append(name)
    for name, change in CHANGES.items():
        on_step(name)
        changed = [change(one, clips) for one, clips in zip(pair, both, strict=True)]
        if all(clips is None for clips in changed):
            continue
        asked = [
            _right(one.predictor.predict_clips(plain if clips is None else clips), plain)
            for one, clips, plain in zip(pair, changed, both, strict=True)
        ]
        if len(groups) >= FEWEST_CLIPS:
            found[name] = compare(asked[0], asked[1], groups.tolist())
        else:
            too_few.append(name)
    adjusted = holm({name: difference.p_worse for name, difference in found.items()})
    slices = [
        Slice(name=name, difference=difference, p_adjusted=adjusted[name])
        for name, difference in found.items()
    ]
    return slices, too_few


def _parts(
    pair: tuple[Contender, Contender], clips: ClipTensors, said: Sequence[ClipPredictions]
) -> dict[str, np.ndarray]:
    """Slice -> which of the clips are of it."""
    labels_N, classes = clips.labels_N.numpy(), pair[1].predictor.classes
    parts = {f"class {label}": labels_N == number for number, label in enumerate(classes)}
    evidence = [evidence_of(visible_PTK) for visible_PTK in said[1].visible_NPTK]
    parts["several people"] = np.array([found.num_people_seen > 1 for found in evidence])
    hardly_seen_N = np.array([found.verdict != OK for found in evidence])
    unsure = [_is_unsure(one, answers) for one, answers in zip(pair, said, strict=True)]
    parts["unsure answers"] = (
        hardly_seen_N | unsure[0] | unsure[1]
    )  # of either, or the slice would favour one
    return parts


def _is_unsure(one: Contender, said: ClipPredictions) -> np.ndarray:
    return said.probabilities_NA.max(axis=1) < one.predictor.checkpoint.calibration.threshold()


def _hidden(one: Contender, clips: ClipTensors) -> ClipTensors | None:
    return occluded(clips, "joints", HIDDEN_SHARE)


def _really_hidden(one: Contender, clips: ClipTensors) -> ClipTensors | None:
    return as_in_other_clips(clips, one.predictor.checkpoint.features.min_confidence)


def _noise(one: Contender, clips: ClipTensors) -> ClipTensors | None:
    sees_scene = one.predictor.network.cfn is not None and clips.tokens_NSD is not None
    return scene_is_noise(one.predictor, clips) if sees_scene else None


# Slice -> all clips changed; None where a model's clips cannot be, such as without a scene
CHANGES: dict[str, Callable[[Contender, ClipTensors], ClipTensors | None]] = {
    OCCLUDED: _hidden,
    "hidden as people of other clips are": _really_hidden,
    "scene replaced by noise": _noise,
}
NUM_STEPS = 2 + len(CHANGES)


def _right(said: ClipPredictions, clips: ClipTensors) -> np.ndarray:
    return said.probabilities_NA.argmax(axis=1) == clips.labels_N.numpy()


def _labelled(said: ClipPredictions, classes: Sequence[str]) -> list[tuple[str, float]]:
    best_N = said.probabilities_NA.argmax(axis=1)
    return [
        (classes[best], float(row_A[best])) for best, row_A in zip(best_N, said.probabilities_NA, strict=True)
    ]
