"""Commands that make and use models: train, pretrain, evaluate, predict."""

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harray.cli import advice, options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.api.train import Trained
    from harray.evaluation.report import EvaluationReport


RECONSTRUCTED = ("pcm", "hold", "linear", "spline")  # columns of the reconstruction table


def train(
    store: options.Store,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    init: options.Init = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="DDP workers of Ray Train; 0 trains in this process.")
    ] = 0,
    storage: options.Storage = None,
    max_failures: options.MaxFailures = 3,
    register: Annotated[
        str | None, typer.Option("--register", metavar="NAME", help="Register the model under this name.")
    ] = None,
    test_share: options.TestShare = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Train the fusion model on a store.

    The run is recorded in MLflow: config, metrics per epoch, the model.
    """
    overrides = options.starting_from(init, overrides)
    experiment = options.build_config(recipe, config, overrides)
    options.check_store(store)
    from harray.api.stores import Store

    there = Store(store)
    if test_share is not None:
        there.check_share(test_share)
    with session(out, "train", as_json) as terminal:
        from harray.api.outcomes import outcome_of
        from harray.api.train import Workers
        from harray.api.train import train as train_model

        if test_share is not None:
            terminal.result(str(there.hold_out_test(test_share, "harray train --test-share")))
        elif missing := options.no_test_part(store, experiment.training):
            terminal.say(f"note: {missing}")
        model, missed = outcome_of(
            lambda: train_model(
                there,
                recipe=recipe,
                config=config,
                overrides=overrides,
                register=register,
                workers=Workers(count=workers, storage=storage, max_failures=max_failures),
                workspace=Workspace(out, tracking_uri),
                reporter=terminal,
            )
        )
        flags = advice.where(out, tracking_uri)
        again = {**flags, **advice.start(recipe, config), "--register": register}
        again |= {"--workers": workers or None, "--storage": storage if workers else None}
        next_command = _evaluation(store, experiment, model.name, flags) or options.train_command(
            store, experiment.training, again, overrides
        )
        assert model.training is not None
        show_training(terminal, model.training, next_command)
        if missed:
            raise missed


def pretrain(
    store: options.Store,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    init: options.Init = None,
    register: Annotated[
        str | None, typer.Option("--register", metavar="NAME", help="Register the model under this name.")
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Learn motion from clips without labels.

    PCM learns to complete hidden joints, MME to predict masked motion; labels are ignored. `harray train --from` starts
    from the outcome, with the same recipe.
    """
    overrides = options.starting_from(init, overrides)
    options.build_config(recipe, config, overrides)
    options.check_store(store)
    with session(out, "pretrain", as_json) as terminal:
        from harray.api.outcomes import outcome_of
        from harray.api.pretrain import pretrain as learn

        model, missed = outcome_of(
            lambda: learn(
                store,
                recipe=recipe,
                config=config,
                overrides=overrides,
                register=register,
                workspace=Workspace(out, tracking_uri),
                reporter=terminal,
            )
        )
        flags = {"--store": store, "--from": model.name, **advice.start(recipe, config)}
        assert model.training is not None
        show_training(
            terminal, model.training, advice.command("train", flags=flags | advice.where(out, tracking_uri))
        )
        if missed:
            raise missed


def _evaluation(store: str, experiment: ExperimentConfig, model: str, where: dict[str, object]) -> str | None:
    """The command that scores a model where the store has what to score it on."""
    from harray.api.stores import Store

    split = Store(store).scored_split(experiment.training)
    flags = {"--store": store, "--split": None if split == "test" else split, **where}
    return split and advice.command("evaluate", model, flags=flags)


def show_training(terminal: Terminal, trained: "Trained", next_command: str) -> None:
    """What came of a training, for people and as JSON."""
    result, registered = trained.result, trained.registered
    if trained.resumed:
        terminal.say("went on with the training that the same command had left unfinished")
    for decision in result.decisions:
        terminal.result(decision)
    if result.val:
        terminal.result(
            f"val at epoch {result.best_epoch} of {result.num_epochs}: "
            f"top-1 {result.val.top1:.3f}, macro F1 {result.val.macro_f1:.3f}"
        )
        if name := trained.better_floor:
            terminal.result(
                f"a floor beats the model on val: {name.replace('_', ' ')}, top-1 {trained.floors[name].top1:.3f}"
            )
    if registered:
        terminal.result(f"registered: {registered.name} version {registered.version}, {registered.uri}")
    terminal.result(f"checkpoint: {result.checkpoint}")
    terminal.result(f"next: {next_command}")
    terminal.json(
        {
            "checkpoint": str(result.checkpoint),
            "run_id": trained.run_id,
            "model_version": registered.version if registered else None,
            "val": result.val and dataclasses.asdict(result.val),
            "floors": {name: dataclasses.asdict(scores) for name, scores in trained.floors.items()},
            "train_sec": result.train_sec,
            "num_epochs": result.num_epochs,
            "best_epoch": result.best_epoch,
            "decisions": result.decisions,
            "resumed": trained.resumed,
        }
    )


def evaluate(
    model: options.Model,
    store: options.Store,
    split: Annotated[
        str, typer.Option("--split", help="Which split of the store; all: every clip.")
    ] = "test",
    occlusion: Annotated[bool, typer.Option(help="Measure accuracy with joints hidden.")] = True,
    min_precision: options.MinPrecision = None,
    allow_leak: Annotated[
        bool,
        typer.Option(
            "--allow-leak", help="Score a test split though the model learned from clips or groups of it."
        ),
    ] = False,
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes",
            metavar="MAP.csv",
            help="For a store of another data set: label,class of the same meaning; no class leaves a label out.",
        ),
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Score a model on a split, part by part.

    Prints scores, pose-only and scene-only, accuracy with joints hidden; writes an HTML report.
    """
    options.check_model(model)
    if split == "all":
        options.check_store(store)
    else:
        options.check_split(store, split)
    with session(out, "evaluate", as_json) as terminal:
        from harray.api.evaluate import EvaluateOptions
        from harray.api.evaluate import evaluate as score
        from harray.api.outcomes import outcome_of

        report, missed = outcome_of(
            lambda: score(
                model,
                store,
                split=split,
                options=EvaluateOptions(
                    occlusion=occlusion, min_precision=min_precision, allow_leak=allow_leak, classes=classes
                ),
                workspace=Workspace(out, tracking_uri),
                reporter=terminal,
            )
        )
        show_report(terminal, report)
        terminal.result(f"report: {report.page}")
        terminal.json({**report.to_json(), "report": str(report.page)})
        if missed:
            raise missed


def predict(
    model: options.Model,
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO... [key=value ...]",
            help="Videos or folders of them: paths or URIs such as s3://BUCKET/new.",
        ),
    ],
    actors: Annotated[
        int,
        typer.Option("--actors", min=0, help="Ray actors that share the videos; 0 predicts in this process."),
    ] = 0,
    top: Annotated[int, typer.Option("--top", min=1, help="Labels listed per video.")] = 3,
    explain: options.Explain = None,
    min_precision: options.MinPrecision = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Recognise actions in videos, and show why."""
    options.check_model(model)
    names, overrides = told_apart(videos)
    with session(out, "predict", as_json) as terminal:
        from harray.api.predict import PredictOptions
        from harray.api.predict import predict as predict_videos

        entries = predict_videos(
            model,
            names,
            options=PredictOptions(
                top=top,
                explain_to=explain,
                num_actors=actors,
                min_precision=min_precision,
                overrides=overrides,
            ),
            on_video=lambda entry: show_entry(terminal, entry),
            workspace=Workspace(out, tracking_uri),
            reporter=terminal,
        )
        terminal.json({"predictions": entries})
        failed = [entry for entry in entries if "top" not in entry]
        if len(failed) == len(entries):
            raise InputError(
                f"{failed[0]['video']}: {failed[0]['error']}; no video of {len(entries)} could be read"
            )


def told_apart(words: list[str]) -> tuple[list[str], list[str]]:
    """Names of videos, and overrides.

    Raises:
        InputError: no video, or an override of what the model was trained on.
    """
    overrides = [word for word in words if re.match(r"[a-z_]+\.[\w.]+=", word) and not Path(word).exists()]
    if wrong := [word for word in overrides if not word.startswith(("poses.", "scenes."))]:
        raise InputError(
            f"{wrong[0]}: clips are made as the model's store was; only poses.* and scenes.* may say where weights "
            "lie and what runs them"
        )
    names = [word for word in words if word not in overrides]
    if not names:
        raise InputError("no video is named; give videos or folders of videos")
    return names, overrides


def show_scores(terminal: Terminal, report: "EvaluationReport") -> None:
    """Scores of an evaluation, by pose and scene together and apart."""
    scores = report.scores
    terminal.result(f"{scores.num_clips} clips of {report.split!r} evaluated, {report.num_missing} missing")
    for line in report.class_map.lines if report.class_map else ():
        terminal.result(line)
    if report.num_learned:
        terminal.result(
            f"no test: the model's weights or its epoch were chosen by {report.num_learned} of these"
        )
    columns = ("top-1", "top-5", "precision", "recall", "F1 (macro)", *(["gate"] if report.gate else []))
    table = Table("", *columns, box=None, pad_edge=False)
    for name, part in report.ablation.items():
        values = [part.top1, part.top5, part.macro_precision, part.macro_recall, part.macro_f1]
        values += [report.gate[name]] if name in report.gate else []
        table.add_row(name.replace("_", " "), *(f"{value:.3f}" for value in values))
    for name, floor in report.floors.items():
        values = [floor.top1, floor.top5, floor.macro_precision, floor.macro_recall, floor.macro_f1]
        table.add_row(f"floor: {name.replace('_', ' ')}", *(f"{value:.3f}" for value in values))
    terminal.result(table)
    if report.floors:
        terminal.result(
            f"floors learned from {report.num_floor_clips} of the clips that the model learned from"
        )


def show_report(terminal: Terminal, report: "EvaluationReport") -> None:
    """All of an evaluation: scores, then accuracy under occlusion, attention on objects, and completion's error."""
    show_scores(terminal, report)
    if report.calibration:
        terminal.result(report.calibration.line)
    for kind, curve in report.occlusion.items():
        shares = [f"{share:.0%}" for share in curve.hidden_shares]
        table = Table(f"top-1, occlusion: {kind}", *shares, box=None, pad_edge=False)
        for name, values in curve.top1.items():
            table.add_row(name.replace("_", " ").replace("pcm", "PCM"), *(f"{value:.3f}" for value in values))
        terminal.result(table)
    for part, labels in report.objects.items():
        columns = ("object", "on it", "same place, no object")
        table = Table(f"attention by {part.replace('_', ' ')}, 1 = even", *columns, box=None, pad_edge=False)
        for label, found in labels.items():
            table.add_row(label, found.object, f"{found.on_object:.2f}", f"{found.on_its_place:.2f}")
        if labels:
            terminal.result(table)
    if report.reconstruction:
        table = Table("error on hidden joints, body sizes", *RECONSTRUCTED, box=None, pad_edge=False)
        for kind, errors in report.reconstruction.items():
            table.add_row(kind, *(f"{errors.error[name]:.4f}" for name in RECONSTRUCTED))
        terminal.result(table)


def show_entry(terminal: Terminal, entry: dict) -> None:
    """One video's prediction in a line, and its pictures."""
    from harray.api.predict import entry_line

    terminal.result(f"{entry['video']}: {entry_line(entry)}")
    if "top" in entry and "error" in entry:
        terminal.result(f"  {entry['error']}")
    for kind, text in entry.get("notes", {}).items():
        terminal.result(f"  {kind}: {text}")
    for path in entry.get("explanation", []):
        terminal.result(f"  {path}")
