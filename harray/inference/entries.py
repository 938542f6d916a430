"""What is said of one video, in plain values; the same wherever it is predicted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.extraction.faults import ExtractionError
from harray.inference.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """A video to predict, by path or URI."""

    video: str
    top: int  # labels listed
    explain_as: Path | None = None  # the pictures' paths begin so; None for no pictures


def video_entry(predictor: Predictor, task: VideoTask) -> dict[str, Any]:
    """video, label, probability, top, `notes` (what is to be said of the video, by kind) where there are some, and
    `explanation` (paths of the pictures) where it was asked for.

    A video that cannot be read has an `error` instead.
    """
    try:
        prediction = predictor.predict_video(task.video)
    except ExtractionError as error:
        return failed_entry(task, f"{error.stage}: {error.cause}")
    entry: dict[str, Any] = {
        "video": task.video,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [
            {"label": label, "probability": probability} for label, probability in prediction.top(task.top)
        ],
    }
    if prediction.features is not None and prediction.features.notes:
        entry["notes"] = prediction.features.notes
    if task.explain_as is not None:
        from harray.inference.explain import explain

        folder, name = task.explain_as.parent, task.explain_as.name
        pictures = explain(prediction, predictor.checkpoint.skeleton, folder, name)
        entry["explanation"] = [str(path) for path in pictures]
    return entry


def failed_entry(task: VideoTask, reason: str) -> dict[str, Any]:
    """What stands in a video's place that could not be predicted."""
    return {"video": task.video, "error": reason}
