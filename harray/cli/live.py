"""`harray live` and `harray timeline`: a model at work on what goes on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harray.cli import options
from harray.cli.terminal import session
from harray.errors import InputError
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.live.recogniser import Step


def live(
    model: options.Model,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Camera (0 or /dev/video0), file, folder, rtsp:// or http(s)://, or - for a pipe.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value ...]", help="Where weights lie, such as poses.weights=PATH."),
    ] = None,
    scene: Annotated[
        bool, typer.Option("--scene", help="One label for the whole picture instead of one a person.")
    ] = False,
    events: Annotated[
        str | None,
        typer.Option("--events", metavar="FILE", help="A JSON line as each label begins and ends; - prints."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="OUT.mp4", help="Annotated recording.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="A window; q ends it.")] = False,
    as_fast_as_possible: Annotated[
        bool,
        typer.Option(
            "--as-fast-as-possible", help="Do not play a film at its own speed; look at every frame."
        ),
    ] = False,
    decisions_per_sec: Annotated[
        float, typer.Option("--decisions-per-sec", min=0.1, help="How often each person is decided about.")
    ] = 4.0,
    min_precision: options.MinPrecision = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Say who does what, now.

    On a camera, a stream or a film, with a label for each person. Ctrl-C ends it; recordings and events are whole
    then. Skipped frames and latencies are told in the end.
    """
    options.check_model(model)
    place = Workspace(out, tracking_uri)
    with session(out, "live", as_json or events == "-") as terminal:
        from harray.api.live import Outputs, watch
        from harray.api.models import load
        from harray.live.config import LiveConfig

        def tell(step: "Step") -> None:
            for event in step.events:
                if event["event"] == "begin":
                    who = "picture" if event["track"] is None else f"person {event['track']}"
                    said = f"{event['label']} {event['probability']:.0%}"
                    terminal.result(f"{_clock(event['time_sec'])}  {who}: {said}")
                if events == "-":
                    print(json.dumps(event), file=terminal.out, flush=True)

        summary = watch(
            load(model, overrides=_values(overrides or []), workspace=place),
            source,
            config=LiveConfig(scene=scene, decisions_per_sec=decisions_per_sec, min_precision=min_precision),
            own_speed=not as_fast_as_possible,
            outputs=Outputs(events=None if events == "-" else events, save=save, show=show),
            on_step=tell,
            workspace=place,
            reporter=terminal,
        )
        said = summary.to_json()
        terminal.result(
            f"{said['frames']} frames in {said['seconds']:.1f} s, {said['skipped']} skipped; "
            f"{said['decisions']} decisions about {said['people']} people, capture to decision "
            f"{said['latency_p50_ms']} ms (p50), {said['latency_p95_ms']} ms (p95)"
        )
        if save is not None:
            terminal.result(f"recording: {save}")
        if as_json:
            terminal.json(said)


def timeline(
    model: options.Model,
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO... [key=value ...]", help="Recordings of any length, or folders of them."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Also as CSV, WebVTT, ELAN, Label Studio and a picture."),
    ] = None,
    actors: Annotated[
        int,
        typer.Option(
            "--actors", min=0, help="Ray actors that share recordings, long ones cut; 0: this process alone."
        ),
    ] = 0,
    stride: Annotated[
        float, typer.Option("--stride", min=0.05, max=1.0, help="From window to window, in windows.")
    ] = 0.2,
    min_precision: options.MinPrecision = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Say who did what from when to when.

    In recordings of any length. Each frame passes the networks once. What lies in no segment is idle, nobody or
    unsure.
    """
    from harray.cli.models import told_apart

    options.check_model(model)
    names, overrides = told_apart(videos)
    place = Workspace(out, tracking_uri)
    with session(out, "timeline", as_json) as terminal:
        from harray.api.models import load
        from harray.api.timeline import timelines
        from harray.live.config import TimelineConfig

        def show(entry: dict) -> None:
            terminal.result(f"{entry['video']}: {entry.get('error', '')}".rstrip(": "))
            for segment in entry.get("segments", []):
                who = "picture" if segment["track"] is None else f"person {segment['track']}"
                span = f"{_clock(segment['start_sec'])} to {_clock(segment['end_sec'])}"
                terminal.result(f"  {span}  {who}: {segment['label']} {segment['probability']:.0%}")
            for path in entry.get("files", []):
                terminal.result(f"  {path}")

        entries = timelines(
            load(model, overrides=_values(overrides), workspace=place),
            names,
            config=TimelineConfig(stride_share=stride, min_precision=min_precision),
            num_actors=actors,
            write_to=to,
            on_video=show,
            workspace=place,
            reporter=terminal,
        )
        terminal.json({"timelines": entries})
        if all("error" in entry for entry in entries):
            raise InputError(f"{entries[0]['error']}; no recording of {len(entries)} could be read")


def _values(overrides: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in overrides)


def _clock(seconds: float) -> str:
    return f"{seconds // 60:02.0f}:{seconds % 60:04.1f}"
