"""Who moved which alias when, from which version to which, and the way back.

Every move is a tag of the registered model with a name of its own, so that what was recorded is never overwritten:

    harray.alias.champion.20261127T220305.123456Z-1f3a   {"version": 3, "before": 2, "how": "gate better", ...}
"""

import contextlib
import datetime
import getpass
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harray.errors import InputError
from harray.tracking.location import connect
from harray.tracking.registry import CHAMPION, Registered, registered_model, registered_version, version_named

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "harray.alias."
BY_HAND, ROLLBACK = "by hand", "rollback"


class ChampionChanged(InputError):
    """The alias no longer points where it did when the comparison began."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """An alias that was moved."""

    alias: str
    version: int
    before: int | None  # the version it pointed to; None: to none
    by: str
    when: str  # UTC, ISO 8601
    how: str  # `by hand`, `rollback`, `gate better` and the like

    def __str__(self) -> str:
        came = f" from version {self.before}" if self.before is not None else ""
        when = self.when[:16].replace("T", " ")
        return f"{when} UTC: {self.alias} to version {self.version}{came}, by {self.by}, {self.how}"


def move_alias(
    uri: str,
    name: str,
    version: int,
    alias: str = CHAMPION,
    *,
    how: str = BY_HAND,
    only_from: int | None = None,
) -> Registered:
    """Let an alias point to a version, and record it.

    Args:
        only_from: the version to which the alias must still point. MLflow has no compare-and-set, so this is asked just
            before it is moved.

    Raises:
        InputError: no such model or version; those that exist are listed.
        ChampionChanged: the alias points elsewhere by now.
    """
    client = connect(uri, must_exist=True)
    found = int(version_named(client, uri, name, str(version)).version)
    before = pointed_to(client, uri, name, alias)
    if only_from is not None and before != only_from:
        raise ChampionChanged(
            f"model {name!r}: {alias} is version {before} by now, and version {only_from} was compared; compare again"
        )
    client.set_registered_model_alias(name, alias, str(found))
    record_move(client, name, alias, found, before, how)
    return registered_version(client, name, found)


def record_move(
    client: "MlflowClient", name: str, alias: str, version: int, before: int | None, how: str
) -> None:
    """Record a move that was made."""
    now = datetime.datetime.now(datetime.UTC)
    key = f"{PREFIX}{alias}.{now:%Y%m%dT%H%M%S.%f}Z-{uuid.uuid4().hex[:4]}"
    said = {"version": version, "before": before, "by": who(), "when": now.isoformat(), "how": how}
    client.set_registered_model_tag(name, key, json.dumps(said))


def rollback(uri: str, name: str, alias: str = CHAMPION) -> Registered:
    """Let an alias point where it did before its last move; once more goes back one further.

    Raises:
        InputError: no such model, nothing to go back to, or a version that was deleted.
    """
    client = connect(uri, must_exist=True)
    model = registered_model(client, uri, name)
    now = model.aliases.get(alias)
    target = way_back(moves(model.tags), alias, None if now is None else int(now))
    if target is None:
        raise InputError(
            f"model {name!r}: no earlier {alias} is recorded; `harray promote {name} VERSION` moves it by hand"
        )
    return move_alias(uri, name, target, alias, how=ROLLBACK)


def way_back(history: Sequence[Move], alias: str, now: int | None) -> int | None:
    """The version that a rollback leads to: promotions go up a stack, each rollback takes one off."""
    stack: list[int] = []
    for move in history:
        if move.alias != alias:
            continue
        if move.before is not None and stack[-1:] != [move.before]:
            stack.append(move.before)  # somebody else's move, that nobody recorded
        if move.how == ROLLBACK:
            while stack and stack[-1] != move.version:
                stack.pop()
        if stack[-1:] != [move.version]:
            stack.append(move.version)
    if now is not None and stack and stack[-1] != now:
        return stack[-1]
    return stack[-2] if len(stack) > 1 else None


def moves(tags: Mapping[str, str]) -> list[Move]:
    """The moves that a registered model's tags record, the first one first."""
    found = []
    for key, value in tags.items():
        if key.startswith(PREFIX):
            alias = key.removeprefix(PREFIX).rsplit(".", 2)[0]
            with contextlib.suppress(ValueError, TypeError):  # a tag that somebody else wrote so
                found.append(Move(alias=alias, **json.loads(value)))
    return sorted(found, key=lambda move: move.when)


def pointed_to(client: "MlflowClient", uri: str, name: str, alias: str) -> int | None:
    """The version that an alias points to."""
    version = registered_model(client, uri, name).aliases.get(alias)
    return None if version is None else int(version)


def alias_of(uri: str, name: str, alias: str) -> int | None:
    """The version that an alias points to now; None where it points to none.

    Raises:
        InputError: no such model; those that exist are listed.
    """
    return pointed_to(connect(uri, must_exist=True), uri, name, alias)


def who() -> str:
    """The user's name, where the machine knows one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user id has no name
        return "unknown"
