"""Draws the figures of "how it works": `uv run python docs/figures.py` (a few seconds) writes docs/_static/figures.

The diagrams are of the modules as they are; the curves are of a rendered clip whose truth is known, completed by a
prior that is fitted here, to the motions of rendered people.
"""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.patches import FancyBboxPatch

from harray.features.interpolation import fill_hidden
from harray.features.kinematics import differences, lengths
from harray.model.prior import MotionPrior
from harray.skeleton import layout_named
from harray.synth.actions import ACTIONS
from harray.synth.clips import _stage, clip_specs, num_frames
from harray.synth.config import SynthConfig

FOLDER = Path(__file__).parent / "_static" / "figures"
BLUE, ORANGE, GREY, INK = "#2b6cb0", "#e07b00", "#9aa5b1", "#1f2933"
FRAMES = 32
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harray",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Box = tuple[float, float, float, str, str]  # left, middle, width, text, colour
Arrow = tuple[tuple[float, float], tuple[float, float], str]


def diagram(name: str, size: tuple[float, float], boxes: list[Box], arrows: list[Arrow]) -> None:
    """Boxes of height 0.8 and arrows between points, in inches."""
    figure = pyplot.figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(0, size[1]))
    axes.axis("off")
    for left, middle, width, text, colour in boxes:
        style = FancyBboxPatch(
            (left, middle - 0.4),
            width,
            0.8,
            boxstyle="round,pad=0,rounding_size=0.1",
            fc=colour,
            ec=INK,
            lw=0.8,
        )
        axes.add_patch(style)
        axes.text(left + width / 2, middle, text, ha="center", va="center", linespacing=1.35)
    for start, end, text in arrows:
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        axes.text(middle[0], middle[1] + 0.08, text, ha="center", va="bottom", fontsize=9)
    save(name)


def save(name: str) -> None:
    pyplot.savefig(FOLDER / f"{name}.svg", metadata={"Date": None}, facecolor="white")
    pyplot.close()


def pipeline() -> None:
    """From frames to an action."""
    boxes = [
        (0.1, 1.9, 1.3, "32 frames", "#eef2f6"),
        (1.9, 1.9, 1.5, "YOLOv8-pose\n17 keypoints", "#eef2f6"),
        (3.9, 1.9, 1.6, "PCM\ncompletes", "#fde8cc"),
        (6.0, 1.9, 1.6, "MME\nreads movement", "#d9e8f7"),
        (8.1, 1.9, 1.6, "CFN\nlooks at the scene", "#dcefe0"),
        (10.2, 1.9, 1.2, "action", "#eef2f6"),
        (1.9, 0.6, 1.5, "ResNet-50\n7 x 7 tokens", "#eef2f6"),
    ]
    arrows = [((x, 1.9), (x + 0.5, 1.9), "") for x in (1.4, 3.4, 5.5, 7.6, 9.7)]
    arrows += [((0.75, 1.5), (1.9, 0.6), "2 frames"), ((3.4, 0.6), (8.9, 1.5), "")]
    diagram("pipeline", (11.5, 2.5), boxes, arrows)


def pcm_diagram() -> None:
    """What predicts frame t, and what becomes of it."""
    boxes = [
        (0.1, 2.6, 2.0, "frames 1 .. t-1\nLSTM forward", "#eef2f6"),
        (0.1, 1.6, 2.0, "frames t+1 .. T\nLSTM backward", "#eef2f6"),
        (0.1, 0.6, 2.0, "all visible joints\nprior: Gaussians", "#eef2f6"),
        (3.0, 2.1, 1.8, "prediction\nof frame t", "#fde8cc"),
        (5.8, 2.1, 2.1, "error on visible joints\n= surprise", "#fde8cc"),
        (5.8, 0.6, 2.1, "refinement", "#fde8cc"),
        (8.9, 0.6, 2.0, "completed keypoints", "#eef2f6"),
        (8.9, 2.1, 2.0, "MME", "#d9e8f7"),
    ]
    arrows = [
        ((2.1, 2.6), (3.0, 2.2), ""),
        ((2.1, 1.6), (3.0, 2.0), ""),
        ((2.1, 0.6), (5.8, 0.6), "expectation of hidden joints"),
        ((4.8, 2.1), (5.8, 2.1), ""),
        ((6.85, 1.7), (6.85, 1.0), ""),
        ((7.9, 0.6), (8.9, 0.6), ""),
        ((7.9, 2.1), (8.9, 2.1), ""),
        ((9.9, 1.0), (9.9, 1.7), ""),
    ]
    diagram("pcm_diagram", (11.0, 3.2), boxes, arrows)


def cfn_diagram() -> None:
    """How scene and motion decide."""
    boxes = [
        (0.1, 2.3, 1.7, "motion vector\n(MME)", "#d9e8f7"),
        (0.1, 0.6, 1.7, "scene tokens\n(ResNet-50)", "#eef2f6"),
        (2.8, 2.3, 1.6, "attention", "#dcefe0"),
        (5.4, 2.3, 1.5, "gate g in [0, 1]", "#dcefe0"),
        (2.8, 0.6, 1.6, "linear probe,\ncalibrated", "#dcefe0"),
        (5.4, 0.6, 1.5, "g x its logits", "#dcefe0"),
        (7.3, 2.6, 1.6, "pose's logits", "#d9e8f7"),
        (7.9, 1.5, 1.6, "sum of logits", "#eef2f6"),
        (10.1, 1.5, 1.1, "action", "#eef2f6"),
    ]
    arrows = [
        ((1.8, 2.3), (2.8, 2.3), "queries"),
        ((1.8, 0.85), (3.1, 1.9), "keys, values    "),
        ((1.8, 0.5), (2.8, 0.5), "largest of\neach channel"),
        ((4.4, 2.3), (5.4, 2.3), "scene vector"),
        ((4.4, 0.6), (5.4, 0.6), ""),
        ((6.15, 1.9), (6.15, 1.0), ""),
        ((6.9, 0.7), (7.9, 1.3), ""),
        ((8.3, 2.2), (8.6, 1.9), ""),
        ((9.5, 1.5), (10.1, 1.5), ""),
    ]
    diagram("cfn_diagram", (11.3, 3.0), boxes, arrows)


def motions(config: SynthConfig) -> tuple[torch.Tensor, list[str]]:
    """The actors' true joints `[M, T, K, 2]` about their own middle, in body sizes, and their actions."""
    clips, labels = [], []
    for spec in clip_specs(config):
        chosen = np.linspace(0, num_frames(spec) - 1, FRAMES).round().astype(int)
        joints_TKC = _stage(spec).people[0].joints_TKC[chosen]
        extent = np.median((joints_TKC.max(1) - joints_TKC.min(1)).max(-1))
        clips.append((joints_TKC - np.median(joints_TKC, axis=(0, 1))) / extent)
        labels.append(ACTIONS[spec.action].name)
    return torch.tensor(np.stack(clips), dtype=torch.float32), labels


def fitted_prior(keypoints_MTKC: torch.Tensor) -> MotionPrior:
    """A prior of one component: the motions' second moments, as `training/statistics.py` takes them."""
    prior = MotionPrior(num_components=1, num_frames=FRAMES, num_joints=17, num_coordinates=2)
    visible = torch.ones(keypoints_MTKC.shape[:3], dtype=torch.bool)
    moments, num_rows = prior.moments(keypoints_MTKC, visible, torch.zeros(len(visible), dtype=torch.long))
    prior.fit(moments, num_rows, num_shared=0.0)
    return prior


def completion(keypoints_MTKC: torch.Tensor, labels: list[str], prior: MotionPrior) -> None:
    """A wrist behind a pillar for a third of the clip, and completed."""
    row = max(i for i, label in enumerate(labels) if label == "arm_circles")
    true = keypoints_MTKC[row : row + 1]
    moves = true[0, :, :, 1].std(dim=0)
    wrists = [layout_named("coco17").joints.index(f"{side}_wrist") for side in ("left", "right")]
    joint = max(wrists, key=lambda k: float(moves[k]))
    visible = torch.ones(true.shape[:3], dtype=torch.bool)
    visible[:, 10:21, joint] = False
    visible[:, 12:24, joint - 2] = False
    seen = true * visible[..., None]
    lines = {"linear interpolation": (fill_hidden(seen, visible, "linear"), GREY, "--")}
    lines["completed by the prior"] = (prior(seen, visible), ORANGE, "-")
    _, axes = pyplot.subplots(figsize=(9, 2.8), layout="constrained")
    frames = np.arange(FRAMES)
    axes.axvspan(9.5, 20.5, color="#f3f4f6")
    axes.text(15, 0.98, "hidden", ha="center", va="top", color=GREY, transform=axes.get_xaxis_transform())
    axes.plot(frames, -true[0, :, joint, 1], color=INK, lw=1, alpha=0.5, label="truth")
    for label, (filled, colour, dashes) in lines.items():
        error = float((filled - true)[0, 10:21, joint].norm(dim=-1).mean())
        values = np.where((frames >= 9) & (frames <= 21), -filled[0, :, joint, 1], np.nan)
        axes.plot(frames, values, dashes, color=colour, lw=2, label=f"{label}: mean error {error:.3f}")
    shown = visible[0, :, joint]
    axes.plot(frames[shown], -true[0, shown, joint, 1], "o", ms=4, color=BLUE, label="visible")
    axes.set(xlabel="frame", ylabel="height of a wrist,\nbody sizes", xlim=(0, FRAMES - 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    save("pcm_completion")


def streams(keypoints_MTKC: torch.Tensor, labels: list[str]) -> None:
    """What MME reads of two actions: how far each joint moves over four frames."""
    names = ("wave_hand", "jog_street")
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.0), layout="constrained", sharey=True)
    joints = layout_named("coco17").joints
    for ax, name in zip(axes, names, strict=True):
        row = labels.index(name)
        moved_TK = lengths(differences(keypoints_MTKC[row : row + 1], 4))[0]
        image = ax.imshow(moved_TK.T, aspect="auto", cmap="magma", vmin=0, vmax=0.2, interpolation="nearest")
        ax.set(title=name, xlabel="frame", yticks=range(17))
        ax.set_yticklabels([joint.replace("_", " ") for joint in joints], fontsize=7)
    figure.colorbar(image, ax=axes, label="movement over 4 frames,\nbody sizes")
    save("mme_streams")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    matplotlib.use("svg")
    with matplotlib.rc_context(STYLE):
        pipeline(), pcm_diagram(), cfn_diagram()
        learned, _ = motions(SynthConfig(clips_per_action=20, seed=1))
        shown, labels = motions(SynthConfig(clips_per_action=3, seed=0))
        completion(shown, labels, fitted_prior(learned))
        streams(shown, labels)


if __name__ == "__main__":
    main()
