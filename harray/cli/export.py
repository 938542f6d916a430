"""The command that takes a model out of harray."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from harray.cli import options
from harray.cli.terminal import session
from harray.workspace import Workspace


def export(
    model: options.Model,
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="onnx, or OpenVINO's own: openvino.")
    ] = "onnx",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            callback=options.on_this_machine,
            help="Folder to write. Default: under --out, by the model's name.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value ...]", help="Where weights lie, such as poses.weights=PATH."),
    ] = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Write a model for programs that have neither harray nor torch.

    Pose network, scene network and fusion model, with classes and skeleton; compared with torch.
    """
    options.check_model(model)
    with session(out, "export", as_json) as terminal:
        from harray.api.export import export as export_model
        from harray.api.models import load
        from harray.config import parse_overrides
        from harray.extraction.config import ExtractionConfig

        place = Workspace(out, tracking_uri)
        loaded = load(model, overrides=parse_overrides(ExtractionConfig(), overrides or []), workspace=place)
        exported = export_model(loaded, to=to, format=format, workspace=place, reporter=terminal)
        terminal.result(
            f"probabilities within {exported.max_difference:.1g} of torch's on {exported.num_clips} clips with joints "
            f"hidden, one person, nobody"
        )
        terminal.result(
            f"fusion model: {exported.clip_ms:.2f} ms a clip, torch {exported.torch_clip_ms:.2f} "
            f"({exported.times_torch:.2f} times as fast)"
        )
        terminal.result(f"exported: {exported.folder} ({', '.join(exported.files)})")
        values = dataclasses.asdict(exported) | {"folder": str(exported.folder)}
        terminal.json(values | {"times_torch": exported.times_torch})
