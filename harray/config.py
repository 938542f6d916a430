"""Dotted names for any tree of frozen dataclasses: flatten, override, load and dump.

One string is the command-line override (`harray train model.pcm.hidden_size=256`), the search-space key and
the MLflow parameter. This module knows no config of harray's own.
"""

import dataclasses
import difflib
import hashlib
import json
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le

from harray.errors import InputError

Config = TypeVar("Config")

# Types of fields whose values are bounded; `with_overrides` refuses others.
Count = Annotated[int, Ge(1)]
Fraction = Annotated[float, Ge(0), Le(1)]
Positive = Annotated[float, Gt(0)]


def flatten(config: Any) -> dict[str, Any]:
    """Every leaf of a dataclass tree under its dotted name, in field order.

    >>> flatten(Experiment(model=Model(size=3)))  # {"model.size": 3}
    """
    leaves: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            leaves |= {f"{field.name}.{name}": leaf for name, leaf in flatten(value).items()}
        else:
            leaves[field.name] = value
    return leaves


def with_overrides(config: Config, overrides: Mapping[str, Any]) -> Config:
    """A copy of `config` with the named leaves replaced; inverse of `flatten`.

    Raises:
        InputError: a name that is not a leaf of `config` (the nearest are listed), or a value that its
            field's type refuses (the dotted name is given).
    """
    types, former, found = leaf_types(type(config)), former_names(type(config)), dict[str, Any]()
    for given, value in overrides.items():
        if (name := former.get(given, given)) not in types:
            raise InputError(unknown_key(name, types))
        found[name] = _validated(name, types[name], value)
    return _replaced(config, found, prefix="")


def parse_overrides(config: Any, assignments: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as typed overrides of `config`; values are read as YAML (`[1, 2]`, `null`, `true`).

    Raises:
        InputError: a text without `=`, an unknown key, or a value of the wrong type.
    """
    import yaml

    types, former = leaf_types(type(config)), former_names(type(config))
    overrides: dict[str, Any] = {}
    for text in assignments:
        given, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"override {text!r}: expected key=value, such as training.num_epochs=20")
        name = former.get(given, given)
        if name not in types:
            raise InputError(unknown_key(name, types))
        try:
            overrides[name] = _validated(name, types[name], yaml.safe_load(value))
        except (InputError, yaml.YAMLError):
            overrides[name] = _validated(name, types[name], value)  # text that merely looks like YAML
    return overrides


def former_names(config_type: type) -> dict[str, str]:
    """What leaves were called once -> their dotted names now: old configs, checkpoints and commands go on working.

    A config lists them beside its fields: `FORMER: ClassVar = {"num_kinds": "num_components"}`.
    """
    hints = typing.get_type_hints(config_type)
    names = dict(getattr(config_type, "FORMER", {}))
    for field in dataclasses.fields(typing.cast(Any, config_type)):
        if dataclasses.is_dataclass(hint := hints[field.name]):
            inner = former_names(hint)
            names |= {f"{field.name}.{old}": f"{field.name}.{new}" for old, new in inner.items()}
    return names


def leaf_types(config_type: type) -> dict[str, Any]:
    """The annotated type of every leaf under its dotted name."""
    hints = typing.get_type_hints(config_type, include_extras=True)
    types: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, config_type)):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            types |= {f"{field.name}.{name}": leaf for name, leaf in leaf_types(hint).items()}
        else:
            types[field.name] = hint
    return types


def to_dict(config: Any) -> dict[str, Any]:
    """Nested plain containers (tuples become lists), ready for YAML or JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(config_type: type[Config], values: Mapping[str, Any]) -> Config:
    """Rebuild a config from `to_dict`'s form; fields that are absent take their defaults.

    Raises:
        InputError: as `with_overrides`.
    """
    return with_overrides(config_type(), flatten_mapping(values))


def dump(config: Any, path: Path) -> None:
    """Write a config as YAML that `load` reads back to an equal config."""
    import yaml

    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False))


def load(config_type: type[Config], path: Path) -> Config:
    """Read a config that `dump` wrote.

    Raises:
        InputError: no such file, not a YAML mapping, an unknown key or a wrong type.
    """
    import yaml

    if not path.is_file():
        raise InputError(f"config {path}: no such file; expected a YAML that `harray train` saved")
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"config {path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise InputError(f"config {path}: found {type(values).__name__}, expected a mapping of sections")
    return from_dict(config_type, values)


def digest(value: Any) -> str:
    """16 hexadecimal digits that stand for a config or for plain JSON-able data, the same on every machine."""
    plain = to_dict(value) if dataclasses.is_dataclass(value) else value
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()


def flatten_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of nested mappings under their dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves |= {f"{name}.{inner}": leaf for inner, leaf in flatten_mapping(value).items()}
        else:
            leaves[name] = value
    return leaves


def type_name(leaf_type: Any) -> str:
    """A type as people read it, without what bounds its values.

    >>> type_name(Count), type_name(Fraction | None), type_name(tuple[int, ...])
    ('int', 'float or null', 'list of int')
    """
    origin, inner = typing.get_origin(leaf_type), typing.get_args(leaf_type)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin is tuple:
        return f"list of {type_name(inner[0])}"
    if inner:
        return " or ".join(type_name(part) for part in inner)
    return (
        "null"
        if leaf_type is type(None)
        else {str: "text", bool: "true or false"}.get(leaf_type, leaf_type.__name__)
    )


def unknown_key(name: str, known: Mapping[str, Any]) -> str:
    """What to say of a name that is no key of `known`: the nearest, else the sections that there are."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    near += [key for key in known if key.rpartition(".")[2] == name.rpartition(".")[2] and key not in near]
    hint = f"nearest: {', '.join(near[:4])}" if near else f"sections: {', '.join(_sections(known))}"
    return f"unknown key {name!r}; {hint}"


def _replaced(config: Config, overrides: Mapping[str, Any], prefix: str) -> Config:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, config)):
        name, value = prefix + field.name, getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = _replaced(value, overrides, prefix=f"{name}.")
        elif name in overrides:
            changes[field.name] = overrides[name]
    return dataclasses.replace(typing.cast(Any, config), **changes)


def _validated(name: str, leaf_type: Any, value: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(leaf_type).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{name}: found {value!r}, expected {type_name(leaf_type)} ({reason})") from error


def _sections(known: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in known))
