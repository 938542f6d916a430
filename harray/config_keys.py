"""What every config key means: name, type, default, and the docstring under the field.

The fields' docstrings are the one source: `harray config` prints them and the documentation's reference is made of
them. This module knows no config of harray's own.
"""

import ast
import dataclasses
import functools
import inspect
import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from harray.config import flatten, leaf_types, type_name, unknown_key
from harray.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """One config key."""

    name: str
    """Dotted name, as on the command line."""
    type: str
    """As people read it, such as `int`, `float or null` or `list of int`."""
    default: Any
    """Its value where nothing else is said."""
    meaning: str
    """The docstring under the field; empty where there is none."""


def keys_of(config_type: type, defaults: Any = None) -> list[Key]:
    """Every key of a tree of dataclasses, in field order.

    Args:
        config_type: the dataclass; all of its fields have defaults.
        defaults: a config to take the defaults from, such as a recipe; else the dataclass's own.
    """
    values = flatten(config_type() if defaults is None else defaults)
    meanings = _meanings(config_type)
    return [
        Key(name=name, type=type_name(hint), default=values[name], meaning=meanings.get(name, ""))
        for name, hint in leaf_types(config_type).items()
    ]


def keys_named(keys: Sequence[Key], word: str) -> list[Key]:
    """The keys that a word stands for: the key itself, else those of a section, else those with the word in their name.

    Raises:
        InputError: no key has it; the nearest are listed.
    """
    exact = [key for key in keys if key.name == word]
    section = [key for key in keys if key.name.startswith(f"{word}.")]
    if found := exact or section or [key for key in keys if word in key.name]:
        return found
    raise InputError(unknown_key(word, {key.name: key for key in keys}))


def default_text(value: Any) -> str:
    """A value as it is typed after `key=`.

    >>> default_text(None), default_text((1, 2)), default_text(True)
    ('null', '[1, 2]', 'true')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _meanings(config_type: type) -> dict[str, str]:
    """Dotted name -> docstring of every leaf that has one."""
    hints, own = typing.get_type_hints(config_type), field_docstrings(config_type)
    found: dict[str, str] = {}
    for field in dataclasses.fields(typing.cast(Any, config_type)):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            inner = _meanings(typing.cast(type, hint))
            found |= {f"{field.name}.{name}": meaning for name, meaning in inner.items()}
        elif field.name in own:
            found[field.name] = own[field.name]
    return found


@functools.cache
def field_docstrings(config_type: type) -> Mapping[str, str]:
    """Field -> the string literal under it, in one line; read from the source, since Python drops such strings."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(config_type)))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
