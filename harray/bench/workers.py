"""What the measurements run in processes of their own, warm before the clock starts.

Every function returns seconds; what it needs is loaded at its first call in a process and kept.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import ClipExtractor
from harray.poses.letterbox import letterbox_for

NOTEBOOK, BATCHED = "notebook", "ultralytics_batched"
WARM_UP_PASSES = 2


def baseline_seconds(way: str, config: ExtractionConfig, paths: list[str]) -> float:
    """Poses of these videos by one of ultralytics' ways, on all cores."""
    keypoints_of = _baseline(way, config)
    keypoints_of(Path(paths[0]))
    started = time.perf_counter()
    for path in paths:
        keypoints_of(Path(path))
    return time.perf_counter() - started


def forward_seconds(
    config: ExtractionConfig, device: str, num_threads: int, frames_hw: list[tuple[int, int]]
) -> float:
    """The networks' passes for clips whose frames have these heights and widths, on inputs that lie ready."""
    passes = [
        run for height_width in frames_hw for run in _passes(config, device, num_threads, *height_width)
    ]
    for run in passes[:WARM_UP_PASSES]:
        run()
    started = time.perf_counter()
    for run in passes:
        run()
    return time.perf_counter() - started


@functools.cache
def _baseline(way: str, config: ExtractionConfig) -> Callable[[Path], np.ndarray]:
    from harray.bench.pose_baselines import batched_baseline, notebook_baseline

    make = {NOTEBOOK: notebook_baseline, BATCHED: batched_baseline}[way]
    return make(config.poses, config.videos.num_frames)


@functools.cache
def _extractor(config: ExtractionConfig, device: str, num_threads: int) -> ClipExtractor:
    return ClipExtractor(config, device, num_threads).load()


@functools.cache
def _passes(
    config: ExtractionConfig, device: str, num_threads: int, height: int, width: int
) -> list[Callable[[], object]]:
    """The passes of one clip, in the batches that extraction makes of it."""
    extractor = _extractor(config, device, num_threads)
    random = np.random.default_rng(0)

    def batches(num_frames: int, batch_size: int, input_hw: tuple[int, int]) -> list[np.ndarray]:
        images = random.integers(0, 256, (num_frames, *input_hw, 3), dtype=np.uint8)
        return [images[start : start + batch_size] for start in range(0, num_frames, batch_size)]

    poses, scenes = extractor.poses, extractor.scenes
    box = letterbox_for(height, width, poses.image_size)
    frames = batches(config.videos.num_frames, config.poses.batch_size, box.input_hw)
    passes: list[Callable[[], object]] = [
        functools.partial(_on_host, poses.network, batch) for batch in frames
    ]
    if scenes is not None:
        side = config.scenes.image_size, config.scenes.image_size
        frames = batches(config.scenes.num_frames, config.scenes.batch_size, side)
        passes += [functools.partial(_on_host, scenes.network, batch) for batch in frames]
    return passes


def _on_host(network: Callable, batch: np.ndarray) -> None:
    """A pass until its output can be read: a GPU is still at work when the call returns."""
    output = network(batch)
    output[..., :1].sum().item()
