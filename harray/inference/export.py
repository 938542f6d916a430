"""A checkpoint as a folder that other programs run without harray, and without torch.

    pose     uint8 RGB frames [frames, height, width, 3] -> people of every frame, as the pose head gives them
    scene    uint8 RGB frames [frames, side, side, 3] -> scene tokens [frames, grid * grid, 2048]
    fusion   keypoints in px (and scene tokens) -> calibrated probabilities, completed keypoints
    model.json   classes, skeleton, shapes, threshold; the same stands in every file

The fusion model is compared with torch on clips with joints hidden, with nobody and with everybody, before the folder
gets its name.

Letters: N clips, P people, T frames, K joints, C coordinates, F scene frames, S scene tokens, D channels.
"""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harray.errors import InputError
from harray.features.tensors import ClipTensors
from harray.inference.fusion_form import OUTPUTS, FusionForm
from harray.inference.predictor import Predictor
from harray.inference.samples import sample_clips
from harray.networks.export import NotExportable
from harray.networks.portable import FORMATS, OPSET, Opened, Signature, traced, write
from harray.networks.precision import FP32
from harray.networks.runtimes import ONNX
from harray.poses.detector import PoseDetector, pose_image_size
from harray.poses.letterbox import GREY, STRIDE
from harray.poses.spec import PoseNetworkSpec
from harray.scenes.config import NONE, ScenesConfig
from harray.scenes.encoder import pooled
from harray.scenes.spec import SceneNetworkSpec

ABOUT_FILE = "model.json"
VERSION = 1  # raise it when programs that run a folder must change
MAX_DIFFERENCE = 1e-3  # of a probability, from torch's
NUM_TRIES = 5  # of which the fastest counts


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how it compares with torch on this machine."""

    folder: Path
    files: tuple[str, ...]
    num_clips: int  # compared
    max_difference: float  # of a probability
    clip_ms: float  # of the fusion model, in a batch
    torch_clip_ms: float

    @property
    def times_torch(self) -> float:
        """How many times as fast as torch."""
        return self.torch_clip_ms / self.clip_ms


def export(predictor: Predictor, folder: Path, file_format: str) -> Exported:
    """Write a folder; an earlier export in its place is replaced.

    Raises:
        InputError: no such format, something else stands there, weights of the pose or scene network are missing.
        NotExportable: a network cannot be exported, or the runtime's probabilities are not torch's.
    """
    if file_format not in FORMATS:
        raise InputError(f"--format {file_format}: no such format; expected {' or '.join(FORMATS)}")
    if folder.exists() and not _is_export(folder):
        raise InputError(f"{folder}: something else is there; name a folder that does not exist yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        exported = _write(predictor, part, file_format)
        shutil.rmtree(folder, ignore_errors=True)
        part.chmod(0o755)  # temporary folders are private
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return replace(exported, folder=folder)


def _is_export(folder: Path) -> bool:
    """Whether a folder holds an export and nothing else."""
    about = folder / ABOUT_FILE
    if not about.is_file() or "harray_version" not in about.read_text(errors="replace"):
        return False
    return {file.stem for file in folder.iterdir()} <= {"pose", "scene", "fusion", about.stem}


def _write(predictor: Predictor, folder: Path, file_format: str) -> Exported:
    form = FusionForm(predictor.checkpoint, has_loops=file_format == ONNX)
    about = _about(predictor, form)
    clips = sample_clips(predictor.checkpoint)
    models = {
        **_extractors(predictor),
        "fusion": (form, [x[:3] for x in form.arguments(clips)], form.signature),
    }
    files = {}
    for name, (module, samples, signature) in models.items():
        with _exportable(name):
            files[name] = write(traced(module, samples, signature), folder / name, file_format, about)
    (folder / ABOUT_FILE).write_text(json.dumps(about, indent=2))
    with _exportable("fusion"):
        opened = Opened(files["fusion"], torch.get_num_threads())
        found = _compare(predictor, form, clips, opened)
    return Exported(folder=folder, files=tuple(sorted(x.name for x in folder.iterdir())), **found)


def _extractors(predictor: Predictor) -> dict[str, tuple[nn.Module, list[Tensor], Signature]]:
    """The pose and the scene network with samples; none where the model learned from imported skeletons."""
    provenance = predictor.checkpoint.provenance
    if not provenance:
        return {}
    config = provenance.config(predictor.overrides)
    sizes = {0: "frames", 1: "height", 2: "width"}
    pose = PoseNetworkSpec(config.poses)
    signature = Signature(inputs=("frames",), outputs=("people",), varying=sizes)
    modules = {"pose": (pose.build("cpu", FP32), [torch.from_numpy(pose.samples()[0])], signature)}
    if config.scenes.weights != NONE:
        scene = SceneForm(SceneNetworkSpec(config.scenes).build("cpu", FP32), config.scenes)
        side = config.scenes.image_size
        signature = Signature(inputs=("frames",), outputs=("tokens",), varying={0: "frames"})
        modules["scene"] = (scene, [torch.zeros(2, side, side, 3, dtype=torch.uint8)], signature)
    return modules


class SceneForm(nn.Module):
    """The scene network and the means over a grid of its features, which are the tokens."""

    share_GH: Tensor  # of each row (and column) of features in each of the grid

    def __init__(self, network: nn.Module, config: ScenesConfig):
        super().__init__()
        self.network = network
        side = config.image_size // STRIDE
        # What `pooled` makes of a picture that is 1 in one row alone is that row's share.
        unit_HDHW = np.eye(side, dtype=np.float32)[:, None, :, None].repeat(side, axis=3)
        share_HG = pooled(unit_HDHW, config.grid)[:, 0, :, 0]
        self.register_buffer("share_GH", torch.from_numpy(share_HG.T.copy()))

    def forward(self, frames_FHWC: Tensor) -> Tensor:
        """float32 `[F, grid * grid, 2048]`, row by row."""
        features_FDHW = self.network(frames_FHWC)
        by_column = torch.einsum("gh,fdhw->fdgw", self.share_GH, features_FDHW)
        return torch.einsum("jw,fdgw->fgjd", self.share_GH, by_column).flatten(1, 2)


def _compare(predictor: Predictor, form: FusionForm, clips: ClipTensors, opened: Opened) -> dict[str, Any]:
    """How far probabilities are from torch's, with and without scene, and the time that both take.

    Raises:
        NotExportable: farther than `MAX_DIFFERENCE`.
    """
    farthest = 0.0
    for use_scene in (True, False):
        wanted_NA = predictor.predict_clips(clips, use_scene=use_scene).probabilities_NA
        found_NA = opened(form.named(clips, use_scene=use_scene))[0]
        farthest = max(farthest, float(np.abs(wanted_NA - found_NA).max()))
    if not farthest <= MAX_DIFFERENCE:
        raise NotExportable(
            f"fusion: its probabilities are not torch's (largest difference {farthest:.2g}, at most {MAX_DIFFERENCE:g})"
        )
    inputs = form.named(clips)
    return {
        "num_clips": len(clips),
        "max_difference": farthest,
        "clip_ms": _shortest_ms(lambda: opened(inputs)) / len(clips),
        "torch_clip_ms": _shortest_ms(lambda: predictor.predict_clips(clips)) / len(clips),
    }


def _shortest_ms(call: Callable[[], object]) -> float:
    times_sec = []
    for _ in range(NUM_TRIES):
        start = time.perf_counter()
        call()
        times_sec.append(time.perf_counter() - start)
    return min(times_sec) * 1000


@contextlib.contextmanager
def _exportable(name: str) -> Generator[None]:
    """Whatever exporter and runtime raise becomes one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise NotExportable(f"{name}: the network cannot be exported ({first})") from error


def _about(predictor: Predictor, form: FusionForm) -> dict[str, Any]:
    """What a program that runs the folder must know."""
    kept = predictor.checkpoint
    about: dict[str, Any] = {
        "version": VERSION,
        "harray_version": kept.harray_version,
        "opset": OPSET,
        "classes": list(kept.classes),
        "threshold": kept.calibration.threshold(),  # a less probable answer is unsure
        "temperature": kept.calibration.temperature,  # already in the probabilities
        "clip_sec": kept.clip_sec,
        "fusion": {"inputs": list(form.signature.inputs), "outputs": list(OUTPUTS)},
        "streams": [
            {
                "skeleton": layout.name,
                "joints": list(layout.joints),
                "bones": [list(bone) for bone in layout.bones],
                "shape": list(branch.shape),  # people, frames, joints, coordinates
            }
            for layout, branch in zip(kept.layouts, kept.network.branches, strict=True)
        ],
    }
    if kept.provenance:
        config = kept.provenance.config(predictor.overrides)
        poses, scenes = config.poses, config.scenes
        about["pose"] = {
            "image_size": pose_image_size(poses),
            "stride": STRIDE,
            "border": GREY,
            "min_box_confidence": PoseDetector(poses).min_box_confidence,
        }
        if scenes.weights != NONE:
            about["scene"] = {
                "image_size": scenes.image_size,
                "frames": scenes.num_frames,
                "grid": scenes.grid,
            }
    return about
