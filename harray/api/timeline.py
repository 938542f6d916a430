"""Timelines of recordings: who did what from when to when."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harray.api.models import Model, load
from harray.api.session import working
from harray.errors import InputError
from harray.inference.predictor import picture_name
from harray.live.config import TimelineConfig
from harray.live.exports import write_timeline
from harray.live.timeline import Segment, timeline
from harray.reporting import Reporter
from harray.videos.sources import videos_among
from harray.workspace import Workspace

Found = Iterator[list[Segment] | str]  # of each recording: its segments, or why there are none
Tell = Callable[[str, float], None]  # called with a recording and the time that was reached in it


def timelines(
    model: str | Path | Model,
    videos: Iterable[str | Path],
    *,
    config: TimelineConfig | None = None,
    num_actors: int = 0,
    write_to: Path | None = None,
    on_video: Callable[[dict[str, Any]], None] = lambda entry: None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """`video` and `segments` of each recording, or its `error`, which touches no other's.

    Args:
        videos: recordings and folders of them.
        num_actors: Ray actors among which long recordings are shared too; 0 does all in this process. The segments are
            the same.
        write_to: folder for each timeline as CSV, WebVTT, ELAN, Label Studio and a picture; their paths are `files`.
        on_video: called with each entry as it is done.

    Raises:
        InputError: weights that are missing, or more actors than the cluster holds.
    """
    with working(workspace, reporter) as (place, told):
        loaded, config = load(model, workspace=place), config or TimelineConfig()
        paths = videos_among(map(str, videos), told.say)
        find = partial(_on_ray, num_actors=num_actors, reporter=told) if num_actors else _here
        entries = []
        with told.progress("watching", "seconds") as update:

            def tell(video: str, time_sec: float) -> None:
                update(int(time_sec), 0, Path(video).name)

            for video, segments in zip(paths, find(loaded, paths, config, tell), strict=True):
                entries.append(_entry(video, segments, write_to))
                on_video(entries[-1])
    return entries


def _here(model: Model, videos: Sequence[str], config: TimelineConfig, tell: Tell) -> Found:
    model.predictor.extractor.load()
    for video in videos:
        try:
            yield timeline(model.predictor, video, config, partial(tell, video))
        except InputError as error:
            yield str(error)


def _on_ray(
    model: Model,
    videos: Sequence[str],
    config: TimelineConfig,
    tell: Tell,
    *,
    num_actors: int,
    reporter: Reporter,
) -> Found:
    from harray.distributed.resources import actors_demand, check_machine, start_ray

    check_machine(actors_demand("timelines", num_actors))
    with start_ray():
        from harray.distributed.timelines import timelines_on_ray

        yield from timelines_on_ray(
            model.checkpoint,
            videos,
            model.assignments,
            config,
            num_actors,
            on_progress=tell,
            reporter=reporter,
        )


def _entry(video: str, segments: list[Segment] | str, write_to: Path | None) -> dict[str, Any]:
    if isinstance(segments, str):
        return {"video": video, "error": segments}
    entry: dict[str, Any] = {"video": video, "segments": [segment.to_json() for segment in segments]}
    if write_to is not None:
        files = write_timeline(segments, video, write_to, picture_name(video))
        entry["files"] = [str(path) for path in files]
    return entry
