"""Commands that make data: synth, extract, store."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError


def synth(
    out: Annotated[Path, typer.Argument(help="New folder for the videos.")],
    clips_per_action: Annotated[int, typer.Option("--clips-per-action", min=1)] = 20,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Render labelled videos of actions, with the truth of joints, visibility and scene for every frame."""
    from harray.synth.config import SynthConfig
    from harray.synth.render import render_dataset

    with session(out, "synth", as_json) as terminal:
        config = SynthConfig(clips_per_action=clips_per_action, seed=seed)
        with terminal.progress("rendering", "clips") as update:
            summary = render_dataset(out.absolute(), config, on_progress=update)
        terminal.result(f"rendered {summary.num_clips} clips in {summary.seconds:.0f} s: {out}/manifest.csv")
        terminal.result(f"next: harray extract {out}/manifest.csv --store STORE --recipe procedural")
        terminal.json({"manifest": str(out.absolute() / "manifest.csv"), "clips": summary.num_clips})


def extract(
    source: Annotated[Path, typer.Argument(help="Folder of class folders, manifest.csv, or a dataset's root.")],
    store: options.Store,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Official layout: ucf101.")] = None,
    splits: Annotated[Path | None, typer.Option("--splits", help="Folder of official split lists.")] = None,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    num_actors: Annotated[
        int | None, typer.Option("--actors", min=1, help="Extraction actors; by default what the cluster holds.")
    ] = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Turn videos into pose and scene features; done work is never done again."""
    experiment = options.build_config(recipe, config, overrides)
    from harray.videos.sources import list_videos

    manifest = list_videos(source, dataset=dataset, splits_dir=splits)
    with session(store, "extract", as_json) as terminal:
        summary = run_extraction(terminal, manifest, experiment, store.absolute(), num_actors)
        terminal.result(
            f"{summary.inputs} inputs = {summary.extracted} extracted + {summary.quarantined} quarantined; "
            + (f"{summary.computed} computed now" if summary.computed else "nothing to compute, all done before")
        )
        if summary.quarantined:
            terminal.result(f"why: harray store info {store}")
        terminal.json(
            {
                "inputs": summary.inputs,
                "extracted": summary.extracted,
                "quarantined": summary.quarantined,
                "computed": summary.computed,
                "clips_per_sec": summary.computed / summary.seconds if summary.seconds else 0.0,
                "seconds": summary.seconds,
                "store": str(store.absolute()),
            }
        )


def store_info(
    store: Annotated[Path, typer.Argument(metavar="STORE")],
    as_json: options.Json = False,
) -> None:
    """What is in a store, and what was quarantined and why."""
    import dataclasses
    import sys

    from harray.store.feature_store import FeatureStore

    info = FeatureStore.open(store).info()
    terminal = Terminal(as_json=as_json, out=sys.stdout, err=sys.stderr)
    table = Table("split", "clips", "classes", "groups", title=f"{info.num_extracted} clips in {store}")
    terminal.result(table)
    terminal.json(dataclasses.asdict(info))


def pose_weights(
    out: Annotated[Path, typer.Argument(help="Folder for the trained weights and their card.")],
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Train the small YOLOv8-pose network for procedural videos that harray carries."""
    from harray.poses.from_scratch import train_pose_weights

    with session(out, "pose-weights", as_json) as terminal:
        card = train_pose_weights(out.absolute(), seed=seed)
        terminal.result(f"weights and card in {out}")
        terminal.json(card)


def run_extraction(terminal: Terminal, manifest, experiment, store: Path, num_actors: int | None = None):  # type: ignore[no-untyped-def]
    """Extract with a progress bar; Ctrl-C leaves one line that says how to go on."""
    from harray.distributed.extraction import extract as extract_on_ray

    try:
        with terminal.progress("extracting", "clips") as update:
            return extract_on_ray(
                manifest, experiment.extraction, store, num_actors=num_actors, on_progress=update
            )
    except KeyboardInterrupt:
        terminal.say("interrupted: finished clips are kept; run the same command again to go on")
        raise


def refuse_unlabelled(num_labels: int, store: Path) -> None:
    """A store without labels cannot train."""
    if num_labels < 2:
        raise InputError(f"store {store}: found {num_labels} labels, expected at least 2 to tell apart")
