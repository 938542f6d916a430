"""Measurements that print rates and ratios."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import session
from harray.errors import InputError


def extraction(
    videos: Annotated[
        Path, typer.Option("--videos", help="Folder of class folders, or manifest.csv; 20 clips or more.")
    ],
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Parts that the clips are dealt into.")] = 1,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Measure the speed of pose extraction.

    Beside ultralytics' own ways and the hardware's limit. Without a scene branch unless scenes.weights=... asks for
    one, which the two ways of ultralytics never have.
    """
    experiment = options.build_config("default", None, ["scenes.weights=none", *(overrides or [])])
    from harray.api.extract import list_source

    manifest = list_source(videos).manifest
    with session(out, "bench-extraction", as_json) as terminal:
        from harray.bench.extraction import bench_extraction

        with terminal.progress("measuring", "steps") as update:
            bench = bench_extraction(manifest, experiment.extraction, rounds, update)
        table = Table("", "clips/s", "spread", "rounds", box=None)
        for way, rate in bench.clips_per_sec.items():
            rates = " ".join(f"{value:.2f}" for value in bench.measured[way])
            table.add_row(way, f"{rate:.2f}", f"{bench.spread[way]:.0%}", rates)
        terminal.result(table)
        terminal.result(", ".join(f"{name} {ratio:.2f}" for name, ratio in bench.ratios.items()))
        pool = bench.pool
        terminal.result(
            f"{bench.num_clips} clips of {bench.num_frames} frames, {bench.backend} in {bench.precision}, "
            f"{pool.num_actors} actors of {pool.num_threads} threads on {pool.device}; peak memory: driver "
            f"{bench.peak_mb['driver']:.0f} MB, actor {bench.peak_mb['actor']:.0f} MB"
        )
        terminal.json(bench.to_json())


def training(
    store: options.Store,
    recipe: options.Recipe = "default",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each way is measured.")] = 2,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Counted each time, after a first.")] = 3,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Measure the time of an epoch.

    In one process, over Ray Train with one worker and with two, and the bare steps. And the recipe skeleton_small
    beside the augmentation alone, done in numpy one clip after another.
    """
    experiment = options.build_config(recipe, None, overrides)
    options.check_store(store)
    with session(out, "bench-training", as_json) as terminal:
        from harray.bench.training import bench_training

        with terminal.progress("measuring", "steps") as update:
            bench = bench_training(store, experiment, rounds, epochs, update)
        table = Table("", "s/epoch", "clips/s", "peak MB", "rounds", box=None)
        for way, seconds in bench.epoch_sec.items():
            each = " ".join(f"{value:.2f}" for value in bench.measured[way])
            rate = f"{bench.samples_per_sec[way]:.0f}"
            table.add_row(way, f"{seconds:.2f}", rate, f"{bench.peak_mb[way]:.0f}", each)
        terminal.result(table)
        terminal.result(
            "times as long: " + ", ".join(f"{k} {value:.2f}" for k, value in bench.ratios.items())
        )
        terminal.json(bench.to_json())


def tuning(
    store: options.Store,
    trials: Annotated[int, typer.Option("--trials", min=3, help="Trials of either way.")] = 20,
    recipe: options.Recipe = "procedural",
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Measure the overhead of a sweep.

    The same short trials as a bare Optuna loop on ready tensors in one process, and by `harray tune` with one warm
    actor, its start and its MLflow runs included. Two epochs a trial, unless training.num_epochs=... says
    otherwise.
    """
    experiment = options.build_config(recipe, None, ["training.num_epochs=2", *(overrides or [])])
    options.check_store(store)
    with session(out, "bench-tuning", as_json) as terminal:
        from harray.bench.tuning import bench_tuning

        bench = bench_tuning(store, experiment, trials, terminal)
        if not bench.same_configs:
            raise InputError(
                "the two ways ran different trials; measure on a CPU, where training repeats exactly"
            )
        table = Table("", "seconds", "beyond a trial's epochs (median, longest)", box=None)
        for way, name, seconds in (
            ("bare", "bare Optuna loop", bench.bare_sec),
            ("tune", "harray tune", bench.tune_sec),
        ):
            beyond = f"{bench.beyond_epochs_sec[way]:.2f} s, {bench.longest_beyond_epochs_sec[way]:.2f} s"
            table.add_row(name, f"{seconds:.1f}", beyond)
        terminal.result(table)
        terminal.result(
            f"{bench.num_trials} trials, {bench.num_epochs} epochs; harray adds {bench.overhead_sec:.2f} s to a trial "
            f"after the first, and {bench.first_trial_after_sec:.1f} s to start and to end; allowed in all: "
            f"{bench.allowed_sec:.1f} s"
        )
        terminal.json(bench.to_json())


def scale(
    num_inputs: Annotated[
        int,
        typer.Option(
            "--inputs", min=1000, help="The largest number; each power of ten below it comes first."
        ),
    ] = 100_000,
    out: options.Out = options.DEFAULT_OUT,
    as_json: options.Json = False,
) -> None:
    """Measure what harray adds to an input of an extraction, and whether that grows with their number.

    Listing, planning, Ray Data, ledger and reading, with an extractor that does nothing, on empty files in the
    system's folder for temporary files. Writes OUT/bench-scale.json.
    """
    with session(out, "bench-scale", as_json) as terminal:
        from harray.bench.scale import SHOWN, bench_scale, sizes_up_to

        with terminal.progress("measuring", "sizes") as update:
            bench = bench_scale(sizes_up_to(num_inputs), update)
        table = Table("inputs", "ms an input", "ratio", *SHOWN, "driver MB", "store MB", "files", box=None)
        for point in bench.points:
            table.add_row(
                f"{point.num_inputs:,}",
                f"{point.overhead_ms:.2f}",
                f"{bench.ratio(point):.2f}",
                *(f"{point.seconds[stage]:.1f} s" for stage in SHOWN),
                f"{point.driver_mb:.0f}",
                f"{point.disk_mb:.0f}",
                f"{point.num_files}",
            )
        terminal.result(table)
        terminal.result("ms an input: all but start and again; ratio: to that of 10,000 inputs")
        if (ten_times := bench.ten_times()) is not None:
            terminal.result(ten_times.line())
        file = out / "bench-scale.json"
        file.write_text(json.dumps(bench.to_json(), indent=2) + "\n")
        terminal.result(f"figures: {file}")
        terminal.json(bench.to_json())


def live(
    video: Annotated[Path, typer.Option("--video", help="A film of one person or more, 10 frames or more.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=1.0, help="Of playing it at its own speed, again and again.")
    ] = 20.0,
    loop_minutes: Annotated[
        float | None,
        typer.Option(
            "--loop-minutes", min=0.1, help="The same in minutes, to see whether memory stays flat."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="As fast as it goes, in turn.")] = 3,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Measure live recognition: latency at a film's own speed, the rate beside YOLO.track, memory.

    Without a scene branch; poses.weights=... and poses.image_size=... name the pose network of both.
    """
    experiment = options.build_config("default", None, ["scenes.weights=none", *(overrides or [])])
    with session(out, "bench-live", as_json) as terminal:
        from harray.bench.live import bench_live

        bench = bench_live(
            options.existing(video, "video", "name a film"),
            experiment.extraction,
            seconds=seconds if loop_minutes is None else 60 * loop_minutes,
            rounds=rounds,
            reporter=terminal,
        )
        own, rates, held = bench.own_speed, bench.frames_per_sec, bench.memory_mb
        terminal.result(
            f"own speed: {own['frames']} frames, {own['skipped']} skipped; capture to decision "
            f"{own['latency_p50_ms']} ms (p50), {own['latency_p95_ms']} ms (p95); memory "
            f"{held['first']:.0f} MB at first, {held['most']:.0f} at most, {held['last']:.0f} in the end"
        )
        terminal.result(
            f"as fast as it goes: harray {rates['harray']:.1f} frames/s, YOLO.track {rates['yolo_track']:.1f}, "
            f"{bench.ratio:.2f} times as fast"
        )
        terminal.json(bench.to_json())


def gpu(
    device: Annotated[
        str, typer.Option("--device", help="cuda; cpu only shows that the measurement works.")
    ] = "cuda",
    small: Annotated[bool, typer.Option("--small", help="So little that its figures mean nothing.")] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="JSON of all that is measured. Default: under --out."),
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Measure a GPU, in minutes and without data: what harray makes of it, and whether its answers are the CPU's.

    By the embedded pose network and random scene weights, unless poses.weights=... and scenes.weights=... name others.
    """
    mine = ["poses.weights=embedded", "scenes.weights=random", *(overrides or [])]
    experiment = options.build_config("default", None, mine)
    with session(out, "bench-gpu", as_json) as terminal:
        from harray.bench.gpu import SMALL, GpuSizes, bench_gpu

        with terminal.progress("measuring", "parts") as update:
            bench = bench_gpu(experiment, device, SMALL if small else GpuSizes(), update)
        for line in bench.lines:
            terminal.result(line)
        file = to or out / f"bench-gpu-{time.strftime('%Y%m%d-%H%M%S')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(bench.to_json(), indent=2))
        terminal.result(f"{bench.device}, torch {bench.torch}, {bench.seconds:.0f} s; all of it: {file}")
        terminal.json(bench.to_json())
