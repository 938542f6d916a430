"""The registry's verbs: promote by hand or by evidence, roll back, list what there is.

champion and challenger -> duel on the same clips -> gate -> evidence recorded -> alias moved, if it still stands
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harray.api.session import working
from harray.errors import InputError
from harray.files import Place
from harray.names import short_name
from harray.reporting import Reporter
from harray.store import FeatureStore
from harray.tracking.evidence import record_verdict
from harray.tracking.history import ChampionChanged, alias_of, move_alias
from harray.tracking.history import rollback as rollback_alias
from harray.tracking.location import tracking_uri
from harray.tracking.registry import CHAMPION, Registered, resolve_model, run_of_model
from harray.tracking.runs import store_of_run
from harray.tracking.versions import Model, registered_models
from harray.validation.duel import NUM_STEPS, Contender, Duel, duel
from harray.validation.duel_page import Names, evidence_json, write_duel
from harray.validation.gate import Floors as Floors
from harray.validation.gate import Gate, Verdict, decide
from harray.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which version is to take which alias, and on what it has to show its worth."""

    name: str
    version: int
    alias: str = CHAMPION
    split: str = "test"
    store: Place | None = None  # None for the one that the challenger learned from
    dry_run: bool = False  # neither record anything nor move the alias


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What came of a question."""

    verdict: Verdict
    names: Names
    duel: Duel
    registered: Registered | None  # None where the alias was not moved
    page: Path
    evidence: str  # where MLflow has the page; empty where it was not recorded
    dry_run: bool

    def __str__(self) -> str:
        """The verdict in a line."""
        who = f"{self.names.model} version {self.names.challenger}"
        if not self.verdict.passed:
            return f"refused: {who}: {'; '.join(self.verdict.reasons)}"
        did = "would be promoted" if self.dry_run else "promoted"
        return f"{did}: {who}: {'; '.join(self.verdict.reasons)}"

    def to_json(self) -> dict[str, Any]:
        """verdict, reasons, aliases; and what they rest on."""
        return {
            **self.verdict.to_json(),
            "name": self.names.model,
            "version": self.names.challenger,
            "against": self.names.champion,
            "aliases": list(self.registered.aliases) if self.registered else [],
            "dry_run": self.dry_run,
            "page": str(self.page),
            "evidence": self.evidence,
        }


def promote(name: str, version: int, alias: str = CHAMPION, workspace: Workspace | None = None) -> Registered:
    """Let an alias point to a version because you say so; recorded, so that `rollback` leads back.

    Raises:
        InputError: no such model or version; those that exist are listed.
    """
    return move_alias(tracking_uri(workspace or Workspace()), name, version, alias)


def rollback(name: str, alias: str = CHAMPION, workspace: Workspace | None = None) -> Registered:
    """Let an alias point where it did before its last move; once more goes back one further.

    Raises:
        InputError: no such model, or nothing recorded to go back to.
    """
    return rollback_alias(tracking_uri(workspace or Workspace()), name, alias)


def models(name: str | None = None, workspace: Workspace | None = None) -> list[Model]:
    """Registered models with their versions, scores and moves of aliases.

    Raises:
        InputError: no such model; those that exist are listed.
    """
    return registered_models(tracking_uri(workspace or Workspace()), name)


def promote_by_evidence(
    question: Question,
    gate: Gate | None = None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Promotion:
    """Compare a version with whatever holds the alias, and move the alias if it earned it.

    Raises:
        InputError: no such model or version, nobody holds the alias, it does already, a store that does not fit both
            models, or no clip that neither learned from.
        NotRecorded: the tracking store does not take the evidence; the alias is where it was.
    """
    with working(workspace, reporter) as (place, told):
        return _compared(question, gate or Gate(), place, told)


def _compared(question: Question, gate: Gate, workspace: Workspace, reporter: Reporter) -> Promotion:
    uri = tracking_uri(workspace)
    champion = _champion(question, uri)
    versions = {"champion": champion, "challenger": question.version}
    references = {role: f"models:/{question.name}/{number}" for role, number in versions.items()}
    folders = {role: resolve_model(reference, uri) for role, reference in references.items()}
    run_id = run_of_model(references["challenger"], uri)
    store = FeatureStore.open(question.store or _store_of(run_id, uri))
    with reporter.progress("comparing", "steps") as update:
        steps = iter(range(NUM_STEPS + 1))
        pair = (
            Contender.load("champion", folders["champion"]),
            Contender.load("challenger", folders["challenger"]),
        )
        found = duel(pair, store, question.split, lambda note: update(next(steps), NUM_STEPS, note))
    names = Names(
        model=question.name,
        champion=champion,
        challenger=question.version,
        split=question.split,
        store=str(store.path),
        store_digest=store.digest(),
    )
    verdict = decide(gate, found.measured)
    if verdict.passed and not question.dry_run and (now := _holder(question, uri)) != champion:
        verdict = _overtaken(question, champion, now)
    folder = workspace.out / "promotions" / _folder_name(question, champion)
    page = write_duel(found, gate, verdict, names, store, folder)[0]
    promotion = Promotion(
        verdict=verdict,
        names=names,
        duel=found,
        registered=None,
        page=page,
        evidence="",
        dry_run=question.dry_run,
    )
    return promotion if question.dry_run else _act(promotion, question, gate, run_id, uri)


def _act(promotion: Promotion, question: Question, gate: Gate, run_id: str | None, uri: str) -> Promotion:
    """Record the evidence, then move the alias where it is earned."""
    names, verdict = promotion.names, promotion.verdict
    data = evidence_json(promotion.duel, gate, verdict, names)
    evidence = record_verdict(uri, names.model, names.challenger, run_id, data, promotion.page.parent)
    promotion = replace(promotion, evidence=evidence)
    if not verdict.passed:
        return promotion
    try:
        registered = move_alias(
            uri,
            names.model,
            names.challenger,
            question.alias,
            how=f"gate {gate.mode}",
            only_from=names.champion,
        )
    except ChampionChanged as error:
        verdict = Verdict(passed=False, reasons=(str(error),))
        data |= verdict.to_json()
        record_verdict(uri, names.model, names.challenger, run_id, data, None)
        return replace(promotion, verdict=verdict)
    return replace(promotion, registered=registered)


def _champion(question: Question, uri: str) -> int:
    holder = _holder(question, uri)
    if holder is None:
        raise InputError(
            f"model {question.name!r}: no version is {question.alias}, so there is nothing to compare with; "
            f"`harray promote {question.name} {question.version}` without --gate makes it so"
        )
    if holder == question.version:
        raise InputError(
            f"model {question.name!r}: version {question.version} is {question.alias} already; name a challenger, "
            f"as `harray models {question.name}` lists them"
        )
    return holder


def _holder(question: Question, uri: str) -> int | None:
    return alias_of(uri, question.name, question.alias)


def _overtaken(question: Question, champion: int, now: int | None) -> Verdict:
    said = f"{question.alias} is version {now} by now, and version {champion} was compared; compare again"
    return Verdict(passed=False, reasons=(said,))


def _store_of(run_id: str | None, uri: str) -> Path:
    store = store_of_run(uri, run_id) if run_id else None
    if store is None or not store.is_dir():
        what = (
            f"the store that the challenger learned from is gone ({store})"
            if store
            else "no store is recorded"
        )
        raise InputError(f"{what}; name one by --store")
    return store


def _folder_name(question: Question, champion: int) -> str:
    when = time.strftime("%Y%m%d-%H%M%S")
    return short_name(f"{question.name}-{question.version}-against-{champion}-{when}")
