"""Trains on features four times the memory that training is given, and on the same ones in memory.

    python tests/training/larger_than_memory.py --limit-mb 256

Writes a store of random scene tokens and keypoints, trains in a process whose anonymous memory is limited
(`RLIMIT_DATA`: the heap and private mappings; pages of mapped files do not count) to what the loaded libraries take
and so much more, then in one without a limit, and prints how much longer an epoch takes and the largest difference
between the weights.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

import numpy as np

PEOPLE, FRAMES, JOINTS, SCENE = 1, 16, 17, (1, 49, 2048)
NUM_CLASSES, NUM_EPOCHS, SHARD_CLIPS = 4, 2, 64
MB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit-mb", type=int, default=256, help="memory that training is given")
    parser.add_argument("--times", type=float, default=4.0, help="features, as a multiple of it")
    asked = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_STACK, (MB, resource.getrlimit(resource.RLIMIT_STACK)[1])
    )  # of each thread
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARRAY_CACHE"] = f"{folder}/cache"
        os.environ |= {
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "1",
        }  # reserve nothing unused
        num_clips = make_store(Path(folder), asked.times * asked.limit_mb * MB)
        taken = {}
        for way, limit in (("mapped", asked.limit_mb * MB), ("memory", None)):
            with multiprocessing.get_context("spawn").Pool(1) as process:
                taken[way] = process.apply(train, (Path(folder), way, limit))
            print(way, json.dumps(taken[way]), flush=True)
        difference = largest_difference(Path(folder))
    print(
        f"{num_clips} clips, {asked.times:g} times the {asked.limit_mb} MB that training was given: an epoch takes "
        f"{taken['mapped']['epoch_sec'] / taken['memory']['epoch_sec']:.2f} times as long as in memory; weights "
        f"differ by {difference:g}"
    )


def make_store(folder: Path, num_bytes: float) -> int:
    """How many clips it has."""
    from harray.schema import EXTRACTED
    from harray.store import FeatureStore, StoreSettings

    settings = StoreSettings(
        skeleton="coco17", keypoints_shape=(PEOPLE, FRAMES, JOINTS, 3), scene_shape=SCENE
    )
    store, random = FeatureStore.create(folder / "store", settings), np.random.default_rng(0)
    num_clips = int(num_bytes / settings.clip_bytes)
    for first in range(0, num_clips, SHARD_CLIPS):
        numbers = range(first, min(first + SHARD_CLIPS, num_clips))
        store.write_shard([clip(number, random) for number in numbers])
        store.append_ledger(
            {
                "path": f"/{number:06d}",
                "label": f"action {number % NUM_CLASSES}",
                "group": f"actor {number // NUM_CLASSES % 10}",
                "splits": ["train"],
                "clip_id": f"{number:024x}",
                "status": EXTRACTED,
            }
            for number in numbers
        )
    return num_clips


def clip(number: int, random: np.random.Generator) -> dict:
    return {
        "clip_id": f"{number:024x}",
        "frame_index": range(FRAMES),
        "frame_sec": np.arange(FRAMES) / 10,
        "height_px": 240,
        "width_px": 320,
        "keypoints": random.random((PEOPLE, FRAMES, JOINTS, 3), np.float32),
        "scene_tokens": random.random(SCENE, np.float32).astype(np.float16),
    }


def train(folder: Path, way: str, limit: int | None) -> dict[str, float]:
    """Seconds an epoch, the median of all but the first, and the most anonymous memory that there was."""
    from harray.training.config import LearningConfig, TrainingConfig
    from harray.training.run import TrainingRequest, train_store
    from tests.toys import TINY_MODEL

    if limit is not None:
        allowed = int(data_mb() * MB) + limit
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    training = TrainingConfig(
        num_epochs=NUM_EPOCHS, batch_size=16, device="cpu", memory_share=1.0 if limit is None else 0.25
    )
    request = TrainingRequest(
        store=folder / "store",
        out=folder / way,
        learning=LearningConfig(model=TINY_MODEL, training=training),
    )
    result = train_store(request)
    return {
        "epoch_sec": float(np.median([report.seconds for report in result.history[1:]])),
        "train_sec": result.train_sec,
        "anonymous_mb": data_mb(),
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def data_mb() -> float:
    """What counts against `RLIMIT_DATA` now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData")) / 1024


def largest_difference(folder: Path) -> float:
    from harray.training.checkpoint import load_checkpoint

    one, other = (load_checkpoint(folder / way).network.state_dict() for way in ("mapped", "memory"))
    return max(
        float((one[name].double() - other[name].double()).abs().max()) for name in one if one[name].numel()
    )


if __name__ == "__main__":
    main()
