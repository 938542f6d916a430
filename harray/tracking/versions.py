"""What the registry holds: models, their versions, what they score, and who promoted what when."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harray.tracking.cards import sections_of
from harray.tracking.history import Move, moves
from harray.tracking.location import connect
from harray.tracking.origin import RECIPE_TAG, STORE_DIGEST_TAG, STORE_TAG
from harray.tracking.registry import registered_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

SHOWN_SCORES = ".top1"
VERDICT_TAG = "harray.gate.verdict"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model."""

    version: int
    aliases: tuple[str, ...]
    created: str  # UTC, ISO 8601
    run_id: str | None
    scores: Mapping[str, float]  # split -> top-1; val as of the end of training
    store: str
    store_digest: str
    recipe: str
    verdict: str  # of its last gate; empty if there was none


@dataclass(frozen=True, kw_only=True)
class Model:
    """A registered model, the latest version first."""

    name: str
    versions: tuple[Version, ...]
    history: tuple[Move, ...]


def registered_models(uri: str, name: str | None = None) -> list[Model]:
    """Every registered model, or the one of that name.

    Raises:
        InputError: no such model; those that exist are listed.
    """
    client = connect(uri, must_exist=True)
    if name is not None:
        return [_model(client, registered_model(client, uri, name))]
    return [_model(client, found) for found in client.search_registered_models()]


def _model(client: "MlflowClient", found: Any) -> Model:
    whole = client.get_registered_model(found.name)
    pointing: dict[int, list[str]] = {}
    for alias, number in whole.aliases.items():
        pointing.setdefault(int(number), []).append(alias)
    versions = client.search_model_versions(f"name = '{found.name}'")
    listed = [_version(client, version, pointing.get(int(version.version), [])) for version in versions]
    return Model(
        name=found.name,
        versions=tuple(sorted(listed, key=lambda version: -version.version)),
        history=tuple(moves(whole.tags)),
    )


def _version(client: "MlflowClient", version: Any, aliases: list[str]) -> Version:
    from mlflow.exceptions import MlflowException

    tags: Mapping[str, str] = {}
    metrics: Mapping[str, float] = {}
    if version.run_id:
        try:
            data = client.get_run(version.run_id).data
            tags, metrics = data.tags, data.metrics
        except MlflowException:
            pass  # the run was removed for good; what the version says of itself is left
    sections = sections_of(version.tags)
    made = sections.get("made", {})
    scores = {key.removesuffix(SHOWN_SCORES): value for key, value in metrics.items() if _is_score(key)}
    return Version(
        version=int(version.version),
        aliases=tuple(sorted(aliases)),
        created=_iso(version.creation_timestamp),
        run_id=version.run_id,
        scores=dict(sorted(scores.items())),
        store=tags.get(STORE_TAG, made.get("store", "")),
        store_digest=tags.get(STORE_DIGEST_TAG, made.get("store_digest", "")),
        recipe=tags.get(RECIPE_TAG, made.get("recipe", "")),
        verdict=version.tags.get(VERDICT_TAG, ""),
    )


def _is_score(key: str) -> bool:
    """`test.top1`, not `test.fusion.top1` nor `test.floor.linear_pose.top1`; `leaked.` says that it is no test's."""
    return key.endswith(SHOWN_SCORES) and "." not in key.removesuffix(SHOWN_SCORES).removeprefix("leaked.")


def _iso(milliseconds: int) -> str:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).isoformat()
