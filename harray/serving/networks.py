"""The networks that serve all streams: versions of a model, frames, windows and videos. Remembers no stream.

A model is named by what stays the same: a checkpoint folder, or models:/NAME/VERSION, which the ingress makes of an
alias. So a replica may hold the version that leaves beside the one that comes, and every answer says whose it is.
"""

import contextlib
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.inference.entries import VideoTask, said_of, video_entry
from harray.inference.predictor import Prediction, Predictor
from harray.live.config import LiveConfig, TimelineConfig
from harray.live.networks import FrameNetworks, Picture, SeenFrame
from harray.live.stream import decide
from harray.live.timeline import timeline
from harray.live.traits import ModelTraits
from harray.live.windows import Window
from harray.networks.export import exported
from harray.networks.runtimes import ONNX
from harray.poses.config import PosesConfig
from harray.poses.detector import pose_image_size
from harray.poses.spec import PoseNetworkSpec
from harray.serving.config import ServingConfig
from harray.serving.protocol import Malformed, decode_jpeg
from harray.tracking.registry import resolve_model
from harray.videos.decoding import Video, VideoError

_log = logging.getLogger(__name__)
KEPT_MODELS = 3  # the one that leaves, the one that comes, and the shadow
SCENE_PX = 256  # a frame's longer side that serves the scene network
SURVEY_SEC = 20.0  # for reading a video's packets


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a stream and its page must know of a model; plain values."""

    classes: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    traits: ModelTraits
    frame_px: int  # longer side beyond which frames serve no network
    keypoints_shape: tuple[int, ...]  # [people, frames, joints, coordinates + 1]
    poses: PosesConfig | None  # None: it learned from imported skeletons
    sees_videos: bool  # False: it learned from imported skeletons, and takes keypoints only


@dataclass(frozen=True, kw_only=True)
class FrameJob:
    """One frame of some stream."""

    model: str
    jpeg: bytes
    time_sec: float
    wants_scene: bool


class Model:
    """One loaded model."""

    def __init__(self, predictor: Predictor, live: LiveConfig):
        self.predictor = predictor
        self.live = live
        self.frames = FrameNetworks(predictor.extractor).load() if predictor.checkpoint.provenance else None

    def facts(self) -> Facts:
        checkpoint = self.predictor.checkpoint
        traits = ModelTraits.of(checkpoint, self.live)
        size = 0 if self.frames is None else pose_image_size(self.frames.extractor.config.poses)
        people, frames, joints, coordinates = checkpoint.network.shape
        return Facts(
            classes=tuple(checkpoint.classes),
            bones=tuple((int(a), int(b)) for a, b in checkpoint.skeleton.bones),
            traits=traits,
            frame_px=max(size, SCENE_PX if traits.num_scene_frames else 0),
            keypoints_shape=(people, frames, joints, coordinates + 1),
            poses=None if self.frames is None else self.frames.extractor.config.poses,
            sees_videos=self.frames is not None,
        )


class ModelPool:
    """Loads models as they are named, and keeps the last few. May be used from several threads."""

    def __init__(self, config: ServingConfig, num_threads: int | None = None):
        self.config = config
        self.num_threads = num_threads
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._lock, self._loading = threading.Lock(), threading.Lock()

    def load(self, name: str) -> Facts:
        """Make a model ready.

        Raises:
            InputError: no such model, or its weights are not to be had.
        """
        return self.model(name).facts()

    def model(self, name: str) -> Model:
        """A model, loaded if need be; others go on working meanwhile."""
        if (model := self._loaded(name)) is not None:
            return model
        with self._loading:
            if (model := self._loaded(name)) is not None:  # by another thread, while this one waited
                return model
            folder = resolve_model(name, self.config.tracking_uri)
            model = Model(Predictor.load(folder, num_threads=self.num_threads), self.config.live)
            with self._lock:
                self._models[name] = model
                while len(self._models) > KEPT_MODELS:
                    self._models.popitem(last=False)
            return model

    def _loaded(self, name: str) -> Model | None:
        with self._lock:
            if name in self._models:
                self._models.move_to_end(name)
            return self._models.get(name)

    def see(self, jobs: Sequence[FrameJob]) -> list[SeenFrame | Malformed]:
        """Frames of any streams, in their order; a frame that is none takes no other with it."""
        said: list[SeenFrame | Malformed | None] = [None] * len(jobs)
        pictures: dict[str, dict[int, Picture]] = {}
        for place, job in enumerate(jobs):
            try:
                image = decode_jpeg(job.jpeg, self.config.limits.max_frame_px)
            except Malformed as error:
                said[place] = error
                continue
            picture = Picture(rgb_HWC=image, time_sec=job.time_sec, wants_scene=job.wants_scene)
            pictures.setdefault(job.model, {})[place] = picture
        for name, of_model in pictures.items():
            networks = self.model(name).frames
            if networks is None:
                error = Malformed("model", "this model learned from imported skeletons and sees no pictures")
                said = [error if place in of_model else each for place, each in enumerate(said)]
                continue
            for place, seen in zip(of_model, networks.see(list(of_model.values())), strict=True):
                said[place] = seen
        return [each for each in said if each is not None]

    def decide_all(self, jobs: Sequence[tuple[str, Sequence[Window]]]) -> list[list[Prediction]]:
        """What the named models say of windows of any streams, in one batch a model; in the jobs' order.

        A job whose model fails gets nothing.
        """
        said: list[list[Prediction]] = [[] for _ in jobs]
        for name in dict.fromkeys(name for name, _ in jobs):
            of_model = [
                (place, window)
                for place, (each, windows) in enumerate(jobs)
                if each == name
                for window in windows
            ]
            try:
                predictions = decide(self.model(name).predictor, [window for _, window in of_model])
            except Exception:  # a shadow that fails must not take the first model's decisions with it
                _log.exception("%s did not decide", name)
                continue
            for (place, _), prediction in zip(of_model, predictions, strict=True):
                said[place].append(prediction)
        return said

    def pose_network(self, name: str) -> bytes:
        """The pose network as an ONNX model: uint8 RGB [frames, height, width, 3], sides multiples of 32.

        Raises:
            InputError: the model sees no pictures, or its network cannot be exported.
        """
        networks = self.model(name).frames
        if networks is None:
            raise InputError("this model learned from imported skeletons and sees no pictures")
        return exported(PoseNetworkSpec(networks.extractor.config.poses), ONNX)

    def predict_video(self, name: str, content: bytes) -> dict[str, Any]:
        """An entry as `harray predict` gives it, with all classes, and `segments` as `harray timeline` finds them;
        `error` where the video cannot be read.

        A video that is too long has `refused` too.
        """
        predictor = self.model(name).predictor
        with _file_of(content) as path:
            if (seconds := _duration_sec(path)) > self.config.limits.max_upload_sec:
                limit = self.config.limits.max_upload_sec
                return {
                    "error": f"found a video of {seconds:.0f} s, expected at most {limit:g} s",
                    "refused": True,
                }
            precision = self.config.live.min_precision
            task = VideoTask(video=str(path), top=len(predictor.classes), min_precision=precision)
            entry = video_entry(predictor, task)
            if "top" in entry:
                found = timeline(predictor, path, TimelineConfig(min_precision=precision))
                entry["segments"] = [segment.to_json() for segment in found]
        return {key: value for key, value in entry.items() if key != "video"}

    def predict_keypoints(
        self, name: str, keypoints_PTKC1: np.ndarray, height_px: int, width_px: int
    ) -> dict[str, Any]:
        """The same of keypoints.

        Raises:
            InputError: another shape than the model's.
        """
        predictor = self.model(name).predictor
        return said_of(
            predictor.predict_keypoints(keypoints_PTKC1, height_px, width_px), len(predictor.classes)
        )


@contextlib.contextmanager
def _file_of(content: bytes) -> Generator[Path]:
    """A path to read the content from; gone afterwards, on Linux even where the process dies."""
    if os.path.isdir("/proc/self/fd"):
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def _duration_sec(path: Path) -> float:
    """By the packets' times, without decoding; 0 where it cannot be told, which the extraction will explain."""
    try:
        timeline = Video(path, SURVEY_SEC).survey.timeline
    except VideoError:
        return 0.0
    return float(timeline.time_sec_N[-1] + timeline.frame_sec) if len(timeline.time_sec_N) else 0.0
