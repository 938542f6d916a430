"""Commands that make data: synth, extract, store."""

import contextlib
import dataclasses
import datetime
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from harray.cli import advice, options
from harray.cli.terminal import Terminal, session
from harray.config import parse_overrides
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from harray.distributed.extraction_tally import QuarantineLimit
    from harray.store.test_part import HeldOut

FILES_SHOWN = 3  # of one reason

MaxQuarantined = Annotated[
    str | None,
    typer.Option("--max-quarantined", help="Stop when more inputs fail than this, such as 5% or 20."),
]


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
    flags = {"--store": out.with_name(f"{out.name}-store"), "--recipe": "procedural"}
    terminal.result(f"next: {advice.command('extract', summary.manifest, flags=flags)}")
    terminal.json({**dataclasses.asdict(summary), "clips_per_sec": summary.clips_per_sec})


def extract(
    source: Annotated[
        str, typer.Argument(help="Folder of class folders, manifest.csv, or a dataset's root; s3:// too.")
    ],
    store: options.Store,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Official layout: ucf101.")] = None,
    splits: Annotated[Path | None, typer.Option("--splits", help="Folder of official split lists.")] = None,
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
        typer.Option("--actors", min=1, help="Extraction actors; by default what the cluster holds."),
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
        bool, typer.Option("--dry-run", help="Say what would be done, and how long it may take.")
    ] = False,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Turn videos into pose and scene features.

    What is done is never done again; a broken video is quarantined with its reason and the rest goes on.
    """
    experiment = options.build_config(recipe, config, overrides)
    from harray.distributed.extraction_tally import QuarantineLimit
    from harray.store.retire import retire
    from harray.store.test_part import check_named, check_share, manifest_as_dealt
    from harray.videos.corrections import Corrections
    from harray.videos.sources import survey

    if test_share is not None:
        check_share(store, test_share)
    limit = QuarantineLimit.parse(max_quarantined) if max_quarantined else QuarantineLimit()
    with Terminal(as_json=as_json).progress("listing", "files") as update:
        listing = survey(source, dataset, splits, layout, on_found=lambda found: update(found, found, ""))
    manifest, found = listing.manifest, {"found": listing.counts()}
    if test_share is not None:
        check_named(source, manifest.to_pylist())
    corrections = Corrections.read(drop, relabel)
    manifest, corrected = corrections.applied(manifest_as_dealt(manifest, store))
    with session(out, "extract", as_json) as terminal:
        for line in [*listing.lines(), *filter(None, [corrected])]:
            (terminal.result if dry_run else terminal.say)(line)
        if dry_run:
            _show_estimate(terminal, manifest, experiment.extraction, store.absolute(), num_actors, found)
            return
        _extract(
            terminal,
            manifest,
            experiment.extraction,
            store.absolute(),
            num_actors,
            limit,
            test_share,
            also=found,
        )
        if corrections.drop:
            retire(store.absolute(), corrections.drop, "harray extract --drop")
        flags = {**advice.start(recipe, config), **advice.where(out)}
        terminal.result(f"next: {options.train_command(store, experiment.training, flags)}")


def store_retry(
    store: Annotated[Path, typer.Argument(metavar="STORE")],
    stage: Annotated[
        Literal["open", "decode", "pose", "scene"] | None,
        typer.Option("--stage", help="Only what failed there."),
    ] = None,
    num_actors: Annotated[int | None, typer.Option("--actors", min=1)] = None,
    max_quarantined: MaxQuarantined = None,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Extract quarantined videos again, with the store's own settings.

    Overrides such as poses.weights=PATH say where weights lie on this machine.
    """
    from harray.distributed.extraction_tally import QuarantineLimit
    from harray.extraction.config import extraction_as_before
    from harray.store import FeatureStore

    limit = QuarantineLimit.parse(max_quarantined) if max_quarantined else QuarantineLimit()
    there = FeatureStore.open(store)
    manifest = there.quarantined(stage)
    if not len(manifest):
        terminal = Terminal(as_json=as_json)
        terminal.result("nothing is quarantined" + (f" at stage {stage}" if stage else ""))
        terminal.json(dict.fromkeys(("inputs", "extracted", "quarantined", "computed"), 0))
        return
    settings = there.settings
    parsed = parse_overrides(ExtractionConfig(), overrides or [])
    with session(out, "retry", as_json) as terminal:
        config = extraction_as_before(settings.extraction, settings.weights, settings.origin, parsed)
        _extract(terminal, manifest, config, there.path, num_actors, limit, retry=True)


def store_verify(
    store: Annotated[Path, typer.Argument(metavar="STORE")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged files to STORE/damaged, for `extract` to restore.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Read a store to the last byte and compare what its files say."""
    from harray.store import FeatureStore
    from harray.store.lock import writing
    from harray.store.verify import move_damaged, verify

    there, terminal = FeatureStore.open(store), Terminal(as_json=as_json)
    with writing(there.path, "harray store verify --repair") if repair else contextlib.nullcontext():
        found = verify(there)
        moved = move_damaged(there, found) if repair else []
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


def store_info(
    store: Annotated[Path, typer.Argument(metavar="STORE")],
    failed: Annotated[
        bool, typer.Option("--failed", help="List every quarantined file with its reason, and nothing else.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """What is in a store, and what was quarantined and why."""
    from harray.store import FeatureStore

    info = FeatureStore.open(store).info()
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
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Train the pose network for rendered videos.

    The weights in harray/assets were made by this command.
    """
    from harray.rendered.from_scratch import PoseTrainingConfig, train_pose_weights

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


def _extract(
    terminal: Terminal,
    manifest: "pa.Table",
    config: ExtractionConfig,
    store: Path,
    num_actors: int | None,
    limit: "QuarantineLimit",
    test_share: float | None = None,
    retry: bool = False,
    also: Mapping[str, Any] = types.MappingProxyType({}),
) -> None:
    """Extract and say what became of it; `also` goes into the JSON."""
    from harray.distributed.extraction import extract as extract_on_ray
    from harray.store import FeatureStore
    from harray.store.test_part import to_json

    with terminal.progress("extracting", "clips") as update:
        summary = extract_on_ray(
            manifest,
            config,
            store,
            num_actors=num_actors,
            on_progress=lambda done, total, counts: update(done, total, _quarantined(counts)),
            on_message=terminal.say,
            limit=limit,
            retry=retry,
        )
    all_done = summary.computed == 0 and summary.quarantined == 0
    now = "nothing to compute, all was done before" if all_done else f"{summary.computed} computed now"
    terminal.result(
        f"{summary.inputs} inputs = {summary.extracted} extracted + {summary.quarantined} quarantined; {now}"
    )
    if summary.quarantined:
        why, again = advice.command("store info", store), advice.command("store retry", store)
        terminal.result(f"why: {why}; once mended: {again}")
    held_out = _held_out(terminal, store, test_share) if summary.extracted else None
    rate = summary.computed / summary.seconds if summary.seconds else 0.0
    about = {"clips_per_sec": rate, "store": str(store), "test_part": to_json(held_out), **also}
    terminal.json({**dataclasses.asdict(summary), **about})
    if summary.extracted == 0:
        commonest = FeatureStore.open(store).info().reasons[0]
        raise InputError(
            f"none of the {summary.inputs} videos could be extracted, most often because of "
            f"{commonest}; mend or remove them, then `harray store retry {store}`"
        )


def _held_out(terminal: Terminal, store: Path, test_share: float | None) -> "HeldOut | None":
    """Deal the test part that was asked for, now or before, and say what it is."""
    from harray.store.test_part import complete, hold_out_test

    command = "harray extract"
    part = complete(store, command) if test_share is None else hold_out_test(store, test_share, command)
    if part:
        terminal.result(str(part))
    return part


def _show_estimate(
    terminal: Terminal,
    manifest: "pa.Table",
    config: ExtractionConfig,
    store: Path,
    num_actors: int | None,
    also: Mapping[str, Any],
) -> None:
    from harray.distributed.extraction_estimate import estimate

    with terminal.progress("trying some", "videos") as update:
        plan = estimate(
            manifest, config, store, num_actors, on_probe=lambda done, total: update(done, total, "")
        )
    pool = plan.pool
    share = f", {pool.gpus_per_actor:g} GPU each" if pool.gpus_per_actor else ""
    terminal.result(
        f"{plan.inputs} inputs: {plan.extracted} extracted and {plan.quarantined} quarantined before, "
        f"{plan.todo} to do; {pool.num_actors} actors of {pool.num_threads} threads on {pool.device}{share}, "
        f"network run by {plan.backend}"
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


def _quarantined(counts: dict[str, int]) -> str:
    return f"{counts['quarantined']} quarantined" if counts["quarantined"] else ""


def _in_a_line(text: str) -> str:
    """Names of files may hold anything."""
    return text.replace("\n", "\\n")
