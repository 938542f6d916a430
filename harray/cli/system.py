"""Commands about the machine and the recipes."""

import dataclasses
import textwrap

from rich.table import Table

from harray import recipes as named
from harray.cli import options
from harray.cli.terminal import Terminal, session
from harray.workspace import Workspace


def doctor(
    out: options.Out = options.DEFAULT_OUT,
    recipe: options.Recipe = "default",
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Show what harray finds on this machine.

    Python, torch and GPU, Ray, weights and where they would come from, the tracking store.
    """
    options.build_config(recipe, None, overrides)
    with session(out, "doctor", as_json) as terminal:
        from harray.api.doctor import examine

        found = examine(
            recipe=recipe, overrides=overrides, workspace=Workspace(out, tracking_uri), reporter=terminal
        )
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in found.items():
            table.add_row(name, value)
        terminal.result(table)
        terminal.json(found)


def recipes(as_json: options.Json = False) -> None:
    """List recipes: purpose, data, cost, score."""
    terminal = Terminal(as_json=as_json)
    for name, about in named.described().items():
        terminal.result(name)
        for text in about.paragraphs:
            terminal.result(textwrap.fill(text, 100, initial_indent="    ", subsequent_indent="    "))
    terminal.json({"recipes": {name: dataclasses.asdict(about) for name, about in named.described().items()}})
