"""Commands that make data: synth, extract, store."""

import dataclasses
import datetime
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from harray.cli import advice, options
from harray.cli.terminal import Terminal, session
from harray.errors import InputError

if TYPE_CHECKING:
    from harray.api.stores import Store
    from harray.distributed.extraction_estimate import Estimate

FILES_SHOWN = 3  # of one reason

DATASET_HELP = (
    "As published: ucf101, hmdb51, jhmdb, kinetics, ntu60, ntu120, penn_action, something, jester, diving48, finegym; "
    "lists (MMAction2, SlowFast, PyTorchVideo)."
)
MaxQuarantined = Annotated[
    str | None,
    typer.Option("--max-quarantined", help="Stop when more inputs fail than this, such as 5% or 20."),
]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for videos, manifest and truth.")],
    clips_per_action: Annotated[
        int, typer.Option("--clips-per-action", min=1, help="Clips of each of the twelve actions.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Render labelled videos with their truth.

    `harray synth OUT` renders; truth is joints in px, visibility, label, scene and actor.
    """
    from harray.api.render import render

    terminal = Terminal(as_json=as_json)
    summary = render(out, clips_per_action=clips_per_action, seed=seed, reporter=terminal)
    splits = ", ".join(f"{count} {split}" for split, count in summary.splits.items())
    terminal.result(
        f"{summary.num_clips} clips of {summary.num_actions} actions ({splits}), "
        f"{summary.num_rendered} rendered now in {summary.seconds:.1f} s: {summary.manifest}"
    )
    flags = {"--store": out.with_name(f"{out.name}-store"), "--recipe": "procedural"}
    terminal.result(f"next: {advice.command('extract', summary.manifest, flags=flags)}")
    terminal.json({**dataclasses.asdict(summary), "clips_per_sec": summary.clips_per_sec})


def extract(
    source: Annotated[
        str, typer.Argument(help="Folder of class folders, manifest.csv, or a dataset's root; s3:// too.")
    ],
    store: options.Store,
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help=DATASET_HELP)] = None,
    splits: Annotated[
        Path | None, typer.Option("--splits", help="Folder or file of official split lists.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", help="Official split that becomes train and test: xsub, xview, xset, 1, 2, 3."
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Class names, where lists or segments number them.")
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(
            "--segments",
            help="Parts of the videos: csv, or files of ActivityNet, Charades, BORIS, ELAN, VIA, Label Studio.",
        ),
    ] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="The only tier of an ELAN file to take.")] = None,
    frame_rate: Annotated[
        float | None,
        typer.Option("--frame-rate", help="Of folders of pictures, and of segments that count frames."),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="LEVELS",
            help="What the levels of folders are, where their names do not tell: class, split/class, class/split, "
            "class/group; _ for one that names nothing.",
        ),
    ] = None,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    num_actors: Annotated[
        int | None,
        typer.Option("--actors", min=1, help="Extraction actors. Default: as many as the cluster holds."),
    ] = None,
    max_quarantined: MaxQuarantined = None,
    test_share: options.TestShare = None,
    drop: Annotated[
        Path | None,
        typer.Option(
            "--drop", metavar="CSV", help="Leave out what its column path names; `harray audit` writes one."
        ),
    ] = None,
    relabel: Annotated[
        Path | None,
        typer.Option("--relabel", metavar="CSV", help="Labels by path that replace the manifest's."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and how long it may take.")
    ] = False,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Turn videos into pose and scene features.

    What is done is never done again; a broken video is quarantined with its reason and the rest goes on.
    """
    experiment = options.build_config(recipe, config, overrides)
    from harray.api.extract import ExtractOptions, estimate, list_source
    from harray.api.extract import extract as extract_videos

    asked = ExtractOptions(
        dataset=dataset,
        splits=splits,
        protocol=protocol,
        classes=classes,
        segments=segments,
        tier=tier,
        frame_rate=frame_rate,
        layout=layout,
        num_actors=num_actors,
        max_quarantined=max_quarantined,
        test_share=test_share,
        drop=drop,
        relabel=relabel,
    )
    listing = list_source(source, store, asked, reporter=Terminal(as_json=as_json))
    with session(out, "extract", as_json) as terminal:
        found = {"found": listing.counts()}
        for line in listing.lines():
            (terminal.result if dry_run else terminal.say)(line)
        if dry_run:
            _show_estimate(
                terminal, estimate(listing, store, config=experiment, options=asked, reporter=terminal), found
            )
            return
        _show_extraction(
            terminal,
            lambda: extract_videos(listing, store, config=experiment, options=asked, reporter=terminal),
            also=found,
        )
        flags = {**advice.start(recipe, config), **advice.where(out)}
        terminal.result(f"next: {options.train_command(store, experiment.training, flags)}")


def store_retry(
    store: options.StoreArgument,
    stage: Annotated[
        Literal["open", "decode", "pose", "scene"] | None,
        typer.Option("--stage", help="Only what failed there."),
    ] = None,
    num_actors: Annotated[int | None, typer.Option("--actors", min=1, help="Extraction actors.")] = None,
    max_quarantined: MaxQuarantined = None,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Extract quarantined videos again.

    With the store's own settings. Overrides such as poses.weights=PATH say where weights lie on this machine.
    """
    from harray.api.extract import ExtractOptions, retry
    from harray.api.stores import Store

    there = Store(store)
    if not there.num_quarantined(stage):
        terminal = Terminal(as_json=as_json)
        terminal.result("nothing is quarantined" + (f" at stage {stage}" if stage else ""))
        terminal.json(dict.fromkeys(("inputs", "extracted", "quarantined", "computed"), 0))
        return
    asked = ExtractOptions(num_actors=num_actors, max_quarantined=max_quarantined)
    with session(out, "retry", as_json) as terminal:
        _show_extraction(
            terminal,
            lambda: retry(there, stage=stage, overrides=overrides, options=asked, reporter=terminal),
        )


def store_verify(
    store: options.StoreArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged files to STORE/damaged, for `extract` to restore.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Check every file of a store.

    Reads it to the last byte and compares shards with the ledger.
    """
    from harray.api.stores import Store

    there, terminal = Store(store), Terminal(as_json=as_json)
    found, moved = there.verify(repair=repair)
    terminal.result(
        f"{found.num_inputs} inputs = {found.num_extracted} extracted + {found.num_quarantined} quarantined; "
        f"{found.num_clips} distinct clips; " + ("clean" if not found.problems else "not clean")
    )
    for note in found.notes:
        terminal.result(f"note: {note}")
    for problem in found.problems:
        terminal.result(f"problem: {problem}")
    terminal.json({**dataclasses.asdict(found), "moved": moved})
    if moved:
        terminal.result(f"moved {len(moved)} files to {there.path / 'damaged'}")
    if found.problems:
        how = "run" if moved or not found.damaged else "run `harray store verify --repair`, then"
        raise InputError(
            f"store {store}: {len(found.problems)} problems; {how} the same `harray extract` again to restore it"
        )


def store_compact(
    store: options.StoreArgument,
    as_json: options.Json = False,
) -> None:
    """Merge many small files of a store into few large ones.

    The store says the same, during the work too, and readers are not disturbed. `extract` does it by itself when the
    files have become many.
    """
    from harray.api.stores import Store

    terminal = Terminal(as_json=as_json)
    done = Store(store).compact()
    terminal.result(str(done))
    terminal.json(dataclasses.asdict(done))


def store_info(
    store: options.StoreArgument,
    failed: Annotated[
        bool, typer.Option("--failed", help="List every quarantined file with its reason, and nothing else.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show what is in a store, and what failed."""
    from harray.api.stores import Store

    info = Store(store).info()
    terminal = Terminal(as_json=as_json)
    if failed:
        for reason in info.reasons:
            for path in reason.paths:
                terminal.result(_in_a_line(f"{path}: {reason}"))
        terminal.json(dataclasses.asdict(info))
        return
    terminal.result(
        f"{info.num_inputs} inputs = {info.num_extracted} extracted + {info.num_quarantined} quarantined; "
        f"{info.num_clips} distinct clips ({info.num_without_people} without a person), "
        f"{info.num_bytes / 1e6:.1f} MB, {info.num_groups} groups"
    )
    for name, counts in (("splits", info.splits), ("labels", info.labels)):
        terminal.result(
            f"{name}: " + (", ".join(f"{key} ({count})" for key, count in counts.items()) or "none")
        )
    shape = "x".join(map(str, info.settings.keypoints_shape))
    scene = "x".join(map(str, info.settings.scene_shape)) if info.settings.scene_shape else "none"
    axes = "people, frames, joints, coordinates and confidence"
    terminal.result(f"skeleton {info.settings.skeleton}, keypoints {shape} ({axes}), scene tokens {scene}")
    if made := [f"{room} {precision}" for room, precision in info.settings.provenance.precisions.items()]:
        terminal.result(f"precision: {', '.join(made)}")
    if info.settings.second_shape:
        shape = "x".join(map(str, info.settings.second_shape))
        terminal.result(f"beside them skeleton {info.settings.second_skeleton}, keypoints {shape}")
    for kind, count, path, text in info.notes:
        terminal.result(f"{kind}, {count} videos, such as {path}: {text}")
    for reason in info.reasons:
        num_more = len(reason.paths) - FILES_SHOWN
        more = f" and {num_more} more (--failed lists them)" if num_more > 0 else ""
        files = ", ".join(reason.paths[:FILES_SHOWN])
        terminal.result(_in_a_line(f"quarantined {len(reason.paths)}, {reason}: {files}{more}"))
    terminal.json(dataclasses.asdict(info))


def pose_weights(
    out: Annotated[Path, typer.Argument(help="Folder for the trained weights and their card.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Train the pose network for rendered videos.

    The weights in harray/assets were made by this command.
    """
    from harray.api.render import train_pose_network

    with session(out, "pose-weights", as_json) as terminal:
        card = train_pose_network(out, seed=seed, reporter=terminal)
        terminal.result(
            f"weights and card in {out}: " + ", ".join(f"{k} {v}" for k, v in card["scores"].items())
        )
        terminal.json(card)


def _show_extraction(
    terminal: Terminal, work: "Callable[[], Store]", also: Mapping[str, Any] = types.MappingProxyType({})
) -> None:
    """Say what became of an extraction; `also` goes into the JSON."""
    from harray.api.extract import NothingExtracted

    failed = None
    try:
        store = work()
    except NothingExtracted as error:
        store, failed = error.store, error
    summary = store.summary
    assert summary is not None
    all_done = summary.computed == 0 and summary.quarantined == 0
    now = "nothing to compute, all was done before" if all_done else f"{summary.computed} computed now"
    terminal.result(
        f"{summary.inputs} inputs = {summary.extracted} extracted + {summary.quarantined} quarantined; {now}"
    )
    if summary.quarantined:
        why, again = advice.command("store info", store.path), advice.command("store retry", store.path)
        terminal.result(f"why: {why}; once mended: {again}")
    if store.held_out:
        terminal.result(str(store.held_out))
    rate = summary.computed / summary.seconds if summary.seconds else 0.0
    part = store.held_out and dataclasses.asdict(store.held_out)
    about = {"clips_per_sec": rate, "store": str(store.path), "test_part": part, **also}
    terminal.json({**dataclasses.asdict(summary), **about})
    if failed:
        raise failed


def _show_estimate(terminal: Terminal, plan: "Estimate", also: Mapping[str, Any]) -> None:
    pool = plan.pool
    share = f", {pool.gpus_per_actor:g} GPU each" if pool.gpus_per_actor else ""
    terminal.result(
        f"{plan.inputs} inputs: {plan.extracted} extracted and {plan.quarantined} quarantined before, "
        f"{plan.todo} to do; {pool.num_actors} actors of {pool.num_threads} threads on {pool.device}{share}, "
        f"network run by {plan.backend} in {plan.precision}"
    )
    if plan.expected_sec is not None:
        terminal.result(
            f"about {datetime.timedelta(seconds=round(plan.expected_sec))} once the actors run "
            f"({plan.probe_sec:.2f} s per video in a probe here); nothing was written"
        )
    elif plan.todo:
        terminal.result(
            "no time to be told: this machine has no GPU to try it on, or none of the probed could be read"
        )
    terminal.json({**dataclasses.asdict(plan), **also})


def _in_a_line(text: str) -> str:
    """Names of files may hold anything."""
    return text.replace("\n", "\\n")
