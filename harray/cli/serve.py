"""`harray serve`: a page, a socket and an upload for a model."""

import re
from typing import Annotated

import typer

from harray.cli import options
from harray.cli.terminal import session
from harray.errors import InputError
from harray.workspace import Workspace


def serve(
    model: options.Model,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for everyone, with a token.")
    ] = "127.0.0.1",
    replicas: Annotated[
        str, typer.Option("--replicas", metavar="auto|N", help="Processes with the networks.")
    ] = "auto",
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="HARRAY_TOKEN", show_envvar=True, help="What guests must know."),
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(
            "--shadow",
            metavar="MODEL",
            help="A second model on the same frames; how often it disagrees is logged to MLflow.",
        ),
    ] = None,
    poses_in_browser: Annotated[
        bool,
        typer.Option(
            "--poses-in-browser",
            help="Guests may run the pose network in their browser; then keypoints alone leave it.",
        ),
    ] = False,
    min_precision: options.MinPrecision = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    as_json: options.Json = False,
) -> None:
    """Serve a model: a page for cameras, a socket, uploads.

    Runs until Ctrl-C, on Ray Serve: of its own here, or on the cluster of RAY_ADDRESS. An alias such as
    models:/actions@champion is followed: a new champion takes over within a minute.
    """
    for each in filter(None, (model, shadow)):
        options.check_model(each)
    if not re.fullmatch(r"auto|[1-9]\d*", replicas):
        raise InputError(f"--replicas {replicas}: expected auto or a number from 1")
    with session(out, "serve", as_json) as terminal:
        from harray.api.serve import served, wait_for_interruption
        from harray.live.config import LiveConfig
        from harray.serving.config import Address, ServingConfig

        config = ServingConfig(
            model=model,
            shadow=shadow,
            token=token or None,
            replicas=replicas,
            browser_poses=poses_in_browser,
            live=LiveConfig(min_precision=min_precision),
        )
        address = Address(host=host, port=port)
        with served(config, address, workspace=Workspace(out, tracking_uri), reporter=terminal) as url:
            terminal.result(f"serving {model} at {url}{' (guests need the token)' if token else ''}")
            terminal.say("Ctrl-C ends it")
            terminal.json({"url": url, "model": model})
            wait_for_interruption()
