"""The demo: the whole story on procedural videos, no GPU, no network."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harray.cli import options
from harray.cli.terminal import session
from harray.workspace import Workspace

DEMO_OUT = Path("harray-demo")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that the demo makes.")] = DEMO_OUT,
    clips_per_action: Annotated[
        int, typer.Option("--clips-per-action", min=3, help="Clips of each of the twelve actions.")
    ] = 30,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Run everything once, on rendered videos.

    Needs no GPU and no network. Renders, extracts, searches hyperparameters, trains the winner, registers it, loads
    the champion back, and evaluates and explains it on actors it has never seen.
    """
    with session(out, "demo", as_json) as terminal:
        from harray.api.demo import demo as run_demo
        from harray.api.outcomes import outcome_of
        from harray.api.predict import entry_line
        from harray.cli.models import show_scores

        outcome, missed = outcome_of(
            lambda: run_demo(
                overrides=overrides,
                clips_per_action=clips_per_action,
                workspace=Workspace(out, tracking_uri),
                reporter=terminal,
            )
        )
        best = outcome.sweep.best[0]
        terminal.result(
            f"sweep: trial {best.number} of {len(outcome.sweep.rows)} won with val macro F1 {best.values[0]:.3f}"
        )
        show_scores(terminal, outcome.report)
        for entry in outcome.predictions:
            terminal.result(f"unseen actor, {Path(entry['video']).name}: {entry_line(entry)}")
        terminal.result("")
        terminal.result(f"report:  {outcome.report_file}")
        for entry in outcome.predictions[:1]:
            terminal.result(f"overlay: {entry.get('explanation', [entry.get('error')])[0]}")
        terminal.result(f"model:   {outcome.model}")
        terminal.result(f"MLflow:  uv run mlflow ui --backend-store-uri {shlex.quote(outcome.tracking_uri)}")
        terminal.result("next, on your own videos (one folder per class):")
        terminal.result("  uv run harray extract VIDEOS --store STORE")
        terminal.result("  uv run harray train --store STORE --register actions")
        terminal.result("  uv run harray predict models:/actions@champion NEW.mp4 --explain why/")
        terminal.json(outcome.to_json())
        if missed:
            raise missed
