"""Prediction over a cluster: every video exactly once and in order, whatever is killed meanwhile.

checkpoint --its files, by Ray's object store--> PredictionActor x num_actors
videos --one at a time, to whoever is free-----> PredictionActor --> entry --> the list, in the videos' order
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harray.distributed.dealing import deal
from harray.distributed.model_actors import ModelActor, crew_of
from harray.inference.entries import VideoTask, failed_entry, video_entry
from harray.names import is_uri
from harray.reporting import SILENT, Reporter

VideoEntry = dict[str, Any]


def predict_on_ray(
    checkpoint: Path,
    tasks: Sequence[VideoTask],
    assignments: Sequence[str],
    num_actors: int,
    on_entry: Callable[[VideoEntry], None] = lambda entry: None,
    reporter: Reporter = SILENT,
) -> list[VideoEntry]:
    """The entry of every task (of `video_entry`), in their order, computed on the running cluster.

    Args:
        checkpoint: folder on this machine; its files travel to the actors.
        assignments: as for `Predictor.load`; paths in them must be known to every node.
        on_entry: called with each entry as it is done, in any order.
        reporter: told what the user should know, such as what is being waited for.

    Raises:
        InputError: the cluster does not hold so many actors, or a node lacks the weights for extraction.
    """
    crew = crew_of(PredictionActor, checkpoint, assignments, len(tasks), num_actors, reporter)
    entries: dict[int, VideoEntry] = {}
    found = [replace(task, video=_absolute(task.video)) for task in tasks]  # actors stand in other folders
    for index, entry in deal(found, crew, failed_entry):
        entries[index] = entry | {"video": tasks[index].video}
        on_entry(entries[index])
    return [entries[index] for index in range(len(tasks))]


class PredictionActor(ModelActor):
    """Predicts videos."""

    def work(self, task: VideoTask) -> VideoEntry:
        return video_entry(self.predictor, task)


def _absolute(video: str) -> str:
    return video if is_uri(video) else str(Path(video).absolute())
