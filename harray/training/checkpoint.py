"""A trained model as a folder: safetensors weights and a YAML that says how to read them. No pickle.

model.safetensors    weights and standardisation statistics
checkpoint.yaml      configs, classes, skeleton, shapes, extraction settings, the store's digest
calibration.json     temperature, and how sure and how right held-out answers were
clips.txt            clip_ids that it learned from, so that nobody takes them for a test
experiment.yaml      the whole experiment, for the record; never read here
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harray import __version__
from harray.config import from_dict, to_dict
from harray.errors import InputError
from harray.extraction.provenance import Provenance
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, NormalisedClips, normalised
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork, PoseBranch
from harray.skeleton import SkeletonLayout, layout_from, layout_named, to_data
from harray.training.calibration import Calibration

FORMAT = 3  # raise it when the files change so that older code cannot read them
FORMAT_OF_ONE_MEMBER = 2  # read as well: its weights are those of MME's only member
WEIGHTS_FILE, ABOUT_FILE, EXPERIMENT_FILE = "model.safetensors", "checkpoint.yaml", "experiment.yaml"
CLIPS_FILE, CALIBRATION_FILE = "clips.txt", "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and everything that using it needs."""

    network: FusionNetwork
    features: FeaturesConfig
    classes: tuple[str, ...]
    skeleton: SkeletonLayout
    scene_grid: tuple[int, int] | None  # (scene frames, grid) of the tokens; None without scene branch
    store_digest: str
    provenance: Provenance = field(default_factory=Provenance)  # of the features that it learned from
    harray_version: str = __version__
    second_skeleton: SkeletonLayout | None = None  # of the second stream of keypoints
    learned_clips: frozenset[str] | None = (
        None  # clip_ids that chose its weights or its epoch; None: not known
    )
    calibration: Calibration = field(default_factory=Calibration)
    clip_sec: float | None = None  # the training clips' median length; None: not known
    num_people: int | None = None  # seen in most clips of some class; None: not known

    @property
    def model(self) -> ModelConfig:
        return self.network.config

    @property
    def layouts(self) -> tuple[SkeletonLayout, ...]:
        """Of the streams of keypoints that the network reads."""
        return (self.skeleton,) if self.second_skeleton is None else (self.skeleton, self.second_skeleton)

    def prepared(self, clips: ClipTensors) -> NormalisedClips:
        """Clips as the network reads them.

        Without their second keypoints a model of two streams answers by the first alone; a model of one stream
        passes second keypoints over.

        Raises:
            InputError: another skeleton, other coordinates, frames or scene tokens, or more people than the model's.
        """
        clips = clips.looked_at(self.features.keypoints)
        if self.network.second is None:
            clips = replace(clips, second=None)
        self._check(clips)
        return normalised(clips, self.features)

    def _check(self, clips: ClipTensors) -> None:
        what = f"these clips do not fit the model, trained on {self.network.shape[0]} people of {self.skeleton.name}"
        redo = "take a store extracted with the model's settings, or train on this one"
        for seen, layout, branch in zip(clips.streams, self.layouts, self.network.branches, strict=False):
            people, frames, joints, coordinates = branch.shape
            found = seen.keypoints_NPTKC.shape
            if (seen.skeleton.name, found[3]) != (layout.name, joints):
                raise InputError(
                    f"{what}: their skeleton is {seen.skeleton.name} ({found[3]} joints); {redo}"
                )
            if found[4] != coordinates:
                raise InputError(f"{what}: {found[4]} coordinates, expected {coordinates}; {redo}")
            if found[2] != frames:
                raise InputError(f"{what}: {found[2]} frames each, expected {frames}; {redo}")
            if found[1] > people:
                raise InputError(f"{what}: they hold {found[1]} people; {redo}")
        if self.network.cfn is not None and clips.tokens_NSD is not None:
            size = clips.tokens_NSD.shape[2]
            if size != self.network.scene_dim:
                raise InputError(
                    f"{what}: scene tokens of {size} channels, expected {self.network.scene_dim}; {redo}"
                )


def save_checkpoint(checkpoint: Checkpoint, folder: Path, experiment_yaml: str = "") -> Path:
    """Write a checkpoint into a folder, which is made; what it held under the same names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.network.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS_FILE, metadata={"harray": checkpoint.harray_version})
    second = checkpoint.network.second
    about = {
        "format": FORMAT,
        "harray_version": checkpoint.harray_version,
        "classes": list(checkpoint.classes),
        "skeleton": checkpoint.skeleton.name,
        "layout": to_data(checkpoint.skeleton),  # None where the name says it all
        "second_skeleton": checkpoint.second_skeleton and checkpoint.second_skeleton.name,
        "shape": _sizes(checkpoint.network) | {"scene_dim": checkpoint.network.scene_dim},
        "second_shape": None if second is None else _sizes(second),
        "scene_grid": None if checkpoint.scene_grid is None else list(checkpoint.scene_grid),
        "store_digest": checkpoint.store_digest,
        "features": to_dict(checkpoint.features),
        "model": to_dict(checkpoint.model),
        **asdict(checkpoint.provenance),
        "clip_sec": checkpoint.clip_sec,
        "num_people": checkpoint.num_people,
    }
    (folder / ABOUT_FILE).write_text(yaml.safe_dump(about, sort_keys=False))
    if checkpoint.learned_clips is not None:
        (folder / CLIPS_FILE).write_text("\n".join(sorted(checkpoint.learned_clips)))
    (folder / CALIBRATION_FILE).write_text(json.dumps(asdict(checkpoint.calibration)))
    if experiment_yaml:
        (folder / EXPERIMENT_FILE).write_text(experiment_yaml)
    return folder


def _sizes(branch: PoseBranch) -> dict[str, int | None]:
    names = ("num_people", "num_frames", "num_joints", "num_coordinates")
    return dict(zip(names, branch.shape, strict=True))


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a checkpoint on the CPU, its network in evaluation mode. Nothing is unpickled.

    Raises:
        InputError: no such folder, no checkpoint in it, one of another format, or damaged files.
    """
    folder = Path(folder)
    about = _about(folder)
    try:
        features = from_dict(FeaturesConfig, about["features"])
        skeleton = layout_from(about["skeleton"], about.get("layout"))
        name = about.get("second_skeleton")  # older checkpoints know of none
        second = None if name is None else layout_named(name)
        network = FusionNetwork(
            from_dict(ModelConfig, about["model"]),
            **about["shape"],
            num_classes=len(about["classes"]),
            bones=skeleton.bones,
            second=None if second is None else {**about["second_shape"], "bones": second.bones},
        )
        network.load_state_dict(_with_members(load_file(folder / WEIGHTS_FILE)))
        grid: Sequence[int] | None = about["scene_grid"]
        return Checkpoint(
            network=network.eval(),
            features=features,
            classes=tuple(about["classes"]),
            skeleton=skeleton,
            second_skeleton=second,
            scene_grid=None if grid is None else (grid[0], grid[1]),
            store_digest=about["store_digest"],
            learned_clips=learned_clips(folder),
            provenance=Provenance.from_dict(about),
            harray_version=about["harray_version"],
            calibration=_calibration(folder),
            clip_sec=about.get("clip_sec"),
            num_people=about.get("num_people"),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason, maker = " ".join(str(error).split())[:200], about.get("harray_version", "unknown")
        raise InputError(
            f"model {folder}, made by harray {maker}: its files are damaged or do not match ({reason}); train again"
        ) from error


def _with_members(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights by their names of now, whatever the format."""
    if any(".members." in f".{name}" for name in weights):
        return weights
    encoder = r"(^|second\.)mme\.(?!mean_D|std_D)"
    renamed = {re.sub(encoder, r"\1mme.members.0.", name): value for name, value in weights.items()}
    return {
        re.sub(r"(^|second\.)(people|classify_motion)\.", r"\1\2.0.", name): value
        for name, value in renamed.items()
    }


def learned_clips(folder: Path) -> frozenset[str] | None:
    """clip_ids that a checkpoint learned from; None where it does not say."""
    file = folder / CLIPS_FILE
    return frozenset(file.read_text().split()) if file.is_file() else None  # older checkpoints have none


def _calibration(folder: Path) -> Calibration:
    file = folder / CALIBRATION_FILE
    if not file.is_file():  # older checkpoints have none
        return Calibration()
    return from_dict(Calibration, json.loads(file.read_text()))


def _about(folder: Path) -> dict[str, Any]:
    advice = "expected a checkpoint folder that `harray train` made"
    if not folder.exists():
        raise InputError(f"model {folder}: no such folder; {advice}")
    for name in (ABOUT_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"model {folder}: no {name} in it; {advice}")
    try:
        about = yaml.safe_load((folder / ABOUT_FILE).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"model {folder}: {ABOUT_FILE} is not YAML; {advice}") from error
    found = about.get("format") if isinstance(about, dict) else None
    if found not in (FORMAT_OF_ONE_MEMBER, FORMAT):
        raise InputError(f"model {folder}: checkpoint format {found}, expected {FORMAT}; train again")
    return about
