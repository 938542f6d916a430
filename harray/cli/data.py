"""Commands that make data: synth, extract, store."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for videos, manifest and truth.")],
    clips_per_action: Annotated[int, typer.Option("--clips-per-action", min=1)] = 20,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Render labelled videos with the truth of every frame.

    `harray synth OUT` renders; truth is joints in px, visibility, label, scene and actor.
    """
    from harray.synth.config import SynthConfig
    from harray.synth.render import render_dataset

    terminal = Terminal(as_json=as_json)
    with terminal.progress("rendering", "clips") as update:
        summary = render_dataset(
            out.absolute(),
            SynthConfig(clips_per_action=clips_per_action, seed=seed),
            on_progress=lambda done, total: update(done, total, ""),
        )
    splits = ", ".join(f"{count} {split}" for split, count in summary.splits.items())
    terminal.result(
        f"{summary.num_clips} clips of {summary.num_actions} actions ({splits}), "
        f"{summary.num_rendered} rendered now in {summary.seconds:.1f} s: {summary.manifest}"
    )
    terminal.result(f"next: harray extract {summary.manifest} --store STORE --recipe procedural")
    terminal.json({**dataclasses.asdict(summary), "clips_per_sec": summary.clips_per_sec})


def extract(
    source: Annotated[
        Path, typer.Argument(help="Folder of class folders, manifest.csv, or a dataset's root.")
    ],
    store: options.Store,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Official layout: ucf101.")] = None,
    splits: Annotated[Path | None, typer.Option("--splits", help="Folder of official split lists.")] = None,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    num_actors: Annotated[
        int | None,
        typer.Option("--actors", min=1, help="Extraction actors; by default what the cluster holds."),
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Turn videos into pose and scene features.

    What is done is never done again; a broken video is quarantined with its reason and the rest goes on.
    """
    experiment = options.build_config(recipe, config, overrides)
    from harray.videos.sources import list_videos

    manifest = list_videos(source, dataset=dataset, splits_dir=splits)
    with session(out, "extract", as_json) as terminal:
        from harray.distributed.extraction import extract as extract_on_ray
        from harray.store import FeatureStore

        try:
            with terminal.progress("extracting", "clips") as update:
                summary = extract_on_ray(
                    manifest,
                    experiment.extraction,
                    store.absolute(),
                    num_actors=num_actors,
                    on_progress=lambda done, total, counts: update(done, total, _quarantined(counts)),
                    on_message=terminal.say,
                )
        except KeyboardInterrupt:
            terminal.say("interrupted: finished clips are kept; the same command goes on with the rest")
            raise
        all_done = summary.computed == 0 and summary.quarantined == 0
        now = "nothing to compute, all was done before" if all_done else f"{summary.computed} computed now"
        terminal.result(
            f"{summary.inputs} inputs = {summary.extracted} extracted + {summary.quarantined} quarantined; {now}"
        )
        if summary.quarantined:
            terminal.result(f"why: harray store info {store}")
        rate = summary.computed / summary.seconds if summary.seconds else 0.0
        terminal.json({**dataclasses.asdict(summary), "clips_per_sec": rate, "store": str(store.absolute())})
        if summary.extracted == 0:
            stage, error, _, message = FeatureStore.open(store).info().reasons[0]
            raise InputError(
                f"{source}: none of its {summary.inputs} videos could be extracted, most often because of "
                f"{stage}: {error}: {message}; mend or remove them and run the same command again"
            )


def store_info(
    store: Annotated[Path, typer.Argument(metavar="STORE")],
    as_json: options.Json = False,
) -> None:
    """What is in a store, and what was quarantined and why."""
    import dataclasses

    from harray.store import FeatureStore

    info = FeatureStore.open(store).info()
    terminal = Terminal(as_json=as_json)
    terminal.result(
        f"{info.num_inputs} inputs = {info.num_extracted} extracted + {info.num_quarantined} quarantined; "
        f"{info.num_clips} distinct clips, {info.num_bytes / 1e6:.1f} MB, {info.num_groups} groups"
    )
    for name, counts in (("splits", info.splits), ("labels", info.labels)):
        terminal.result(
            f"{name}: " + (", ".join(f"{key} {count}" for key, count in counts.items()) or "none")
        )
    shape = "x".join(map(str, info.settings.keypoints_shape))
    scene = "x".join(map(str, info.settings.scene_shape)) if info.settings.scene_shape else "none"
    terminal.result(f"skeleton {info.settings.skeleton}, keypoints {shape}, scene tokens {scene}")
    if info.reasons:
        table = Table("stage", "error", "inputs", "for example", title="quarantined", box=None)
        for stage, error, count, message in info.reasons:
            table.add_row(stage, error, str(count), message)
        terminal.result(table)
    terminal.json(dataclasses.asdict(info))


def pose_weights(
    out: Annotated[Path, typer.Argument(help="Folder for the trained weights and their card.")],
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Train the pose network for rendered videos.

    The weights in harray/assets were made by this command.
    """
    from harray.poses.from_scratch import PoseTrainingConfig, train_pose_weights

    with session(out, "pose-weights", as_json) as terminal, terminal.stages() as start_stage:
        running: dict[str, Callable[[int, int, str], None]] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in running:
                running[stage] = start_stage(stage, "steps")
            running[stage](done, total, "")

        command = f"harray synth pose-weights OUT --seed {seed}"
        card = train_pose_weights(out.absolute(), PoseTrainingConfig(seed=seed), show, command)
        terminal.result(
            f"weights and card in {out}: " + ", ".join(f"{k} {v}" for k, v in card["scores"].items())
        )
        terminal.json(card)


def _quarantined(counts: dict[str, int]) -> str:
    return f"{counts['quarantined']} quarantined" if counts["quarantined"] else ""
