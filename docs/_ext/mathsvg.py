"""Formulas as inline SVG, drawn by matplotlib: no script, no font and no image from elsewhere, any colour scheme."""

import io
import re
from typing import Any

from docutils import nodes
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser, math_to_image
from sphinx.application import Sphinx

POINTS = 12  # the font's size; the page's own is 16 px, which is as large
FONT = FontProperties(size=POINTS)


def svg(formula: str) -> str:
    """A formula as an `<svg>` element in the text's colour, standing on the text's line.

    Raises:
        ValueError: what matplotlib's subset of TeX does not know.
    """
    text = f"${formula.strip()}$"
    with rc_context({"mathtext.fontset": "cm", "svg.fonttype": "path", "svg.hashsalt": formula}):
        depth = MathTextParser("path").parse(text, 72, FONT).depth
        picture = io.StringIO()
        math_to_image(text, picture, prop=FONT, dpi=72, format="svg")
    element = picture.getvalue()
    element = re.sub(r"<metadata>.*?</metadata>", "", element[element.index("<svg") :], flags=re.DOTALL)
    element = element.replace("<svg ", f'<svg role="img" style="vertical-align: {-depth:.2f}pt" ', 1)
    return re.sub(r"(fill|stroke): #000000", r"\1: currentColor", element)


def inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(svg(node.astext()))
    raise nodes.SkipNode


def display(translator: Any, node: nodes.math_block) -> None:
    for line in filter(None, re.split(r"\\\\|\n\n", node.astext().strip())):
        translator.body.append(f'<p style="text-align: center">{svg(" ".join(line.split()))}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("svg", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
