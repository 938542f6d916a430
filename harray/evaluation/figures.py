"""Figures of an evaluation, drawn with matplotlib's object interface (no global state, no display)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from harray.evaluation.calibration import CalibrationReport
from harray.evaluation.findings import AttentionView, ObjectAttention, OcclusionCurve
from harray.training.loop import EpochReport
from harray.videos.frames import read_frames_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, ACCENT, MUTED = "#1f2933", "#2b6cb0", "#a0aec0"


def confusion_figure(confusion_AA: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix, rows true and columns predicted; colour is the share of the row, numbers are clips.

    Above 30 classes the numbers are left out.
    """
    num_classes = len(classes)
    side = min(max(4.0, 0.45 * num_classes + 2.2), 24.0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    share_AA = confusion_AA / np.maximum(confusion_AA.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share_AA, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.75)
    axes.set_xticks(range(num_classes), classes, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(num_classes), classes)
    axes.set(xlabel="predicted", ylabel="true")
    if num_classes <= 30:
        for row, column in zip(*np.nonzero(confusion_AA), strict=True):
            axes.text(
                column,
                row,
                str(confusion_AA[row, column]),
                ha="center",
                va="center",
                color="white" if share_AA[row, column] > 0.5 else INK,
            )
    return figure


def calibration_figure(found: CalibrationReport) -> Figure:
    """Reliability diagram, the points as large as their share of the clips, and accuracy against coverage."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    diagram, curve = figure.subplots(1, 2)
    bins = found.reliability
    diagram.plot([0, 1], [0, 1], "--", color=MUTED, label="as sure as right")
    diagram.plot(bins["confidence"], bins["accuracy"], "-", color=ACCENT, alpha=0.5)
    sizes = [20 + 400 * share for share in bins["share"]]
    diagram.scatter(bins["confidence"], bins["accuracy"], sizes, color=ACCENT, alpha=0.7)
    error = f"expected calibration error {found.expected_calibration_error:.3f}"
    diagram.set(xlabel="probability", ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.03), title=error)
    diagram.legend(frameon=False)
    curve.plot(found.curve["coverage"], found.curve["accuracy"], "o-", color=ACCENT, markersize=3)
    curve.axvline(found.coverage, color=MUTED, linestyle="--", label='answered; the rest "unsure"')
    curve.set(xlabel="share answered, the surest first", ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.03))
    curve.legend(frameon=False, loc="lower left")
    for axes in (diagram, curve):
        axes.grid(alpha=0.3)
    return figure


def occlusion_figure(curves: Mapping[str, OcclusionCurve]) -> Figure:
    """Top-1 against what is hidden: a panel per kind of occlusion, a line per name in its `top1`."""
    figure = Figure(figsize=(3.1 * max(len(curves), 2), 3.2), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    styles = ((ACCENT, "o-"), (MUTED, "s--"), (INK, "^:"), ("#c05621", "v-."))
    for axes, (kind, curve) in zip(panels, curves.items(), strict=True):
        for (name, values), (colour, style) in zip(curve.top1.items(), styles, strict=False):
            axes.plot([100 * share for share in curve.hidden_shares], values, style, color=colour, label=name)
        axes.set(xlabel=f"{kind} (%)", ylim=(0, 1.03))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("top-1")
    panels[0].legend(frameon=False)
    return figure


def objects_figure(objects: Mapping[str, Mapping[str, ObjectAttention]]) -> Figure:
    """A row per label, two pictures for each part that decides: a clip with the object and one without it.

    The attention lies on them, and the object's region, or its place, is outlined.
    """
    labels = list(next(iter(objects.values())))
    figure = Figure(figsize=(6.2 * len(objects), 2.4 * len(labels)), layout="constrained")
    panels = figure.subplots(len(labels), 2 * len(objects), squeeze=False)
    shown = [found for by_label in objects.values() for found in by_label.values()]
    looks = [look for found in shown for look in (found.look_with, found.look_without)]
    brightest = max(float(look.attention_GG.max()) for look in looks)
    for column, (part, by_label) in enumerate(objects.items()):
        for row, label in enumerate(labels):
            found, by = by_label[label], part.replace("_", " ")
            with_it, without_it = panels[row, 2 * column : 2 * column + 2]
            title = f"{label}, by {by}: {found.on_object:.2f}"
            other_title = f"no {found.object}, by {by}: {found.on_its_place:.2f}"
            _draw_look(with_it, found.look_with, title, brightest)
            _draw_look(without_it, found.look_without, other_title, brightest)
    figure.colorbar(panels[0, 0].images[-1], ax=panels, label="attention (1 = even)", shrink=0.6)
    return figure


def _draw_look(axes: "Axes", look: AttentionView, title: str, brightest: float) -> None:
    frame_HWC = read_frames_at(Path(look.path), np.array([look.frame_index])).rgb_THWC[0]
    height, width, _ = frame_HWC.shape
    axes.imshow(frame_HWC)
    bounds = (0, width, height, 0)
    axes.imshow(look.attention_GG, cmap="inferno", alpha=0.5, vmin=0, vmax=brightest, extent=bounds)
    x0, y0, x1, y1 = look.box_4
    axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="cyan", linewidth=1.5)
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def training_figure(history: Sequence[EpochReport]) -> Figure:
    """Losses and, where there was a val split, its top-1 and macro F1, by epoch."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    epochs = [report.epoch for report in history]
    for name in history[0].losses if history else ():
        losses.plot(epochs, [report.losses[name] for report in history], label=name)
    losses.set(xlabel="epoch", ylabel="training loss", yscale="log")
    losses.legend(frameon=False)
    for name in ("top1", "macro_f1"):
        values = [getattr(report.val, name) if report.val else np.nan for report in history]
        scores.plot(epochs, values, label=f"val {name.replace('_', ' ')}")
    scores.set(xlabel="epoch", ylim=(0, 1.03))
    scores.grid(alpha=0.3)
    scores.legend(frameon=False)
    return figure
