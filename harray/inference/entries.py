"""What is said of one video, in plain values; the same wherever it is predicted."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.extraction.faults import ExtractionError
from harray.inference.evidence import MIN_JOINTS_SEEN, NOBODY
from harray.inference.predictor import Prediction, Predictor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """A video to predict, by path or URI."""

    video: str
    top: int  # labels listed
    explain_as: Path | None = None  # the pictures' paths begin so; None for no pictures
    min_precision: float | None = None  # share of right answers below which none is given; None: as usual


def video_entry(predictor: Predictor, task: VideoTask) -> dict[str, Any]:
    """video, what `said_of` says, `notes` (what is to be said of the video, by kind) where there are some, and
    `explanation` (paths of the pictures) where it was asked for.

    Whatever goes wrong with a video, or with its pictures, is the `error` of its entry and touches no other's. A
    video that was not predicted has nothing else; one that was not drawn keeps its labels.

    Raises:
        InputError: what no video could be predicted with, such as missing weights.
    """
    try:
        prediction = predictor.predict_video(task.video)
        if task.min_precision is not None:
            threshold = predictor.checkpoint.calibration.threshold(task.min_precision)
            prediction = replace(prediction, threshold=threshold)
        entry = {"video": task.video, **said_of(prediction, task.top)}
    except InputError:
        raise
    except Exception as error:
        return failed_entry(task, reason_of(error))
    if prediction.features is not None and prediction.features.notes:
        entry["notes"] = prediction.features.notes
    if task.explain_as is not None:
        from harray.inference.explain import explain

        folder, name = task.explain_as.parent, task.explain_as.name
        try:
            pictures = explain(prediction, folder, name)
            entry["explanation"] = [str(path) for path in pictures]
        except Exception as error:
            entry["error"] = f"not explained: {reason_of(error)}"
    return entry


def said_of(prediction: Prediction, top: int) -> dict[str, Any]:
    """label, probability, top, verdict, and the evidence: num_people_seen, frames_seen_share, joints_seen_share.

    The label is None where nobody is seen; `top` is then what the scene alone says, empty where none decides. Of the
    unsure the label is the likeliest.
    """
    likeliest = prediction.top(top)
    is_nobody = prediction.verdict == NOBODY
    label, probability = (None, None) if is_nobody else (prediction.label, prediction.probability)
    return {
        "label": label,
        "probability": probability,
        "top": [{"label": label, "probability": probability} for label, probability in likeliest],
        **prediction.evidence.values(),
        "verdict": prediction.verdict,
    }


def failed_entry(task: VideoTask, reason: str) -> dict[str, Any]:
    """What stands in a video's place that could not be predicted."""
    return {"video": task.video, "error": reason}


def reason_of(error: Exception) -> str:
    """An error in a line that names no file of this machine; one that nobody foresaw goes to the log as a whole."""
    if isinstance(error, ExtractionError):
        return f"{error.stage}: {_line(error.cause)}"
    if isinstance(error, InputError | OSError):
        return _line(error)
    _log.error("unforeseen", exc_info=error)
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(
        error
    )  # the operating system's word without the file's name
    return " ".join(said.split())[:300] or type(error).__name__


def entry_line(entry: Mapping[str, Any]) -> str:
    """What is said of a video, and how much of it was seen."""
    if "top" not in entry:
        return f"not predicted ({entry['error']})"
    labels = ", ".join(f"{said['label']} {said['probability']:.1%}" for said in entry["top"])
    if entry["verdict"] == "nobody":
        return f"nobody seen; by the scene alone {labels}" if labels else "nobody seen"
    little = ", little was seen" if entry["joints_seen_share"] < MIN_JOINTS_SEEN else ""
    doubt = f"unsure{little}: " if entry["verdict"] == "unsure" else ""
    people = "1 person" if entry["num_people_seen"] == 1 else f"{entry['num_people_seen']} people"
    frames, joints = (f"{entry[f'{what}_seen_share']:.0%} of the {what}" for what in ("frames", "joints"))
    return f"{doubt}{labels}; seen: {people}, {frames}, {joints}"
