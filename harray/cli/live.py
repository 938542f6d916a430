"""`harray live` and `harray timeline`: a model at work on what goes on."""

from pathlib import Path
from typing import Annotated

import typer

from harray.cli import options
from harray.cli.terminal import session
from harray.workspace import Workspace


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
    """Say who does what, now: on a camera, a stream or a film, with a label for each person.

    Ctrl-C ends it; recordings and events are whole then. Skipped frames and latencies are told in the end.
    """
    options.check_model(model)
    with session(out, "live", as_json or events == "-") as terminal:
        from harray.api.live import Outputs, watch
        from harray.inference import Predictor
        from harray.live.config import LiveConfig
        from harray.live.recogniser import Step
        from harray.tracking.location import tracking_uri as ruling
        from harray.tracking.registry import resolve_model

        def tell(step: Step) -> None:
            for event in step.events:
                if event["event"] == "begin":
                    who = "picture" if event["track"] is None else f"person {event['track']}"
                    at = f"{event['time_sec'] // 60:02.0f}:{event['time_sec'] % 60:04.1f}"
                    terminal.result(f"{at}  {who}: {event['label']} {event['probability']:.0%}")

        summary = watch(
            Predictor.load(resolve_model(model, ruling(Workspace(out, tracking_uri))), overrides or []),
            source,
            config=LiveConfig(scene=scene, decisions_per_sec=decisions_per_sec, min_precision=min_precision),
            own_speed=not as_fast_as_possible,
            outputs=Outputs(events=events, save=save, show=show),
            on_step=tell,
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
