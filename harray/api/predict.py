"""Predict many videos, here or over a cluster; one that cannot be read takes no other with it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harray.errors import InputError
from harray.inference import Predictor
from harray.inference.entries import VideoTask, video_entry
from harray.names import digest_of, is_uri, short_name


def predict_videos(
    checkpoint: Path,
    videos: Iterable[str],
    *,
    top: int,
    assignments: Sequence[str] = (),
    num_actors: int = 0,
    explain_to: Path | None = None,
    min_precision: float | None = None,
    on_video: Callable[[dict[str, Any]], None] = lambda entry: None,
    on_message: Callable[[str], None] = lambda message: None,
) -> list[dict[str, Any]]:
    """One entry a video, in their order, as `video_entry` gives it; whatever fails, fails in its own entry.

    Args:
        videos: paths or URIs.
        assignments: as for `Predictor.load`.
        num_actors: Ray actors that share the videos; 0 predicts in this process.
        explain_to: folder for the pictures; with actors, one that every node reaches.
        min_precision: share of right answers that is asked for; the others are "unsure". None: one in two.
        on_video: called with each entry as it is done.
        on_message: called with what the user should know.

    Raises:
        InputError: no checkpoint, no weights to extract with, no folder for the pictures, or more actors than the
            cluster holds.
    """
    if explain_to:
        _make_folder(explain_to)
    tasks = [replace(task, min_precision=min_precision) for task in _tasks(videos, top, explain_to)]
    if num_actors:
        from harray.distributed.resources import check_machine, start_ray

        check_machine({"CPU": min(num_actors, len(tasks))}, "prediction", "use fewer --actors")
        with start_ray():
            from harray.distributed.prediction import predict_on_ray

            return predict_on_ray(checkpoint, tasks, assignments, num_actors, on_video, on_message)
    predictor = Predictor.load(checkpoint, assignments)
    entries = []
    for task in tasks:
        entries.append(video_entry(predictor, task))
        on_video(entries[-1])
    return entries


def _tasks(videos: Iterable[str], top: int, explain_to: Path | None) -> list[VideoTask]:
    tasks, times = [], Counter[str]()
    for video in videos:
        name = _picture_name(video)
        times[name] += 1
        name = name if times[name] == 1 else f"{name}-{times[name]}"  # the same video once more
        explain_as = explain_to and explain_to.absolute() / name
        tasks.append(VideoTask(video=video, top=top, explain_as=explain_as))
    return tasks


def _picture_name(video: str) -> str:
    """The video's own name, with a digest of where it lies: another video of that name has other pictures, in this
    call and in the next."""
    where = video if is_uri(video) else os.path.abspath(video)
    return f"{short_name(Path(video).stem)}-{digest_of(where)}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--explain {folder}: no folder can be made there ({error.strerror})") from error
