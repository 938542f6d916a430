"""Predict videos one after another; one that cannot be read takes no other with it."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.extraction.faults import ExtractionError
from harray.inference import Predictor
from harray.videos.sources import VIDEO_SUFFIXES


def predict_videos(
    predictor: Predictor,
    videos: Iterable[Path],
    *,
    top: int,
    explain_to: Path | None = None,
    on_video: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """One entry a video: video, label, probability, top, and the pictures' paths where they were asked for.

    A video that cannot be read has an `error` instead.
    """
    entries, names = [], Counter[str]()
    for video in videos:
        names[video.stem] += 1  # two videos of one name must not share their pictures
        name = video.stem if names[video.stem] == 1 else f"{video.stem}-{names[video.stem]}"
        entries.append(_entry(predictor, video, top, explain_to and explain_to / name))
        if on_video:
            on_video(entries[-1])
    return entries


def videos_among(names: Iterable[str]) -> list[Path]:
    """Files as they are, folders as the videos in them, sorted.

    Raises:
        InputError: nothing of that name, or a folder without videos.
    """
    videos: list[Path] = []
    for path in map(Path, names):
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
            if not found:
                raise InputError(f"folder {path}: no videos in it ({', '.join(sorted(VIDEO_SUFFIXES))})")
            videos += found
        elif path.exists():
            videos.append(path)
        else:
            raise InputError(f"video {path}: no such file; give paths of videos or of folders of videos")
    return videos


def _entry(predictor: Predictor, video: Path, top: int, explain_as: Path | None) -> dict[str, Any]:
    try:
        prediction = predictor.predict_video(video)
    except ExtractionError as error:
        return {"video": str(video), "error": f"{error.stage}: {error.cause}"}
    entry: dict[str, Any] = {
        "video": str(video),
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [{"label": label, "probability": probability} for label, probability in prediction.top(top)],
    }
    if explain_as is not None:
        from harray.inference.explain import explain

        pictures = explain(prediction, predictor.checkpoint.skeleton, explain_as.parent, explain_as.name)
        entry["explanation"] = [str(path) for path in pictures]
    return entry
