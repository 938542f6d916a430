"""Toys that whole tests share: stores that can be learned from within seconds, models that predict at once, videos."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harray.config import with_overrides
from harray.experiment import ExperimentConfig
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import clip_scene_shape, keypoints_shape
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import layout_named
from harray.store import FeatureStore, StoreSettings
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import HEIGHT_PX, WIDTH_PX, write_video
from harray.training.checkpoint import Checkpoint, save_checkpoint

TINY_SIZES = {
    "pcm.hidden_size": 8,
    "pcm.refine_size": 8,
    "mme.width": 16,
    "mme.num_blocks": 1,
    "cfn.width": 8,
}
TINY_MODEL = with_overrides(ModelConfig(), TINY_SIZES)
TINY = {f"model.{key}": size for key, size in TINY_SIZES.items()} | {"training.device": "cpu"}
LEARNS_AT_ONCE = {  # a dozen steps have to teach something
    "model.mme.distances": False,
    "features.augmentation.enabled": False,
    "training.average_decay": 0.5,
    "training.num_epochs": 6,
    "training.batch_size": 8,
}
LABELS = ("up", "down")


def arm_store(
    path: Path, rows: Iterable[Mapping[str, Any]], *, scene: bool = True, **settings: Any
) -> FeatureStore:
    """An arm goes down in the first clip, up in the next and so on, before a scene that says nothing.

    Args:
        rows: a clip each: its path, and what else the ledger is to say of it.
        settings: of the store, beside its shapes.
    """
    shapes: dict[str, Any] = {"keypoints_shape": (1, 8, 13, 3), "scene_shape": (1, 4, 6) if scene else None}
    store = FeatureStore.create(path, StoreSettings(skeleton="penn13", **shapes, **settings))
    rng = np.random.default_rng(0)
    features, ledger = [], []
    for number, row in enumerate(rows):
        keypoints = rng.normal(0, 1, (1, 8, 13, 3)) + np.linspace(0, 100, 13)[:, None]
        keypoints[0, :, 5, 1] += np.linspace(0, 60, 8) * (1 if number % 2 else -1)
        keypoints[..., 2] = 1.0
        clip = {"clip_id": Path(row["path"]).stem, "frame_index": range(8), "frame_sec": np.arange(8.0)}
        clip |= {"height_px": 100, "width_px": 100, "keypoints": keypoints}
        features.append(clip | ({"scene_tokens": rng.normal(0, 1, (1, 4, 6))} if scene else {}))
        label = {"label": LABELS[number % 2]}
        ledger.append(label | {"clip_id": clip["clip_id"], "splits": [], "status": "extracted", **row})
    store.write_shard(features)
    store.append_ledger(ledger)
    return store


def tiny_experiment(**changes: object) -> ExperimentConfig:
    """An experiment whose trials take a second."""
    return with_overrides(ExperimentConfig(), {**TINY, **LEARNS_AT_ONCE, **changes})


def tiny_store(
    path: Path, clips_per_split: int = 12, splits: tuple[str, ...] = ("train", "val", "test")
) -> Path:
    """An arm goes up or down, by actors that no other split has."""
    rows = [
        {"path": f"/{split}-{number}.mp4", "group": f"{split}{number % 3}", "splits": [split]}
        for split in splits
        for number in range(clips_per_split)
    ]
    return arm_store(path, rows).path


EXTRACTION = with_overrides(
    ExtractionConfig(), {"poses.weights": "embedded", "scenes.weights": "none", "videos.num_frames": 4}
)


def untrained_checkpoint(
    folder: Path, classes: Sequence[str] = ("run", "sit", "wave"), *, scenes: str = "none"
) -> Path:
    """A checkpoint folder of a network that looks at poses, by the embedded pose network, and at scenes if asked to.

    Args:
        scenes: weights of the scene network; "random" looks at scenes.
    """
    extraction = with_overrides(EXTRACTION, {"scenes.weights": scenes})
    people, frames, joints, columns = keypoints_shape(extraction)
    scene_shape = clip_scene_shape(extraction)
    skeleton = layout_named("coco17")
    shape = {"num_people": people, "num_frames": frames, "num_joints": joints, "num_coordinates": columns - 1}
    network = FusionNetwork(
        ModelConfig(),
        **shape,
        scene_dim=scene_shape and scene_shape[2],
        num_classes=len(classes),
        bones=skeleton.bones,
    )
    saved = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=tuple(classes),
        skeleton=skeleton,
        scene_grid=scene_shape and (scene_shape[0], math.isqrt(scene_shape[1])),
        store_digest="",
        provenance=Provenance.of(extraction),
    )
    return save_checkpoint(saved, folder)


def video_of_somebody(path: Path) -> Path:
    """Eight frames of a rendered person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = clip_specs(SynthConfig(clips_per_action=1))[0]
    write_video(path, render_clip(spec, range(8))[0])
    return path


def video_of_nobody(path: Path) -> Path:
    """Eight grey frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, np.full((8, HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8))
    return path
