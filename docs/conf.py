"""Sphinx's configuration. `uv run sphinx-build -W docs docs/_build` makes the site; it loads nothing from elsewhere."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from harray import __version__  # noqa: E402

project, author, copyright = "harray", "the harray authors", "2026, the harray authors"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated", "mathsvg"]
exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]

html_theme = "furo"
html_title = "harray"
html_static_path = ["_static"]
html_math_renderer = "svg"
html_show_sphinx = False
html_copy_source = False

nb_execution_mode = "off"  # a test executes the notebook
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def code_in_backticks(app, what, name, obj, options, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    """Docstrings write `code` in single backticks, as Markdown does; reStructuredText wants two."""
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?![`_])", r"``\1``", line) for line in lines]


def setup(app) -> None:  # type: ignore[no-untyped-def]
    app.connect("autodoc-process-docstring", code_in_backticks)
