"""What answering one clip costs: time, with several models in turn, and peak memory, each in a process of its own."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from harray.features.tensors import ClipTensors, clips_from_arrays
from harray.inference.predictor import Predictor

ROUNDS, MOST_SEC, FEWEST_ROUNDS = 100, 10.0, 20
WARM_UP = 3


def latencies_ms(asked: Sequence[tuple[Predictor, ClipTensors]]) -> list[np.ndarray]:
    """Times of single clips for each predictor, in turn and in alternating order, so that what else the machine does
    hits all of them alike. Stops after `ROUNDS` clips or `MOST_SEC`, not before `FEWEST_ROUNDS`.

    Args:
        asked: each predictor with the clips that it is asked, of which there may be less than rounds.
    """
    taken: list[list[float]] = [[] for _ in asked]
    started = time.perf_counter()
    for number in range(-WARM_UP, ROUNDS):
        order = range(len(asked)) if number % 2 else reversed(range(len(asked)))
        for place in order:
            predictor, clips = asked[place]
            clip = clips.select([number % len(clips)])
            before = time.perf_counter()
            predictor.predict_clips(clip)  # ends on the CPU, so the GPU is done
            if number >= 0:
                taken[place].append(1000 * (time.perf_counter() - before))
        if number + 1 >= FEWEST_ROUNDS and time.perf_counter() - started > MOST_SEC:
            break
    return [np.array(times) for times in taken]


def peak_memory_mb(checkpoint: Path) -> float:
    """Peak memory, MiB, of a fresh process that loads a checkpoint and answers one clip: of the card where there is a
    GPU, else of the process, Python and torch included."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_peak_here, str(checkpoint)).result()


def _peak_here(checkpoint: str) -> float:
    predictor = Predictor.load(checkpoint)
    predictor.predict_clips(blank_clip(predictor))
    if predictor.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def blank_clip(predictor: Predictor) -> ClipTensors:
    """A clip of the model's shape: somebody who stands still before a blank scene."""
    kept = predictor.checkpoint
    people, frames, joints, coordinates = predictor.network.shape
    keypoints = np.ones((1, people, frames, joints, coordinates + 1), np.float32)
    keypoints[..., :-1] = np.random.default_rng(0).uniform(0, 100, (joints, coordinates))
    tokens = None
    if kept.scene_grid is not None and predictor.network.scene_dim is not None:
        num_frames, grid = kept.scene_grid
        tokens = np.zeros((1, num_frames, grid * grid, predictor.network.scene_dim), np.float16)
    return clips_from_arrays(
        keypoints,
        skeleton=kept.skeleton,
        scene_tokens_NFSD=tokens,
        frame_size_N2=np.array([[100, 100]]),
        classes=kept.classes,
    )
