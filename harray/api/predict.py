"""Predict many videos, here or over a cluster; one that cannot be read takes no other with it."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harray.api.models import Model, load
from harray.api.session import working
from harray.errors import InputError
from harray.inference import Predictor
from harray.inference.entries import VideoTask, entry_line, video_entry
from harray.inference.predictor import picture_name
from harray.reporting import SILENT, Reporter
from harray.videos.sources import videos_among
from harray.workspace import Workspace

__all__ = ["PredictOptions", "entry_line", "predict", "predict_videos"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """How to predict, and what to say of each video."""

    top: int = 3
    """Labels listed per video."""
    explain_to: str | Path | None = None
    """Folder for overlay videos and pictures; with actors, one that every node reaches. None draws nothing."""
    num_actors: int = 0
    """Ray actors that share the videos; 0 predicts in this process."""
    min_precision: float | None = None
    """Share of right answers that is asked for; the others are "unsure". None: one in two."""
    overrides: Sequence[str] = ()
    """Where weights lie and what runs them, such as `poses.weights=PATH`."""


def predict(
    model: str | Path | Model,
    videos: Iterable[str | Path],
    *,
    options: PredictOptions = PredictOptions(),
    on_video: Callable[[dict[str, Any]], None] = lambda entry: None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """One entry a video, in their order, as `video_entry` gives it; whatever fails, fails in its own entry.

    Args:
        videos: paths or URIs of videos and of folders of videos.
        on_video: called with each entry as it is done.

    Raises:
        InputError: no model, no weights to extract with, no folder for the pictures, or more actors than the
            cluster holds.
    """
    with working(workspace, reporter) as (place, told):
        paths = videos_among(map(str, videos), told.say)
        checkpoint = load(model, workspace=place).checkpoint
        title, done = "predicting and explaining" if options.explain_to else "predicting", itertools.count(1)
        with told.progress(title, "videos") as update:

            def tell(entry: dict[str, Any]) -> None:
                on_video(entry)
                update(next(done), len(paths))

            update(0, len(paths))
            return predict_videos(checkpoint, paths, options, tell, told)


def predict_videos(
    checkpoint: Path,
    videos: Iterable[str],
    options: PredictOptions,
    on_video: Callable[[dict[str, Any]], None] = lambda entry: None,
    reporter: Reporter = SILENT,
) -> list[dict[str, Any]]:
    """`predict` by a checkpoint folder, of files alone."""
    explain_to = None if options.explain_to is None else Path(options.explain_to)
    if explain_to:
        _make_folder(explain_to)
    tasks = [
        replace(task, min_precision=options.min_precision) for task in _tasks(videos, options.top, explain_to)
    ]
    if options.num_actors:
        from harray.distributed.resources import actors_demand, check_machine, start_ray

        check_machine(actors_demand("prediction", min(options.num_actors, len(tasks))))
        with start_ray():
            from harray.distributed.prediction import predict_on_ray

            return predict_on_ray(
                checkpoint, tasks, options.overrides, options.num_actors, on_video, reporter
            )
    predictor = Predictor.load(checkpoint, options.overrides)
    entries = []
    for task in tasks:
        entries.append(video_entry(predictor, task))
        on_video(entries[-1])
    return entries


def _tasks(videos: Iterable[str], top: int, explain_to: Path | None) -> list[VideoTask]:
    tasks, times = [], Counter[str]()
    for video in videos:
        name = picture_name(video)
        times[name] += 1
        name = name if times[name] == 1 else f"{name}-{times[name]}"  # the same video once more
        explain_as = explain_to and explain_to.absolute() / name
        tasks.append(VideoTask(video=video, top=top, explain_as=explain_as))
    return tasks


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--explain {folder}: no folder can be made there ({error.strerror})") from error
