"""Timelines of recordings: who did what from when to when."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harray.api.models import Model, load
from harray.api.session import working
from harray.errors import InputError
from harray.inference import Predictor
from harray.inference.predictor import picture_name
from harray.live.config import TimelineConfig
from harray.live.exports import write_timeline
from harray.live.timeline import timeline
from harray.reporting import Reporter, Update
from harray.videos.sources import videos_among
from harray.workspace import Workspace


def timelines(
    model: str | Path | Model,
    videos: Iterable[str | Path],
    *,
    config: TimelineConfig | None = None,
    write_to: Path | None = None,
    on_video: Callable[[dict[str, Any]], None] = lambda entry: None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """`video` and `segments` of each recording, or its `error`, which touches no other's.

    Args:
        videos: recordings and folders of them.
        write_to: folder for each timeline as CSV, WebVTT, ELAN, Label Studio and a picture; their paths are `files`.
        on_video: called with each entry as it is done.

    Raises:
        InputError: weights that are missing.
    """
    with working(workspace, reporter) as (place, told):
        predictor = load(model, workspace=place).predictor
        predictor.extractor.load()
        entries = []
        with told.progress("watching", "seconds") as update:
            for video in videos_among(map(str, videos), told.say):
                entries.append(_entry(predictor, video, config or TimelineConfig(), write_to, update))
                on_video(entries[-1])
    return entries


def _entry(
    predictor: Predictor, video: str, config: TimelineConfig, write_to: Path | None, update: Update
) -> dict[str, Any]:
    try:
        segments = timeline(predictor, video, config, lambda sec: update(int(sec), 0, Path(video).name))
    except InputError as error:
        return {"video": video, "error": str(error)}
    entry: dict[str, Any] = {"video": video, "segments": [segment.to_json() for segment in segments]}
    if write_to is not None:
        files = write_timeline(segments, video, write_to, picture_name(video))
        entry["files"] = [str(path) for path in files]
    return entry
