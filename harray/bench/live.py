"""How fast a stream is recognised: latency at a film's own speed, the rate beside ultralytics' own loop, memory.

The fusion model is untrained, which costs the same; the pose network is the one that is named, for both ways.
"""

import contextlib
import math
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import SKELETON, keypoints_shape
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.inference import Predictor
from harray.live.recogniser import Recogniser
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.poses.config import PosesConfig
from harray.poses.detector import pose_image_size
from harray.poses.weights import load_pose_model, prepare_ultralytics
from harray.reporting import SILENT, Reporter
from harray.skeleton import layout_named
from harray.training.checkpoint import Checkpoint
from harray.videos.decoding import Video, VideoError

NUM_CLASSES = 12
LOOK_SEC = 10.0  # how often memory is looked at


@dataclass(frozen=True, kw_only=True)
class LiveBench:
    """What was measured."""

    own_speed: dict[str, Any]  # `Summary.to_json` of the film at its own speed
    frames_per_sec: dict[str, float]  # harray, and yolo_track: as fast as it goes, the median of the rounds
    ratio: float  # of the two
    memory_mb: dict[str, float]  # resident at its own speed: `first` (after the warm-up), `most`, `last`

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def bench_live(
    video: Path,
    extraction: ExtractionConfig,
    *,
    seconds: float = 20.0,
    rounds: int = 3,
    reporter: Reporter = SILENT,
) -> LiveBench:
    """Measure on one film, which is played again and again.

    Args:
        seconds: of playing it at its own speed, again and again.
        rounds: in which the two ways take turns at the whole film as fast as it goes.

    Raises:
        InputError: a film that cannot be read, or weights that are missing.
    """
    recogniser = Recogniser(untrained(extraction))
    own, memory_mb = own_speed(recogniser, video, seconds, reporter)
    track = yolo_track(extraction.poses)
    rates: dict[str, list[float]] = {"harray": [], "yolo_track": []}
    for _ in range(rounds):
        rates["harray"].append(_rate(lambda: recogniser.watch(str(video), own_speed=False)))
        rates["yolo_track"].append(_rate(lambda: track(video)))
        reporter.say(
            f"as fast as it goes: {', '.join(f'{k} {v[-1]:.1f} frames/s' for k, v in rates.items())}"
        )
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    return LiveBench(
        own_speed=own,
        frames_per_sec=medians,
        ratio=medians["harray"] / medians["yolo_track"],
        memory_mb=memory_mb,
    )


def own_speed(
    recogniser: Recogniser, video: Path, seconds: float, reporter: Reporter = SILENT
) -> tuple[dict[str, Any], dict[str, float]]:
    """Watch a film at its own speed, over and over as one stream, each time a shot; the summary, and memory in MB."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(math.ceil(seconds / _length_sec(video))):
            (Path(name) / f"{number:06d}{video.suffix}").symlink_to(video.absolute())
        started, held_mb, looked_sec = time.monotonic(), list[float](), 0.0
        with contextlib.closing(recogniser.watch(name)) as steps:
            for _ in steps:
                passed_sec = time.monotonic() - started
                if passed_sec - looked_sec >= min(LOOK_SEC, seconds / 2):
                    looked_sec = passed_sec
                    held_mb.append(_resident_mb())
                    found = recogniser.summary
                    reporter.say(
                        f"own speed: {passed_sec:.0f} s, {found.num_frames} frames, {found.num_skipped} skipped, "
                        f"{held_mb[-1]:.0f} MB"
                    )
                if passed_sec >= seconds:
                    break
    held_mb.append(_resident_mb())
    return recogniser.summary.to_json(), {"first": held_mb[0], "most": max(held_mb), "last": held_mb[-1]}


def _length_sec(video: Path) -> float:
    try:
        timeline = Video(video).survey.timeline
    except VideoError as error:
        raise InputError(f"{video}: {error.stage}: {error}") from error
    return max(0.1, float(timeline.shown_sec_N[-1]) + timeline.frame_sec)


def untrained(extraction: ExtractionConfig) -> Predictor:
    """A predictor whose fusion network learned nothing."""
    people, frames, joints, columns = keypoints_shape(extraction)
    skeleton = layout_named(SKELETON)
    network = FusionNetwork(
        ModelConfig(),
        num_people=people,
        num_frames=frames,
        num_joints=joints,
        num_coordinates=columns - 1,
        bones=skeleton.bones,
        scene_dim=None,
        num_classes=NUM_CLASSES,
    )
    checkpoint = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=tuple(f"action {number}" for number in range(NUM_CLASSES)),
        skeleton=skeleton,
        scene_grid=None,
        store_digest="",
        provenance=Provenance.of(extraction),
        num_people=1,
    )
    overrides = {f"poses.{name}": getattr(extraction.poses, name) for name in ("backend", "precision")}
    return Predictor(checkpoint, overrides)


def yolo_track(config: PosesConfig) -> Callable[[Path], Iterator[Any]]:
    """A function from a film to `YOLO.track`'s results, frame by frame, as its documentation shows the loop."""
    prepare_ultralytics()
    sys.modules.setdefault("lap", _lap())
    from ultralytics import YOLO

    yolo: Any = YOLO("yolov8n-pose.yaml", task="pose")  # a frame for the network, which our reader loads
    yolo.model = load_pose_model(config.weights)
    size, confidence = pose_image_size(config), config.min_box_confidence

    def track(video: Path) -> Iterator[Any]:
        import cv2

        film = cv2.VideoCapture(str(video))
        while (read := film.read())[0]:
            yield yolo.track(read[1], persist=True, imgsz=size, conf=confidence, verbose=False)[0]
        film.release()

    return track


def _lap() -> types.ModuleType:
    """What ultralytics' trackers take from the package lap, by scipy, for where that is not installed."""
    from scipy.optimize import linear_sum_assignment

    def lapjv(cost: np.ndarray, extend_cost: bool, cost_limit: float) -> tuple[float, np.ndarray, np.ndarray]:
        x, y = np.full(cost.shape[0], -1), np.full(cost.shape[1], -1)
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] <= cost_limit:
                x[i], y[j] = j, i
        return 0.0, x, y

    module = types.ModuleType("lap")
    vars(module).update(__version__="0.5.12", lapjv=lapjv)
    return module


def _rate(frames: Callable[[], Iterator[Any]]) -> float:
    """Frames per second after the first."""
    times = [time.perf_counter() for _ in frames()]
    if len(times) < 10:
        raise InputError(f"found {len(times)} frames, expected at least 10 to measure; name a longer film")
    return (len(times) - 1) / (times[-1] - times[0])


def _resident_mb() -> float:
    return round(psutil.Process().memory_info().rss / (1 << 20), 1)
