"""Draw a figure: shaded tapered limbs, torso, head with hair and face. RGB uint8 images, antialiased by cv2.

Outlines of all limbs and frames are computed at once; per frame only polygons are filled, far parts first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from harray.synth.figure import INDEX

Color = tuple[int, int, int]
Held = tuple[float, Callable[[np.ndarray], None]]
_SHIFT = 4  # cv2's fixed-point bits: outlines are drawn at 1/16 px
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 7)
_CIRCLE = np.linspace(0, 2 * np.pi, 12, endpoint=False)
# Layers of a shaded part: brightness, share of the radius, shift towards the light in radii.
_LAYERS = ((0.58, 1.0, 0.0), (0.86, 0.86, 0.10), (1.10, 0.52, 0.26))


@dataclass(frozen=True, kw_only=True)
class Limb:
    """A tapered part from one point to another; radii in standing heights, `wear` names its colour."""

    start: str
    end: str
    start_radius: float
    end_radius: float
    wear: str
    bias: float = 0.0  # added to its nearness when parts are sorted


def _limbs() -> tuple[Limb, ...]:
    rows = (  # joints without their side, radii, wear, bias
        ("ankle", "toe", 0.028, 0.022, "shoes", 0.0),
        ("hip", "knee", 0.058, 0.042, "thigh", -0.04),
        ("knee", "ankle", 0.041, 0.027, "shin", -0.005),
        ("shoulder", "elbow", 0.040, 0.031, "upper_arm", 0.03),
        ("elbow", "wrist", 0.030, 0.022, "forearm", 0.035),
        ("wrist", "hand", 0.022, 0.024, "skin", 0.04),
    )
    paired = [
        Limb(start=f"{s}_{a}", end=f"{s}_{b}", start_radius=r, end_radius=q, wear=wear, bias=bias)
        for a, b, r, q, wear, bias in rows
        for s in ("left", "right")
    ]
    return (
        *paired,
        Limb(start="neck", end="skull", start_radius=0.033, end_radius=0.03, wear="skin", bias=-0.02),
    )


LIMBS = _limbs()
# Rounded shapes of the head: from and to (a share of the way from the skull to a point), radius in head radii, colour.
# The first is long hair, behind neck and shoulders; then the hair's back, jaw, face and fringe.
BLOBS = (
    ("crown", 0.80, "neck", 0.80, 1.05, "hair"),
    ("crown", 0.25, "crown", 0.35, 1.06, "hair"),
    ("chin", 0.18, "chin", 0.62, 0.80, "skin"),
    ("crown", 0.10, "chin", 0.62, 0.78, "skin"),
    ("crown", 0.80, "crown", 1.00, 0.42, "hair"),
)
_BLOB_LAYERS = ((0.84, 1.0, 0.0), (1.0, 0.78, 0.12))
TORSO_CORNERS = (
    ("left_shoulder", 0.042),
    ("right_shoulder", 0.042),
    ("left_hip", 0.052),
    ("right_hip", 0.052),
)


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Colours by what is worn (`shirt`, `skin`, `hair` and the limbs' `wear`), hair length, head radius, girth."""

    colors: dict[str, Color]
    long_hair: bool
    head: float
    girth: float


def shade(color: Color, factor: float) -> Color:
    red, green, blue = (int(min(255, max(0, c * factor + 14 * (factor - 1)))) for c in color)
    return red, green, blue


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixels as cv2's fixed-point integers."""
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def fill(image: np.ndarray, outline: np.ndarray, color: Color) -> None:
    """Fill a convex outline `[points, 2]` that `fixed` made."""
    cv2.fillConvexPoly(image, outline, color, cv2.LINE_AA, _SHIFT)


def dot(image: np.ndarray, center: np.ndarray, radius: float, color: Color) -> None:
    x, y = np.round(center * 16).astype(int).tolist()
    cv2.circle(image, (x, y), max(1, round(radius * 16)), color, -1, cv2.LINE_AA, _SHIFT)


def capsules(
    start: np.ndarray, end: np.ndarray, start_radius: np.ndarray, end_radius: np.ndarray
) -> np.ndarray:
    """Outlines `[..., 14, 2]` of tapered capsules from `start` to `end` `[..., 2]`; radii `[...]` in px."""
    along = np.arctan2(end[..., 1] - start[..., 1], end[..., 0] - start[..., 0])[..., None]
    front, back = along + _ARC, along + np.pi + _ARC
    ahead = end[..., None, :] + end_radius[..., None, None] * np.stack([np.cos(front), np.sin(front)], -1)
    behind = start[..., None, :] + start_radius[..., None, None] * np.stack([np.cos(back), np.sin(back)], -1)
    return np.concatenate([ahead, behind], -2)


class FigurePainter:
    """One person over a clip: `points_TM2` px, `near_TM` as `Camera.project` gives them."""

    def __init__(
        self, points_TM2: np.ndarray, near_TM: np.ndarray, look: Appearance, scale_px: float, light: float
    ):
        self.points, self.near, self.look, self.scale = points_TM2, near_TM, look, scale_px
        self._light = np.array([light, -0.6])
        ends = [[INDEX[limb.start] for limb in LIMBS], [INDEX[limb.end] for limb in LIMBS]]
        start, end = points_TM2[:, ends[0]], points_TM2[:, ends[1]]
        radii = scale_px * look.girth * np.array([[limb.start_radius, limb.end_radius] for limb in LIMBS]).T
        layers = []
        for _, share, shift in _LAYERS:
            offset = shift * radii.mean(0)[:, None] * self._light
            layers.append(capsules(start + offset, end + offset, share * radii[0], share * radii[1]))
        self._outlines = fixed(np.stack(layers, 2))  # [T, limbs, layers, points, 2]
        self._blob_outlines = self._blobs()
        bias = np.array([limb.bias for limb in LIMBS])
        limb_near = near_TM[:, ends].mean(1) + bias
        torso_near = near_TM[:, [INDEX["pelvis"], INDEX["neck"]]].mean(1, keepdims=True) + 0.012
        head_near = near_TM[:, [INDEX["skull"]]] + 0.03
        mane_near = near_TM[:, [INDEX["neck"]]] - 0.03
        self.order_near = np.concatenate([limb_near, torso_near, head_near, mane_near], 1)
        self._tones = [[shade(look.colors[limb.wear], tone) for tone, _, _ in _LAYERS] for limb in LIMBS]

    def paint(self, image: np.ndarray, frame: int, held: Held | None = None) -> None:
        """Draw frame `frame`; `held` is an object among the parts: its nearness, and what draws it."""
        near = self.order_near[frame]
        if held is not None:
            near = np.append(near, held[0])
        for part in np.argsort(near, kind="stable"):
            if part < len(LIMBS):
                for outline, color in zip(self._outlines[frame, part], self._tones[part], strict=True):
                    fill(image, outline, color)
            elif part == len(LIMBS):
                self._torso(image, frame)
            elif part == len(LIMBS) + 1:
                self._head(image, frame)
            elif part == len(LIMBS) + 2:
                self._fill_blobs(image, frame, slice(0, int(self.look.long_hair)))
            elif held is not None:
                held[1](image)

    def _torso(self, image: np.ndarray, frame: int) -> None:
        shirt = self.look.colors["shirt"]
        corners = self.points[frame, [INDEX[name] for name, _ in TORSO_CORNERS]]
        radii = self.scale * self.look.girth * np.array([radius for _, radius in TORSO_CORNERS])
        circle = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], -1)
        middle = corners.mean(0)
        for tone, share, shift in _LAYERS:
            shrunk = middle + (0.5 + 0.5 * share) * (corners - middle) + shift * radii[0] * self._light
            outline = (shrunk[:, None] + share * radii[:, None, None] * circle).reshape(-1, 2)
            fill(image, cv2.convexHull(fixed(outline)), shade(shirt, tone))

    def _blobs(self) -> np.ndarray:
        """Outlines of the head's shapes, `[T, blobs, layers, points, 2]`."""
        skull = self.points[:, [INDEX["skull"]]]
        start, end = (
            skull
            + np.array([[row[k + 1]] for row in BLOBS])
            * (self.points[:, [INDEX[row[k]] for row in BLOBS]] - skull)
            for k in (0, 2)
        )
        radii = self.look.head * self.scale * np.array([row[4] for row in BLOBS])
        layers = []
        for _, share, shift in _BLOB_LAYERS:
            offset = shift * radii[:, None] * self._light
            layers.append(capsules(start + offset, end + offset, share * radii, share * radii))
        return fixed(np.stack(layers, 2))

    def _fill_blobs(self, image: np.ndarray, frame: int, chosen: slice) -> None:
        for outlines, row in zip(self._blob_outlines[frame, chosen], BLOBS[chosen], strict=True):
            for outline, (tone, _, _) in zip(outlines, _BLOB_LAYERS, strict=True):
                fill(image, outline, shade(self.look.colors[row[5]], tone))

    def _head(self, image: np.ndarray, frame: int) -> None:
        self._fill_blobs(image, frame, slice(1, None))
        colors, radius = self.look.colors, self.look.head * self.scale
        place = {name: self.points[frame, i] for name, i in INDEX.items()}
        near = {name: self.near[frame, i] - self.near[frame, INDEX["skull"]] for name, i in INDEX.items()}
        for side in ("left", "right"):
            if near[f"{side}_ear"] > -0.3 * self.look.head:
                dot(image, place[f"{side}_ear"], 0.24 * radius, shade(colors["skin"], 0.8))
            if near[f"{side}_eye"] > 0.05 * self.look.head:
                eye = place[f"{side}_eye"]
                dot(image, eye, 0.19 * radius, (236, 232, 226))
                dot(image, eye, 0.11 * radius, (28, 22, 20))
                brow = fixed(eye + radius * np.array([[-0.2, -0.25], [0.2, -0.25]]))
                cv2.line(image, brow[0].tolist(), brow[1].tolist(), colors["hair"], 1, cv2.LINE_AA, _SHIFT)
        if near["nose"] > 0:
            dot(image, place["nose"], 0.15 * radius, shade(colors["skin"], 0.78))
            mouth = place["nose"] + 0.45 * (place["chin"] - place["nose"])
            ends = fixed(mouth + radius * np.array([[-0.24, 0.0], [0.24, 0.0]]))
            cv2.line(image, ends[0].tolist(), ends[1].tolist(), (150, 62, 58), 1, cv2.LINE_AA, _SHIFT)
