"""How fast a stream is recognised: latency at a film's own speed, the rate beside ultralytics' own loop, memory.

The fusion model is untrained, which costs the same; the pose network is the one that is named, for both ways.
"""

import resource
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

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

NUM_CLASSES = 12


@dataclass(frozen=True, kw_only=True)
class LiveBench:
    """What was measured."""

    own_speed: dict[str, Any]  # `Summary.to_json` of the film at its own speed
    frames_per_sec: dict[str, float]  # harray, and yolo_track: as fast as it goes, the median of the rounds
    ratio: float  # of the two
    peak_mb: dict[
        str, float
    ]  # most resident memory until after the first film at its own speed, and the last

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
        seconds: of playing at its own speed.
        rounds: in which the two ways take turns at the whole film as fast as it goes.

    Raises:
        InputError: a film that cannot be read, or weights that are missing.
    """
    recogniser = Recogniser(untrained(extraction))
    latencies: list[float] = []
    peaks: list[float] = []
    skipped = decisions = frames = 0
    started = time.monotonic()
    while time.monotonic() - started < seconds or not peaks:
        for _ in recogniser.watch(str(video)):
            pass
        found = recogniser.summary
        latencies += list(found.latencies_sec)
        skipped, decisions = skipped + found.num_skipped, decisions + found.num_decisions
        frames += found.num_frames
        peaks.append(_peak_mb())
        reporter.say(f"own speed: {frames} frames, {skipped} skipped")
    known = np.percentile(np.array(latencies) * 1000, [50, 95]) if latencies else (None, None)
    p50, p95 = (None if value is None else round(float(value), 1) for value in known)
    own = {"frames": frames, "skipped": skipped, "decisions": decisions}
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
        own_speed={**own, "latency_p50_ms": p50, "latency_p95_ms": p95},
        frames_per_sec=medians,
        ratio=medians["harray"] / medians["yolo_track"],
        peak_mb={"first": peaks[0], "last": peaks[-1]},
    )


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


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
