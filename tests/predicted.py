"""A model that predicts videos within a second, untrained, and videos for it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harray.config import with_overrides
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import keypoints_shape
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.skeleton import layout_named
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import HEIGHT_PX, WIDTH_PX, write_video
from harray.training.checkpoint import Checkpoint, save_checkpoint

EXTRACTION = with_overrides(
    ExtractionConfig(), {"poses.weights": "embedded", "scenes.weights": "none", "videos.num_frames": 4}
)


def untrained_checkpoint(folder: Path, classes: Sequence[str] = ("run", "sit", "wave")) -> Path:
    """A checkpoint folder of a network that looks at poses alone, by the embedded pose network."""
    people, frames, joints, columns = keypoints_shape(EXTRACTION)
    skeleton = layout_named("coco17")
    shape = {"num_people": people, "num_frames": frames, "num_joints": joints, "num_coordinates": columns - 1}
    network = FusionNetwork(
        ModelConfig(), **shape, scene_dim=None, num_classes=len(classes), bones=skeleton.bones
    )
    saved = Checkpoint(
        network=network,
        features=FeaturesConfig(),
        classes=tuple(classes),
        skeleton=skeleton,
        scene_grid=None,
        store_digest="",
        provenance=Provenance.of(EXTRACTION),
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
