"""Named, complete experiments. A recipe is a function that returns a whole ExperimentConfig; its docstring says
data, cost and expected score, and the command that measures it.
"""

import difflib
import inspect
import re
from dataclasses import dataclass

from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig


def default() -> ExperimentConfig:
    """Videos of people, any source: YOLOv8n-pose at 640 px and an ImageNet ResNet-50.

    All training clips train, and the last epoch is kept: nothing is selected by a few val clips. A few hundred clips
    are repeated up to five times within an epoch, and half of the training clips have no joints hidden on purpose.
    """
    return with_overrides(
        ExperimentConfig(),
        {
            "training.num_epochs": 24,
            "training.epoch_clips": 500,
            "training.batch_size": 32,
            "features.augmentation.hide_nothing_probability": 0.5,
        },
    )


def laptop() -> ExperimentConfig:
    """Videos of 320x240 or so on a machine without a GPU: YOLOv8n-pose at 320 px, about three times as fast.

    Upscaling adds nothing: on rendered people at 320x240, people are found in 0.99 of the frames at 320 px and in 0.97
    at 640 px, with the same mean joint error, 0.028 of body height.
    """
    return with_overrides(default(), {"poses.image_size": 320})


def pose_only() -> ExperimentConfig:
    """No scene branch: for data in which the scene gives the label away, or where it is irrelevant."""
    return with_overrides(default(), {"scenes.weights": "none", "model.cfn.enabled": False})


def skeleton() -> ExperimentConfig:
    """Imported skeletons of any layout, 2D or 3D: no videos, no scene.

    Data and score, `harray cross-validate --leave-one-group-out`: UTD-MHAD in 3D (431 clips), one of four subjects left
    out in turn, two seeds, top-1 0.956; NW-UCLA in 3D (1020 clips), one of two views left out, one seed, 0.825. With
    one member, three seeds: the train part of Penn Action (1258 clips), 0.991. Cost: about 65 s of a core a training.
    """
    return with_overrides(
        pose_only(),
        {
            "model.pcm.hidden_size": 32,
            "model.mme.num_members": 3,
            "model.mme.summary": False,
            "model.mme.width": 64,
            "model.mme.kernel_size": 3,
            "model.mme.num_blocks": 2,
            "training.num_epochs": 15,
            "training.epoch_clips": 1500,
            "features.augmentation.turn_deg": 30.0,
            "features.augmentation.hide_nothing_probability": 0.6,
        },
    )


def interaction() -> ExperimentConfig:
    """Interactions of two people: either may lead, and the distances between their joints count. No scene branch: what
    two people do rarely depends on the place.

    Data and score: UT-Interaction set 1 (60 clips of six interactions), one of its ten sequences left out in turn, 3
    seeds: top-1 0.989, by `harray cross-validate --leave-one-group-out`. Cost there: 37 s of a CPU core a training.
    """
    return with_overrides(
        pose_only(),
        {
            "poses.image_size": 480,
            "model.mme.people_distances": True,
            "features.augmentation.swap_people_probability": 0.5,
            "training.num_epochs": 80,
            "training.epoch_clips": 1,
            "training.batch_size": 16,
            "features.augmentation.hide_nothing_probability": 0.0,
        },
    )


def skeleton_small() -> ExperimentConfig:
    """Skeletons alone, by a network so small that augmentation takes as long as the network itself.

    Hidden joints are zeros, and only joints and their differences from frame to frame are read.
    Data and score, `harray cross-validate`, 5 folds, 3 seeds: the train part of Penn Action (1258 clips), top-1 0.969.
    Cost there: 10 to 23 s of one CPU core a training of 29,616 parameters.
    """
    return with_overrides(
        pose_only(),
        {
            "model.pcm.enabled": False,
            "model.mme.width": 32,
            "model.mme.num_blocks": 1,
            "model.mme.bones": False,
            "model.mme.lags": (1,),
            "model.mme.windows": (),
            "model.mme.distances": False,
            "model.mme.medians": False,
            "training.num_epochs": 60,
            "training.epoch_clips": 1,
            "training.batch_size": 256,
            "training.learning_rate": 8e-3,
            "features.augmentation.hide_nothing_probability": 0.0,
        },
    )


def ucf101() -> ExperimentConfig:
    """UCF101 with its official lists: `harray extract ROOT --dataset ucf101 --splits LISTS --store STORE`, then
    train on train1 and evaluate on test1, and so for 2 and 3 (`training.train_split=train2`, `--split test2`).

    Data: 13,320 clips of 101 actions, 320x240.
    Cost: not yet measured on the whole set. A busy CPU core extracts the poses of 1.4 clips/s at 320 px, so
    under three hours of one core; on eight GPUs with four actors each what is left on the CPUs, decoding and linking,
    is 0.05 s a clip and thus half a minute for 32 cores, beside passes of a network of 9 GFLOP a frame at 640 px.
    Score: not yet measured.
    """
    return with_overrides(
        default(),
        {
            "poses.image_size": 320,
            "model.mme.width": 160,
            "training.train_split": "train1",
            "training.num_epochs": 60,
            "training.batch_size": 64,
        },
    )


def procedural() -> ExperimentConfig:
    """The rendered videos of `harray synth`, with the weights made for them; what `harray demo` runs.

    Data: 360 clips of 12 actions, every actor in one split only. Cost: two to four minutes on 2 CPU cores.
    Score on the 72 clips of unseen actors: top-1 0.94 to 1.00 by pose and scene together, 0.61 to 0.71 by pose
    alone, 0.46 to 0.58 by scene alone; `harray demo` measures it. The small movements that tell actions apart
    here are close to the detector's error, so joints are hidden and shaken less than by default; and the scene is so
    informative that it is replaced by noise more often, so that the pose learns to decide alone.
    """
    augmentation = {
        "hide_nothing_probability": 0.0,
        "noise": 0.0,
        "misplace_probability": 0.0,
        "rotation_deg": 8.0,
        "hide_probability": 0.5,
        "hide_share": 0.7,
        "hide_joint_probability": 0.0,
        "hide_limb_probability": 0.1,
        "hide_span_probability": 0.1,
        "scene_replaced_probability": 0.2,
    }
    return with_overrides(
        default(),
        {
            "poses.weights": "embedded",
            "scenes.weights": "random",
            "model.pcm.refine_size": 16,
            "model.mme.num_blocks": 2,
            "training.num_epochs": 16,
            "training.epoch_clips": 1,
            "training.batch_size": 16,
            "training.weight_decay": 0.2,
            "training.scene_attention_weight": 3.0,
            **{f"features.augmentation.{name}": value for name, value in augmentation.items()},
        },
    )


def names() -> list[str]:
    """Every recipe's name."""
    return [name for name, value in globals().items() if _is_recipe(value)]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a recipe's docstring says."""

    paragraphs: tuple[str, ...]  # all of it
    data: str  # the sentences about these; empty where nothing is said
    cost: str
    score: str


def described() -> dict[str, Description]:
    """Every recipe's name with what its docstring says."""
    return {name: _description(inspect.getdoc(globals()[name]) or "") for name in names()}


def _description(doc: str) -> Description:
    """Sentences that begin with Data, Cost or Score, or `Data and score`, up to the next such."""
    paragraphs = tuple(" ".join(part.split()) for part in doc.split("\n\n"))
    parts = re.split(r"(?<=[.;]) (?=(?:Data|Cost|Score)\b)", " ".join(paragraphs))
    about = {part: set(re.split(r" and |\W", part.lower(), maxsplit=3)[:2]) for part in parts}
    found = {
        kind: " ".join(part for part in parts if kind in about[part]) for kind in ("data", "cost", "score")
    }
    return Description(paragraphs=paragraphs, **found)


def recipe_named(name: str) -> ExperimentConfig:
    """The recipe of that name.

    Raises:
        InputError: no such recipe; the nearest are listed.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=2) or names()
        raise InputError(f"unknown recipe {name!r}; nearest: {', '.join(near)}")
    return globals()[name]()


def _is_recipe(value: object) -> bool:
    return (
        inspect.isfunction(value)
        and value.__module__ == __name__
        and inspect.signature(value) == inspect.Signature(return_annotation=ExperimentConfig)
    )
