"""Objects that belong to an action, placed by the actor's joints: where they are, how near, how they look.

Every object is a row of `OBJECTS`: a function of the actor's points that returns its placement, and one that
draws a frame of it. Held objects stand among the figure's parts, so that hands are drawn over them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harray.synth.draw import capsules, dot, fill, fixed, shade
from harray.synth.figure import INDEX

NUM_CHECKS = 6  # along each side of the crate


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An object over a clip: two end points `[T, 2]` px, size in px, nearness `[T]`, box `[T, 4]` x0 y0 x1 y1."""

    start_T2: np.ndarray
    end_T2: np.ndarray
    size_px: float
    near_T: np.ndarray
    box_T4: np.ndarray
    hides: bool  # whether it can hide joints behind its box
    color: tuple[int, int, int]


def _placed(start, end, margin, size_px, near, hides, color) -> Placed:
    low, high = np.minimum(start, end) - margin, np.maximum(start, end) + margin
    box = np.concatenate([low, high], -1).astype(np.float32)
    return Placed(
        start_T2=start, end_T2=end, size_px=size_px, near_T=near, box_T4=box, hides=hides, color=color
    )


def _hands(points, near):
    ends = [INDEX["left_hand"], INDEX["right_hand"]]
    return points[:, ends[0]], points[:, ends[1]], near[:, ends].mean(1)


def _barbell(points, near, scale, rng) -> Placed:
    left, right, depth = _hands(points, near)
    middle, along = (left + right) / 2, left - right
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    reach = 0.36 * scale * along
    size = max(20.0, 0.135 * scale)
    color = ((30, 30, 34), (150, 26, 30), (26, 50, 140))[rng.integers(3)]
    return _placed(middle - reach, middle + reach, size, size, depth - 0.01, False, color)


def _paint_barbell(image: np.ndarray, thing: Placed, frame: int) -> None:
    start, end = thing.start_T2[frame], thing.end_T2[frame]
    bar = np.array(0.12 * thing.size_px)
    fill(image, fixed(capsules(start, end, bar, bar)), (196, 198, 204))
    for center in (start, end):
        dot(image, center, thing.size_px, shade(thing.color, 0.6))
        dot(image, center, 0.86 * thing.size_px, thing.color)
        dot(image, center, 0.3 * thing.size_px, (200, 202, 208))


def _box(points, near, scale, rng) -> Placed:
    left, right, depth = _hands(points, near)
    middle = (left + right) / 2
    size = max(20.0, 0.155 * scale)
    color = ((236, 232, 222), (226, 236, 230), (240, 226, 214))[rng.integers(3)]
    half = np.array([size, 0.0])
    return _placed(
        middle - half, middle + half, np.array([0.0, 0.85 * size]), size, depth - 0.01, True, color
    )


def _paint_box(image: np.ndarray, thing: Placed, frame: int) -> None:
    """A crate with a checked wrapping, unlike anything else in the scenes."""
    x0, y0, x1, y1 = thing.box_T4[frame]
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    fill(image, fixed(corners), thing.color)
    columns, rows = np.linspace(x0, x1, NUM_CHECKS + 1), np.linspace(y0, y1, NUM_CHECKS + 1)
    for row in range(NUM_CHECKS):
        for column in range(row % 2, NUM_CHECKS, 2):
            (left, right), (top, bottom) = columns[column : column + 2], rows[row : row + 2]
            check = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            fill(image, fixed(check), (28, 30, 36))


def _treadmill(points, near, scale, rng) -> Placed:
    """The deck under the feet and, ahead of the runner, the post with its panel."""
    feet = points[:, [INDEX["left_ankle"], INDEX["right_ankle"], INDEX["left_toe"], INDEX["right_toe"]], 1]
    ahead = np.sign(np.mean(points[:, INDEX["nose"], 0] - points[:, INDEX["skull"], 0])) or 1.0
    num_frames = len(points)
    ground = np.full(num_frames, np.percentile(feet, 95) + 0.02 * scale)
    center = np.full(num_frames, points[:, INDEX["pelvis"], 0].mean())
    start = np.stack([center - 0.30 * ahead * scale, ground], -1)
    end = np.stack([center + 0.36 * ahead * scale, ground - 0.62 * scale], -1)
    color = ((236, 240, 244), (70, 196, 214), (186, 220, 60))[rng.integers(3)]
    return _placed(start, end, np.array([6.0, 8.0]), 0.05 * scale, np.full(num_frames, -9.0), False, color)


def _paint_treadmill(image: np.ndarray, thing: Placed, frame: int) -> None:
    start, end = thing.start_T2[frame], thing.end_T2[frame]
    foot, size = np.array([end[0], start[1]]), np.array(thing.size_px)
    fill(image, fixed(capsules(start, foot, 1.3 * size, 1.3 * size)), shade(thing.color, 0.8))
    fill(
        image,
        fixed(capsules(start - [0, 0.5 * size], foot - [0, 0.5 * size], 0.6 * size, 0.6 * size)),
        (24, 24, 26),
    )
    fill(image, fixed(capsules(foot, end, 0.9 * size, 0.8 * size)), shade(thing.color, 1.1))
    back = end + 0.3 * (foot - end) + [0.45 * (start[0] - foot[0]), 0.0]
    fill(image, fixed(capsules(end + 0.3 * (foot - end), back, 0.4 * size, 0.4 * size)), thing.color)
    half = np.array([0.5 * thing.size_px, 0.0])
    fill(image, fixed(capsules(end - half, end + half, 1.7 * size, 1.7 * size)), (28, 84, 200))


def _ball(points, near, scale, rng) -> Placed:
    """Ahead of the feet, rolling to and fro as it is kicked."""
    ahead = np.sign(np.mean(points[:, INDEX["nose"], 0] - points[:, INDEX["skull"], 0])) or 1.0
    toes = points[:, [INDEX["left_toe"], INDEX["right_toe"]]]
    size = max(18.0, 0.115 * scale)
    foremost = (ahead * toes[..., 0]).max(1)
    smooth = np.convolve(np.pad(foremost, 4, mode="edge"), np.ones(9) / 9, "valid")
    center = np.stack(
        [ahead * (smooth + 1.1 * size), np.full(len(toes), np.percentile(toes[..., 1], 95) - 0.6 * size)], -1
    )
    color = ((246, 246, 246), (250, 214, 50), (240, 110, 40))[rng.integers(3)]
    return _placed(center, center, size, size, np.full(len(toes), 9.0), True, color)


def _paint_ball(image: np.ndarray, thing: Placed, frame: int) -> None:
    center = thing.start_T2[frame]
    dot(image, center, thing.size_px, shade(thing.color, 0.62))
    dot(image, center - 0.06 * thing.size_px, 0.88 * thing.size_px, thing.color)
    turn = center[0] / thing.size_px
    for angle in turn + np.arange(5) * 2 * np.pi / 5:
        spot = center + 0.56 * thing.size_px * np.array([np.cos(angle), np.sin(angle)])
        dot(image, spot, 0.2 * thing.size_px, (30, 30, 34))


OBJECTS: dict[str, tuple[Callable[..., Placed], Callable[[np.ndarray, Placed, int], None]]] = {
    "barbell": (_barbell, _paint_barbell),
    "box": (_box, _paint_box),
    "treadmill": (_treadmill, _paint_treadmill),
    "ball": (_ball, _paint_ball),
}
