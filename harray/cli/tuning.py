"""Commands that search, and that repeat what was recorded: tune, rerun."""

import dataclasses
import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from harray.cli import advice, options
from harray.cli.terminal import Terminal, session
from harray.config import flatten
from harray.errors import InputError
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.api.sweeps import Sweep
    from harray.tuning.outcome import SweepOutcome

BEST_SHOWN = 5
DEFAULT_SPLIT = "test"

Search = Annotated[
    str,
    typer.Option("--search", help="pcm, mme, cfn, optimisation, all, or your own function as FILE.py:NAME."),
]
Trials = Annotated[int, typer.Option("--trials", min=1, help="Trials in all.")]
TimeBudget = Annotated[
    str | None,
    typer.Option("--time-budget", help="Stop after this time, such as 90s, 30m or 2h; --resume continues."),
]
WorkersPerTrial = Annotated[
    int,
    typer.Option("--workers-per-trial", min=0, help="DDP workers of Ray Train in each trial; 0 needs none."),
]
AtOnce = Annotated[
    int | None,
    typer.Option("--at-once", min=1, help="Trials at the same time. Default: as many as the cluster holds."),
]
Objective = Annotated[
    Literal["accuracy", "accuracy-latency"],
    typer.Option("--objective", help="Val macro F1, alone or together with the time to recognise a clip."),
]
MaxFailed = Annotated[
    str, typer.Option("--max-failed", help="Stop when more of the trials fail than this share.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the last sweep of the same search and settings.")
]
RegisterBest = Annotated[
    str | None,
    typer.Option("--register", metavar="NAME", help="Train the best on train + val and register it."),
]
FinalSplit = Annotated[str, typer.Option("--split", help="With --register: scored once, by the final model.")]


def tune(
    store: options.Store,
    search: Search = "all",
    trials: Trials = 24,
    time_budget: TimeBudget = None,
    workers_per_trial: WorkersPerTrial = 0,
    at_once: AtOnce = None,
    objective: Objective = "accuracy",
    max_failed: MaxFailed = "25%",
    resume: Resume = False,
    register: RegisterBest = None,
    split: FinalSplit = DEFAULT_SPLIT,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    init: options.Init = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Search hyperparameters: Optuna on Ray Tune.

    Starts from the recipe, which is the first trial; trials see train and val only, and bad ones are pruned.
    What key=value fixes is not searched. Every trial is a run in MLflow, nested in the sweep's. A sweep may be
    killed at any moment: the same command with --resume goes on.
    """
    from harray.api.tune import keys_of, sweep_config, tune_recorded
    from harray.tuning.config import SweepConfig

    options.check_store(store)
    overrides = options.starting_from(init, overrides)
    experiment = options.build_config(recipe, config, overrides)
    asked = SweepConfig(
        recipe=str(config or recipe),
        search=search,
        fixed=keys_of(overrides),
        objective=objective,
        num_trials=trials,
        max_failed=_share(max_failed),
        time_budget_sec=_seconds(time_budget) if time_budget else None,
        at_once=at_once,
        workers_per_trial=workers_per_trial,
        resume=resume,
    )
    asked = sweep_config(asked, store, experiment)
    if split != DEFAULT_SPLIT:
        options.check_split(store, split)
    if register:
        from harray.api.models import check_model_name

        check_model_name(register)
    workspace = Workspace(out, tracking_uri)
    with session(out, "tune", as_json) as terminal:
        from harray.api.outcomes import outcome_of

        if register and (missing := options.no_test_part(store, experiment.training)):
            terminal.say(f"note: {missing}; so the winner will be registered without a score")
        outcome, missed = outcome_of(lambda: tune_recorded(asked, workspace, terminal))
        show_sweep(terminal, outcome, advice.where(out, tracking_uri))
        answer = {**outcome.to_json(), "model_version": None, "test": None}
        if register and not missed:
            from harray.api.winner import train_winner

            found, missed = outcome_of(
                lambda: train_winner(outcome, workspace, terminal, name=register, split=split)
            )
            answer |= _show_winner(terminal, found, split)
        terminal.json(answer)
        if missed:
            raise missed


def rerun(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="MLflow run of a training or of a trial.")],
    store: Annotated[
        str | None, typer.Option("--store", help="Where the run's store lies now, if it was moved.")
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Repeat a recorded training, and compare.

    From the recorded configuration and seed, on a store whose clips have the recorded digest. Exits with 1 where they
    differ.
    """
    with session(out, "rerun", as_json) as terminal:
        from harray.api.outcomes import outcome_of
        from harray.api.rerun import TOLERANCE, rerun_recorded

        workspace = Workspace(out, tracking_uri)
        again, missed = outcome_of(lambda: rerun_recorded(run_id, workspace, terminal, store=store))
        table = Table(f"epoch {again.num_epochs}", "then", "now", box=None, pad_edge=False)
        for name, (then, now) in again.val.items():
            table.add_row(name, f"{then:.4f}", f"{now:.4f}")
        terminal.result(table)
        verdict = "the metrics agree" if again.agrees else "the metrics DIFFER"
        terminal.result(
            f"{verdict}: greatest difference {again.greatest_difference:.2g} ({again.metric}, epoch {again.epoch}), "
            f"tolerance {TOLERANCE:g}; run {again.rerun_id}"
        )
        terminal.json({**dataclasses.asdict(again), "agrees": again.agrees})
        if missed:
            raise missed
        if not again.agrees:
            raise typer.Exit(1)


def _show_winner(terminal: Terminal, found: "Sweep", split: str) -> dict[str, object]:
    """The winner as it was registered, if it was, and what JSON says of it."""
    trained = found.model.training if found.model else None
    if trained is None or trained.registered is None:
        return {}
    score = f", the store has no split {split!r} to score it on"
    if found.report:
        score = f", {split} macro F1 {found.report.scores.macro_f1:.3f}"
    num_epochs = trained.result.num_epochs
    terminal.result(f"registered: {trained.model_version}, {num_epochs} epochs on train + val{score}")
    test = dataclasses.asdict(found.report.scores) if found.report else None
    return {"model_version": trained.registered.version, "test": test}


def show_sweep(terminal: Terminal, outcome: "SweepOutcome", where: dict[str, object]) -> None:
    """The best trials beside the recipe, and where the rest is."""
    asked = outcome.config
    base, latency = flatten(asked.experiment), ["ms"] if asked.objective == "accuracy-latency" else []
    table = Table("trial", "val macro F1", *latency, "epochs", "what differs from the recipe")
    table.box, table.pad_edge = None, False
    for row in outcome.rows[:BEST_SHOWN]:
        values = [f"{value:.3f}" for value in row.values] or [row.state]
        changed = [
            f"{name}={_short(value)}"
            for name, value in row.params.items()
            if _short(value) != _short(base.get(name))
        ]
        note = "" if row.state == "complete" else f" ({row.state})"
        table.add_row(f"{row.number}{note}", *values, str(row.num_epochs), "\n".join(changed) or "nothing")
    terminal.result(table)
    states = outcome.to_json()["states"]
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    terminal.result(f"{len(outcome.rows)} trials in {outcome.seconds:.0f} s: {counts}")
    if outcome.stopped_by:
        terminal.result(f"stopped: {outcome.stopped_by}")
    for reason in dict.fromkeys(row.reason for row in outcome.rows if row.state == "failed"):
        terminal.result(f"failed: {reason}")
    for figure in outcome.figures:
        terminal.result(f"figure: {figure}")
    flags = {"--config": outcome.best_config, **where}
    command = options.train_command(asked.store, outcome.experiment.training, flags)
    terminal.result(f"next: {command}")


def _short(value: object) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError(f"--max-failed {text}: expected a share such as 25%")
    return share


def _seconds(text: str) -> float:
    """A time as people write it: 90s, 30m, 2h, 1h30m.

    Raises:
        InputError: something else.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or match is None:
        raise InputError(f"time {text!r}: expected such as 90s, 30m, 2h or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds
