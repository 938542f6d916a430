"""Pages made of the program itself, so that they are never stale: commands, config keys and recipes.

Each stands in the page that includes it: a `commands`, `config-keys` or `recipes` directive.
"""

from collections.abc import Callable, Iterable

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def commands() -> str:
    """Every command with its arguments and options, as Markdown."""
    from typer.cli import get_docs_for_click

    from harray.cli.app import app

    root = typer.main.get_command(app)
    text = get_docs_for_click(obj=root, ctx=typer.Context(root, info_name="harray"), name="harray")
    return text.partition("\n")[2].replace("&#x27;", "'")  # the page has a heading of its own


def config_keys() -> str:
    """Every config key under its section, as Markdown."""
    from harray import recipes
    from harray.config_keys import default_text, keys_of
    from harray.experiment import ExperimentConfig

    lines, section = [], ""
    for key in keys_of(ExperimentConfig, recipes.default()):
        if (here := key.name.rpartition(".")[0]) != section:
            section = here
            lines += [f"## {section}", ""]
        lines += [f"`{key.name}` = `{default_text(key.default)}` ({key.type})", f": {key.meaning}", ""]
    return "\n".join(lines)


def recipes_described() -> str:
    """Every recipe with what its docstring says, as Markdown."""
    from harray import recipes

    about = recipes.described().items()
    return "\n\n".join("\n\n".join([f"## {name}", *of.paragraphs]) for name, of in about)


def directive(write: Callable[[], str]) -> type[SphinxDirective]:
    """A directive that stands for what `write` returns."""

    class Generated(SphinxDirective):
        def run(self) -> Iterable[nodes.Node]:
            return self.parse_text_to_nodes(write(), allow_section_headings=True)

    return Generated


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("commands", directive(commands))
    app.add_directive("config-keys", directive(config_keys))
    app.add_directive("recipes", directive(recipes_described))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
