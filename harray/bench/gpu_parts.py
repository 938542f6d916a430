"""The parts of `bench gpu`, each in a process of its own, warm before the clock starts."""

import dataclasses
import functools
import itertools
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from harray.bench.training_ways import first_loss
from harray.bench.workers import WARM_UP_PASSES, forward_seconds
from harray.extraction.config import ExtractionConfig, needed_pictures
from harray.extraction.extractor import ClipExtractor
from harray.extraction.reader import clip_frames
from harray.networks.backends import TORCH
from harray.networks.precision import FP32
from harray.networks.runtimes import TorchNetwork
from harray.poses.detector import FrameDetections, PoseDetector
from harray.poses.letterbox import fit, letterbox_for
from harray.scenes.config import NONE
from harray.scenes.encoder import SceneEncoder
from harray.synth.samples import sample_frames
from harray.training.run import TrainingRequest
from harray.videos.decoding import Video
from harray.videos.frames import Frames

NEARLY = 0.85  # of the slower of two rates: what is as slow as that is limited by it
NUM_COMPARED = 6  # frames on which the CPU and the device are compared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extracting:
    """Clips/s, and what keeps extraction from more."""

    extraction: float
    decoding: float  # alone, with the same threads
    networks: float  # alone, on inputs that lie ready
    limited_by: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the device's answers are from the CPU's; None where there is nothing to compare."""

    num_people: int  # whom the CPU finds
    num_missed: int  # of them by the device
    joint_distance: float | None  # median, of the box height
    token_difference: float | None  # mean, of the mean token
    loss_difference: float  # of a first training step's loss, relative


def device_name(device: str) -> tuple[str, str]:
    """The card's or the processor's name, empty where there is no GPU and one is asked for; and torch's version."""
    if device == "cpu":
        return platform.processor() or platform.machine(), torch.__version__
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "", torch.__version__


def pose_rates(config: ExtractionConfig, device: str, batch_size: int, num_passes: int) -> dict[str, float]:
    """Frames/s of the detector, and of its network alone on a batch that lies ready on the device."""
    detector = PoseDetector(dataclasses.replace(config.poses, batch_size=batch_size), device)
    frames = sample_frames(1).repeat(batch_size, axis=0)
    ready = fit(frames, letterbox_for(*frames.shape[1:3], detector.image_size))
    network = detector.network
    alone: Callable[[], object] = functools.partial(network, ready)
    if isinstance(network, TorchNetwork):
        module, on_device = network.module, torch.from_numpy(ready).to(device)

        def alone() -> object:
            with torch.inference_mode():
                return module(on_device)

    return {
        "detector": batch_size * num_passes / _seconds(lambda: detector.detect(frames), num_passes, device),
        "network": batch_size * num_passes / _seconds(alone, num_passes, device),
    }


def extraction_rates(config: ExtractionConfig, device: str, num_threads: int, paths: list[str]) -> Extracting:
    """Extraction by one process whose videos are read ahead by so many threads."""
    extractor = ClipExtractor(config, device).load()
    [first] = _read(config, paths[0])
    extractor.extract_frames(first)
    rates = {}
    for name, work in (("decoding", lambda frames: None), ("extraction", extractor.extract_frames)):
        started = time.perf_counter()
        for frames in _read_ahead(config, paths, num_threads):
            work(frames)
        rates[name] = len(paths) / (time.perf_counter() - started)
    sizes = [first.rgb_THWC.shape[1:3]] * len(paths)
    rates["networks"] = len(paths) / forward_seconds(config, device, torch.get_num_threads(), sizes)
    return Extracting(**rates, limited_by=limit_of(**rates))


def limit_of(extraction: float, decoding: float, networks: float) -> str:
    """`decoding` or `networks` where extraction is about as fast as that alone, else what lies between them.

    >>> limit_of(extraction=9.0, decoding=10.0, networks=50.0)
    'decoding'
    """
    slower, name = min((decoding, "decoding"), (networks, "networks"))
    return name if extraction >= NEARLY * slower else "the work between decoding and networks"


def actor_clips(config: ExtractionConfig, device: str, paths: list[str]) -> int:
    """Extract them as one of several processes on the device; returns their number."""
    extractor = _extractor(config, device)
    for frames in _read_ahead(config, paths, 1):
        extractor.extract_frames(frames)
    return len(paths)


def agreement(config: ExtractionConfig, request: TrainingRequest, device: str) -> Agreement:
    """The same frames and the same training step on the CPU by torch, and on the device."""
    frames = sample_frames(NUM_COMPARED)
    exact = {"backend": TORCH, "precision": FP32}
    here = PoseDetector(dataclasses.replace(config.poses, **exact)).detect(frames)
    there = PoseDetector(dataclasses.replace(config.poses, backend=TORCH), device).detect(frames)
    distances = [
        _apart(person, found) for found, wanted in zip(there, here, strict=True) for person in _people(wanted)
    ]
    near = [distance for distance in distances if distance is not None]
    tokens = None
    if config.scenes.weights != NONE:
        wanted = SceneEncoder(dataclasses.replace(config.scenes, **exact)).encode(frames).astype(np.float32)
        scenes = dataclasses.replace(config.scenes, backend=TORCH)
        found = SceneEncoder(scenes, device).encode(frames).astype(np.float32)
        tokens = float(np.abs(found - wanted).mean() / wanted.mean())
    losses = [first_loss(request, where) for where in ("cpu", device)]
    return Agreement(
        num_people=len(distances),
        num_missed=len(distances) - len(near),
        joint_distance=float(np.median(near)) if near else None,
        token_difference=tokens,
        loss_difference=abs(losses[1] - losses[0]) / abs(losses[0]),
    )


def _people(found: FrameDetections) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Box and keypoints of each person."""
    yield from zip(found.boxes_N4, found.keypoints_NKC1, strict=True)


def _apart(person: tuple[np.ndarray, np.ndarray], found: FrameDetections) -> float | None:
    """Median distance of the joints from the nearest person found, in box heights; None where nobody is near."""
    box_4, joints_KC1 = person
    height = box_4[3] - box_4[1]
    medians = [
        float(np.median(np.linalg.norm(other[:, :2] - joints_KC1[:, :2], axis=1))) / height
        for _, other in _people(found)
    ]
    nearest = min(medians, default=1.0)
    return nearest if nearest < 0.5 else None


@functools.cache
def _extractor(config: ExtractionConfig, device: str) -> ClipExtractor:
    return ClipExtractor(config, device, 1 if device == "cpu" else None).load()


def _read_ahead(config: ExtractionConfig, paths: Iterable[str], num_threads: int) -> Iterator[Frames]:
    """Clips in order, read by so many threads, each at most two clips ahead."""
    with ThreadPoolExecutor(num_threads) as pool:
        left, reading = iter(paths), deque[Future[list[Frames]]]()
        while True:
            for path in itertools.islice(left, 2 * num_threads - len(reading)):
                reading.append(pool.submit(_read, config, path))
            if not reading:
                return
            yield from reading.popleft().result()


def _read(config: ExtractionConfig, path: str) -> list[Frames]:
    video = Video(Path(path), config.videos.limit_sec)
    return list(clip_frames(video, config.videos, needed_pictures(config)))


def _seconds(call: Callable[[], object], times: int, device: str) -> float:
    for _ in range(WARM_UP_PASSES):
        call()
    _wait_for(device)
    started = time.perf_counter()
    for _ in range(times):
        call()
    _wait_for(device)
    return time.perf_counter() - started


def _wait_for(device: str) -> None:
    """A GPU is still at work when a call returns."""
    if device != "cpu":
        torch.cuda.synchronize()
