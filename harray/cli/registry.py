"""Commands about registered models: promote, roll back, list."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harray.api.models import CHAMPION
from harray.cli import advice, options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError
from harray.workspace import Workspace

EXIT_REFUSED = 3  # for scripts: nothing went wrong, and nothing was promoted

Name = Annotated[str, typer.Argument(help="Registered model.")]
Alias = Annotated[str, typer.Option("--alias", help="Which alias is moved.")]
Limit = Annotated[float | None, typer.Option(min=0, help="Of the challenger, whatever the champion does.")]


def promote(
    name: Name,
    version: Annotated[int, typer.Argument(help="Its version.")],
    alias: Alias = CHAMPION,
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate",
            metavar="better|not-worse",
            help="Compare with the present champion, and promote only what has earned it; exit code 3 if not.",
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option("--margin", min=0, max=1, help="Of top-1: better by at least, or not worse by as much."),
    ] = 0.01,
    split: Annotated[str, typer.Option("--split", help="Of the store: what both are scored on.")] = "test",
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Feature store; by default the one that the challenger learned from."),
    ] = None,
    max_latency_ms: Limit = None,
    max_memory_mb: Limit = None,
    max_calibration_error: Limit = None,
    min_top1: Limit = None,
    min_occluded: Limit = None,
    min_class: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, but move and record nothing in MLflow.")
    ] = False,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Make a model version the champion.

    Points an alias at it, by hand or by evidence. With --gate both versions are scored on the same clips, none of
    which either learned from. `better` asks for a difference beyond chance, `not-worse` that a loss of the margin
    is ruled out; a slice that is worse refuses either.
    """
    floors = {
        "max_latency_ms": max_latency_ms,
        "max_memory_mb": max_memory_mb,
        "max_calibration_error": max_calibration_error,
        "min_top1": min_top1,
        "min_occluded": min_occluded,
        "min_class": min_class,
    }
    workspace = Workspace(out, tracking_uri)
    if gate is None:
        given = [f"--{floor.replace('_', '-')}" for floor, limit in floors.items() if limit is not None]
        if given or dry_run:
            raise InputError(
                f"{(given or ['--dry-run'])[0]}: nothing is compared without --gate; add --gate better"
            )
        from harray.api.promote import promote as promote_by_hand

        terminal = Terminal(as_json=as_json)
        registered = promote_by_hand(name, version, alias, workspace)
        terminal.result(f"{registered.name} version {registered.version} is now {alias}: {registered.uri}")
        said = {"name": registered.name, "version": registered.version, "aliases": registered.aliases}
        terminal.json({**said, "verdict": "promoted", "reasons": ["by hand"]})
        return
    from harray.api.promote import Floors, Gate

    asked = Gate(mode=gate, margin=margin, floors=Floors(**floors))  # ty: ignore[invalid-argument-type]
    with session(out, "promote", as_json) as terminal:
        from harray.api.promote import Question, promote_by_evidence

        question = Question(
            name=name, version=version, alias=alias, split=split, store=store, dry_run=dry_run
        )
        promotion = promote_by_evidence(question, asked, workspace, terminal)
        terminal.say(str(promotion.duel.left_out))
        terminal.result(str(promotion))
        terminal.result(f"page: {promotion.page}")
        if promotion.registered is not None:
            back = advice.command("rollback", name, flags=advice.where(out, tracking_uri))
            terminal.result(f"back: {back}")
        terminal.json(promotion.to_json())
    if not promotion.verdict.passed:
        raise typer.Exit(EXIT_REFUSED)


def rollback(
    name: Name,
    alias: Alias = CHAMPION,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Undo the last move of an alias.

    Once more goes back one further.
    """
    from harray.api.promote import rollback as roll_back

    terminal = Terminal(as_json=as_json)
    registered = roll_back(name, alias, Workspace(out, tracking_uri))
    terminal.result(f"{registered.name} version {registered.version} is {alias} again: {registered.uri}")
    terminal.json({"name": registered.name, "version": registered.version, "aliases": registered.aliases})


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One model; else all.")] = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """List registered models.

    Their versions, aliases, scores and data, and who promoted what when.
    """
    from harray.api.promote import models as registered_models

    terminal = Terminal(as_json=as_json)
    found = registered_models(name, Workspace(out, tracking_uri))
    if not found:
        terminal.result("no model is registered; `harray train --register NAME` registers one")
    for model in found:
        table = Table(box=None, pad_edge=False, title=model.name, title_justify="left")
        for heading in ("version", "aliases", "made (UTC)", "top-1", "data", "gate"):
            table.add_column(heading, overflow="fold")
        for version in model.versions:
            scores = ", ".join(f"{split} {top1:.3f}" for split, top1 in version.scores.items())
            data = f"{Path(version.store).name} {version.store_digest[:8]}".strip()
            made = version.created[:16].replace("T", " ")
            table.add_row(
                str(version.version), ", ".join(version.aliases), made, scores, data, version.verdict
            )
        terminal.result(table)
        for move in model.history:
            terminal.result(f"  {move}")
    terminal.json({"models": [dataclasses.asdict(model) for model in found]})
