"""A model that tells three rendered actions apart, trained within seconds, and clips of actors it has not seen."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from harray.config import with_overrides
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import ClipExtractor, keypoints_shape
from harray.extraction.provenance import Provenance
from harray.model.config import ModelConfig
from harray.store import FeatureStore, StoreSettings
from harray.synth.clips import ClipSpec, clip_specs, num_frames, render_clip
from harray.synth.config import FPS, SynthConfig
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import TrainingRequest, train_store
from harray.videos.frames import Frames, uniform_indices

LABELS = ("jumping_jacks", "lift_box", "jog_street")
EXTRACTION = with_overrides(ExtractionConfig(), {"poses.weights": "embedded", "scenes.weights": "none"})
SMALL = {"pcm.hidden_size": 16, "pcm.refine_size": 16, "mme.width": 32, "mme.num_blocks": 1}
CLIPS_PER_ACTION = 8


def specs_of(labels: tuple[str, ...], seed: int, count: int) -> list[ClipSpec]:
    """Clips of one person each, nothing before them."""
    config = SynthConfig(
        clips_per_action=count, num_actors=count, seed=seed, occluder_share=0.0, second_person_share=0.0
    )
    return [spec for spec in clip_specs(config) if spec.label in labels]


def little_checkpoint(folder: Path, labels: tuple[str, ...] = LABELS, seed: int = 7) -> Path:
    """A checkpoint folder, looking at poses alone."""
    rows, features = [], []
    extractor = ClipExtractor(EXTRACTION, num_threads=1)
    for number, spec in enumerate(specs_of(labels, seed, CLIPS_PER_ACTION)):
        index_T = uniform_indices(num_frames(spec), EXTRACTION.videos.num_frames)
        rgb_THWC, _ = render_clip(spec, index_T.tolist())
        frames = Frames(
            rgb_THWC=rgb_THWC,
            index_T=index_T,
            time_sec_T=index_T / FPS,
            height_px=rgb_THWC.shape[1],
            width_px=rgb_THWC.shape[2],
            fps=FPS,
            num_source_frames=num_frames(spec),
        )
        features.append(extractor.extract_frames(frames).row(f"c{number}"))
        rows.append(
            {"path": f"/{number}.mp4", "label": spec.label, "clip_id": f"c{number}", "splits": ["train"]}
        )
    settings = StoreSettings(
        skeleton="coco17",
        keypoints_shape=keypoints_shape(EXTRACTION),
        scene_shape=None,
        provenance=Provenance.of(EXTRACTION),
    )
    store = FeatureStore.create(folder / "store", settings)
    store.write_shard(features)
    store.append_ledger([{**row, "status": "extracted"} for row in rows])
    training = TrainingConfig(num_epochs=40, batch_size=8, device="cpu", val_share=0.0)
    learning = LearningConfig(model=with_overrides(ModelConfig(), SMALL), training=training)
    return train_store(
        TrainingRequest(store=store.path, out=folder / "checkpoint", learning=learning)
    ).checkpoint


def frames_of(label: str, seed: int = 99) -> np.ndarray:
    """uint8 RGB [T, 240, 320, 3] of an actor that no little model has seen."""
    return render_clip(specs_of((label,), seed, 3)[0])[0]


def jpegs_of(frames_THWC: np.ndarray) -> list[bytes]:
    return [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in frames_THWC]


def looped(jpegs: list[bytes], count: int) -> Iterator[bytes]:
    """Forwards and backwards, so that nobody jumps."""
    there_and_back = [*jpegs, *jpegs[-2:0:-1]]
    for number in range(count):
        yield there_and_back[number % len(there_and_back)]


def write_mjpeg(path: Path, frames_THWC: np.ndarray) -> Path:
    """A clip as Chromium's fake camera takes it; the camera plays it in a loop."""
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=round(FPS))
        stream.width, stream.height, stream.pix_fmt = frames_THWC.shape[2], frames_THWC.shape[1], "yuvj420p"
        for frame in [*frames_THWC, *frames_THWC[-2:0:-1]]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path
