"""Text in pictures: any name as it is, with `$` and in any script.

matplotlib's own font writes Latin, Greek, Cyrillic, Arabic and Hebrew; an installed font writes what it has beyond
that; OpenCV's built-in one Chinese, Japanese and Korean. A character that none of them has is written as its code,
such as U+0939, not as a box.
"""

from functools import cache
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.text import Text

DPI = 110
_OWN_FONT = "DejaVu Sans"
_NO_LETTERS = "Last Resort"  # a font that has every character, as a box
_ASCENT, _DESCENT = 1.0, 0.3  # of a line of OpenCV's font, in units of its size


def save_figure(figure: Figure, to: Path | IO[bytes]) -> None:
    """Draw a figure as PNG; its texts are names, not formulas."""
    _drawable(figure)
    figure.savefig(to, format="png", dpi=DPI)


def text_mask(text: str, height_px: int) -> np.ndarray:
    """A line of text, float32 [height, width]: 1 where there is ink, 0 elsewhere."""
    size = 0.5 * height_px * 72 / DPI
    wide = 40 + height_px * (8 * len(text) + 4)  # room for every character's code
    figure = Figure(figsize=(min(wide, 20_000) / DPI, height_px / DPI), dpi=DPI)
    figure.text(0, 0.3, text, size=size)
    canvas = _drawable(figure)
    canvas.draw()
    ink = 1 - np.asarray(canvas.buffer_rgba())[..., 0].astype(np.float32) / 255
    used = np.flatnonzero(ink.any(axis=0))
    return ink[:, : used[-1] + 1] if len(used) else ink[:, :0]


def _drawable(figure: Figure) -> "_Canvas":
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        if missing := set(text.get_text()) - _letters(_OWN_FONT) - {"\n"}:
            text.set_fontfamily([_OWN_FONT, *_installed_with(frozenset(missing))])
    return _Canvas(figure)


class _Renderer(RendererAgg):
    """Writes what no installed font can write with OpenCV's font."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple:
        letters = _letters_of(prop)
        s = _legible(s, letters)
        if letters.issuperset(s):
            return super().get_text_width_height_descent(s, prop, ismath)
        size = self.points_to_pixels(prop.get_size_in_points())
        return _ink(s, size).shape[1], (_ASCENT + _DESCENT) * size, _DESCENT * size

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: FontProperties, angle: float, *rest, **more
    ):
        letters = _letters_of(prop)
        s = _legible(s, letters)
        if letters.issuperset(s):
            super().draw_text(gc, x, y, s, prop, angle, *rest, **more)
            return
        ink_HW = _ink(s, self.points_to_pixels(prop.get_size_in_points()))
        turned, left, top = _turned(ink_HW, angle)
        rgba = np.empty((*turned.shape, 4), np.uint8)
        rgba[..., :3] = np.round(255 * np.array(gc.get_rgb()[:3]))
        rgba[..., 3] = turned
        bottom = self.height - round(y + top) - len(rgba)  # images are placed, and read, from below
        self.draw_image(gc, round(x + left), bottom, np.ascontiguousarray(rgba[::-1]))


class _Canvas(FigureCanvasAgg):
    def get_renderer(self) -> RendererAgg:
        width, height = self.get_width_height(physical=True)
        key = width, height, self.figure.dpi
        if self._lastKey != key:
            self.renderer, self._lastKey = _Renderer(*key), key
        return self.renderer


@cache
def _font_files() -> dict[str, str]:
    """A file of each installed font, upright and of regular weight where there is one, by the font's name."""
    fonts = sorted(fontManager.ttflist, key=lambda font: (font.style == "normal", font.weight == 400))
    return {font.name: font.fname for font in fonts if not font.name.startswith(_NO_LETTERS)}


@cache
def _letters(font: str) -> frozenset[str]:
    """The characters that a font has; none where matplotlib cannot read it, such as one of bitmaps."""
    try:
        return frozenset(map(chr, get_font(_font_files()[font]).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _installed_with(missing: frozenset[str]) -> tuple[str, ...]:
    """Installed fonts that together have the most of these characters."""
    left, chosen = set(missing), []
    for font in sorted(_font_files()):
        if found := left & _letters(font):
            chosen.append(font)
            left -= found
    return tuple(chosen)


def _letters_of(prop: FontProperties) -> frozenset[str]:
    """The characters of the fonts that a text is set in."""
    fonts = [font for font in prop.get_family() if font in _font_files()] or [_OWN_FONT]
    return _letters(fonts[0]).union(*map(_letters, fonts[1:]))


def _legible(text: str, letters: frozenset[str]) -> str:
    """The text with codes in place of what neither these letters nor OpenCV's font have."""
    return "".join(c if c in letters or _opencv_has(c) else f"U+{ord(c):04X}" for c in text)


@cache
def _opencv_has(character: str) -> bool:
    if not hasattr(cv2, "FontFace"):  # before OpenCV 5
        return False
    return not np.array_equal(_ink(character, 20), _ink("?", 20))  # what it does not have it draws as ?


def _ink(text: str, size_px: float) -> np.ndarray:
    """A line in OpenCV's font, uint8 [height, width]; its baseline is `_DESCENT` sizes above the bottom."""
    size = max(1, round(size_px))
    above, below = round(_ASCENT * size), round(_DESCENT * size)
    canvas = np.zeros((above + below, size * (len(text) + 2)), np.uint8)
    end, _ = cv2.putText(canvas, text, (0, above), (255,), cv2.FontFace("uni"), size, 400)
    return canvas[:, : max(1, end[0])]


def _turned(ink_HW: np.ndarray, angle_deg: float) -> tuple[np.ndarray, float, float]:
    """A line turned about the left end of its baseline, and where its left and top edge then are from there, px."""
    height, width = ink_HW.shape
    baseline = height * _ASCENT / (_ASCENT + _DESCENT)
    turn = cv2.getRotationMatrix2D((0, baseline), angle_deg, 1.0)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ turn.T
    left, top = np.floor(corners.min(axis=0))
    right, bottom = np.ceil(corners.max(axis=0))
    turn[:, 2] -= left, top
    turned = cv2.warpAffine(ink_HW, turn, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    return turned, left, top - baseline
