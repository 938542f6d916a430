"""Conventions of other tools, inferred from the numbers of a whole file and converted to ours.

    scores in the last coordinate? --> scale of the scores? --> coordinates as shares of the picture?

Ours: scores in [0, 1] beside the coordinates, or none; in 2D px. What is missing is marked by a score of 0, by
coordinates that are not finite, or by a value in the place of all of them: 0 or -1. What cannot be told is asked
about: an error where both readings are likely, a message where one is.

Letters: M people, T frames, V joints, C coordinates (2 or 3).
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np

from harray.errors import InputError
from harray.interchange.annotations import Annotation

MARKERS = (0.0, -1.0)  # in the place of all coordinates of a joint that is missing
SOME_PX = 10.0  # metres and shares of a picture seldom reach it, pixels do
A_LITTLE_OVER = 1.5  # what peaks of heatmaps reach, which are scores from 0 to 1 nevertheless
TEN = 10.0  # beyond which scores are no peaks of anything, but per cent
FLAGS = (0, 1, 2)  # not labelled, hidden, visible: COCO's of ground truth
MANY = 0.01  # of the joints at one and the same place
SAMPLED = 400  # annotations, spread over the file, by which coordinates are judged

Brought = tuple[list[Annotation], list[str]]


def to_ours(path: Path, annotations: list[Annotation]) -> Brought:
    """The annotations in our conventions, and a line for each thing that was told by their numbers.

    Raises:
        InputError: scores or coordinates that may mean one thing or another.
    """
    steps: tuple[Callable[[Path, list[Annotation]], Brought], ...] = (
        _scores_apart,
        _scores_given,
        _scores_to_one,
        _pixels,
    )
    said: list[str] = []
    for step in steps:
        annotations, messages = step(path, annotations)
        said += messages
    return annotations, said + _of_one_place(annotations)


def is_marked(keypoints: np.ndarray, origin_joints: Collection[int] = ()) -> np.ndarray:
    """Bool `[..., V]`: the joint's coordinates `[..., V, C]` say that it is missing.

    Args:
        origin_joints: that are always 0, for the coordinates start at them.
    """
    is_origin_V = np.isin(np.arange(keypoints.shape[-2]), list(origin_joints))
    markers = [(keypoints == marker).all(-1) for marker in MARKERS]
    return ~np.isfinite(keypoints).all(-1) | (markers[0] & ~is_origin_V) | markers[1]


def _scores_apart(path: Path, annotations: list[Annotation]) -> Brought:
    """[x, y, score] and [x, y, z, score] as coordinates and scores; a last value that is always 0 is neither."""
    num_values = annotations[0].keypoints_MTVC.shape[3]
    if num_values == 2:
        return annotations, []
    if all(_is_score_again(each) for each in annotations):
        apart = [_less_last(path, each, each.scores_MTV) for each in annotations]
        return apart, ["keypoint repeats keypoint_score as its last values; left out there"]
    if num_values == 3 and any(each.scores_MTV is not None for each in annotations):
        return annotations, []
    last, others = _values(annotations, slice(-1, None)), _values(annotations, slice(0, -1))
    if not len(last) or not last.any():
        if num_values == 3 and any(each.size_hw == (0, 0) for each in annotations):
            return annotations, []
        return [_less_last(path, each, None) for each in annotations], [
            f"the last of {num_values} values a joint is always 0; left out"
        ]
    scale = _scale_of(last)
    is_px = np.quantile(np.abs(others), 0.95) > SOME_PX
    has_pictures = all(max(each.size_hw) > 2 for each in annotations)
    if num_values == 4 and not scale:
        raise InputError(
            f"{path}: keypoint: found 4 values a joint, the last from {last.min():.3g} to {last.max():.3g}; expected "
            "a score from 0 to 1 there, or 2 or 3 coordinates"
        )
    if num_values == 4 or (is_px and (scale == "0 to 1" or (scale and has_pictures))):
        apart = [_less_last(path, each, each.keypoints_MTVC[..., -1]) for each in annotations]
        return apart, [f"keypoint holds {num_values} values a joint, the last {scale}: taken for its score"]
    if last.min() >= 0 and last.max() <= (TEN if is_px and has_pictures else 1):
        raise InputError(
            f"{path}: keypoint: found 3 values a joint without keypoint_score, the third from {last.min():.3g} to "
            f"{last.max():.3g}: is it x, y, score or x, y, z? For scores give keypoint[..., :2] as keypoint and "
            "keypoint[..., 2] as keypoint_score; for 3D give a keypoint_score of ones"
        )
    return annotations, []


def _scale_of(values: np.ndarray) -> str:
    """On which usual scale of scores the values lie; empty for none."""
    if values.min() < 0 or values.max() > 100:
        return ""
    if values.max() <= A_LITTLE_OVER:
        return "0 to 1"
    if np.isin(values, FLAGS).all():
        return "0, 1 or 2"
    return "0 to 100" if np.quantile(values, 0.99) > TEN else ""


def _is_score_again(annotation: Annotation) -> bool:
    scores = annotation.scores_MTV
    return scores is not None and np.array_equal(annotation.keypoints_MTVC[..., -1], scores, equal_nan=True)


def _less_last(path: Path, annotation: Annotation, scores_MTV: np.ndarray | None) -> Annotation:
    keypoints = annotation.keypoints_MTVC[..., :-1]
    if keypoints.shape[-1] == 2 and annotation.size_hw == (0, 0):
        raise InputError(
            f"{path}: {annotation.frame_dir}: img_shape: found none, expected (height, width) of the frames, px, for "
            "its keypoints are x, y, score"
        )
    return dataclasses.replace(annotation, keypoints_MTVC=keypoints, scores_MTV=scores_MTV)


def _scores_given(path: Path, annotations: list[Annotation]) -> Brought:
    """Scores of which none in the file is above 0, beside bodies, say nothing."""
    scored = [each for each in annotations if each.scores_MTV is not None]
    empty = [each for each in scored if each.scores_MTV is not None and not _top(each.scores_MTV)]
    with_body = [each for each in empty if not is_marked(each.keypoints_MTVC).all()]
    if not with_body:
        return annotations, []
    if len(empty) < len(scored):
        return annotations, [
            f"{len(with_body)} clips have scores of 0 throughout, so that nobody is seen in them; where their joints "
            "are right, leave keypoint_score out of them"
        ]
    return [dataclasses.replace(each, scores_MTV=None) for each in annotations], [
        "all scores are 0: they say nothing, and all joints that have coordinates count as seen"
    ]


def _scores_to_one(path: Path, annotations: list[Annotation]) -> Brought:
    """Scores of 0 to 100 as 0 to 1."""
    scored = [each for each in annotations if each.scores_MTV is not None]
    tops = {each.frame_dir: _top(each.scores_MTV) for each in scored if each.scores_MTV is not None}
    top = max(tops.values(), default=0.0)
    if top <= A_LITTLE_OVER:
        return annotations, []
    if top <= TEN:
        if _are_flags(scored):
            return annotations, ["scores are 0, 1 or 2, as COCO marks visibility: 1 and 2 count as seen"]
        return annotations, [
            f"scores reach {top:.3g}; from 1 up they count as 1; where 1 is not the surest, divide them first"
        ]
    if top > 100:
        raise InputError(
            f"{path}: keypoint_score: found scores up to {top:.5g}, expected 0 to 1 or 0 to 100; divide them first"
        )
    if others := [name for name, each in tops.items() if 0 < each <= 1]:
        surest = max(tops, key=lambda name: tops[name])
        raise InputError(
            f"{path}: keypoint_score: found scores up to {top:.3g} in {surest} and up to {tops[others[0]]:.3g} in "
            f"{others[0]}; give all annotations scores from 0 to 1"
        )
    brought = [
        each
        if each.scores_MTV is None
        else dataclasses.replace(each, scores_MTV=each.scores_MTV.astype(np.float32) / 100)
        for each in annotations
    ]
    return brought, [f"scores reach {top:.3g}: taken for per cent"]


def _top(scores_MTV: np.ndarray) -> float:
    """The surest score, less a hundredth of them, which may be anything."""
    positive = scores_MTV[np.isfinite(scores_MTV) & (scores_MTV > 0)]
    return float(np.quantile(positive.astype(np.float64), 0.99)) if len(positive) else 0.0


def _are_flags(scored: Iterable[Annotation]) -> bool:
    return all(each.scores_MTV is None or np.isin(each.scores_MTV, FLAGS).all() for each in scored)


def _pixels(path: Path, annotations: list[Annotation]) -> Brought:
    """2D coordinates of 0 to 1 as px, where the picture is known to be larger."""
    if annotations[0].keypoints_MTVC.shape[3] != 2 or any(max(each.size_hw) <= 2 for each in annotations):
        return annotations, []
    values = _values(annotations, slice(None))
    if not len(values) or np.quantile(np.abs(values), 0.99) > A_LITTLE_OVER:
        return annotations, []
    if np.quantile(values, 0.01) < -0.5:
        return annotations, [
            "coordinates lie about 0 and are no pixels of img_shape; taken as they are: right where both axes have "
            "the same unit"
        ]
    return [_in_px(each) for each in annotations], [
        "coordinates lie between 0 and 1: taken for shares of img_shape's width and height"
    ]


def _in_px(annotation: Annotation) -> Annotation:
    keypoints = annotation.keypoints_MTVC.astype(np.float32)
    missing = is_marked(keypoints)[..., None]
    scaled = keypoints * np.array(annotation.size_hw[::-1], np.float32)
    return dataclasses.replace(annotation, keypoints_MTVC=np.where(missing, keypoints, scaled))


def _values(annotations: list[Annotation], which: slice) -> np.ndarray:
    """Some coordinates of the joints that are there, as one row."""
    parts = (
        each.keypoints_MTVC[~is_marked(each.keypoints_MTVC)][..., which].ravel()
        for each in _sample(annotations)
    )
    return np.concatenate(list(parts)).astype(np.float64)


def _sample(annotations: list[Annotation]) -> list[Annotation]:
    return annotations[:: max(1, len(annotations) // SAMPLED)]


def _of_one_place(annotations: list[Annotation]) -> list[str]:
    """A message where different joints lie at the very same place again and again, as what is missing may be."""
    places: Counter[tuple[float, ...]] = Counter()
    joints: dict[tuple[float, ...], set[int]] = {}
    total = 0
    for each in _sample(annotations):
        there_MTV = ~is_marked(each.keypoints_MTVC)
        if each.scores_MTV is not None:
            there_MTV &= each.scores_MTV > 0
        total += int(there_MTV.sum())
        for joint in range(there_MTV.shape[2]):
            found, counts = np.unique(
                each.keypoints_MTVC[:, :, joint][there_MTV[:, :, joint]], axis=0, return_counts=True
            )
            for place, count in zip(map(tuple, found.tolist()), counts.tolist(), strict=True):
                if count > 1:
                    places[place] += count
                    joints.setdefault(place, set()).add(joint)
    for place, count in places.most_common(1):
        if total and count > MANY * total and len(joints[place]) >= 3:
            return [
                f"{count / total:.0%} of the joints lie at ({', '.join(f'{value:g}' for value in place)}), "
                f"{len(joints[place])} different ones; if that marks what is missing, give them a score of 0"
            ]
    return []
