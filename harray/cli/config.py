"""`harray config`: what can be set, what it means, and what a recipe sets it to."""

import dataclasses
import textwrap
from typing import Annotated

import typer

from harray.cli import options
from harray.cli.guesses import SYNONYMS
from harray.cli.terminal import Terminal
from harray.config_keys import Key, default_text, keys_named, keys_of
from harray.experiment import ExperimentConfig


def key_names(incomplete: str) -> list[str]:
    """Keys that begin so, for shells that complete."""
    return [key.name for key in keys_of(ExperimentConfig) if key.name.startswith(incomplete)]


def config(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]",
            help="A key, a section, or a word of a key's name. Default: all keys.",
            autocompletion=key_names,
        ),
    ] = None,
    recipe: options.Recipe = "default",
    as_json: options.Json = False,
) -> None:
    """List config keys with their meaning.

    Each with its value in a recipe and its type. Commands that take overrides set them by `key=value`.
    """
    keys = keys_of(ExperimentConfig, options.build_config(recipe, None, None))
    shown = keys if key is None else keys_named(keys, SYNONYMS.get(word := key.replace("-", "_"), word))
    terminal = Terminal(as_json=as_json)
    for one in shown:
        terminal.result(_as_text(one))
    terminal.json({"keys": [dataclasses.asdict(one) for one in shown]})


def _as_text(key: Key) -> str:
    meaning = textwrap.fill(key.meaning, 100, initial_indent="    ", subsequent_indent="    ")
    return f"{key.name}={default_text(key.default)}  ({key.type})\n{meaning}"
