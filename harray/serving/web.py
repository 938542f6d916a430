"""The web application: the page, the socket, uploads, health, metrics. Knows nothing of Ray.

Everything that a browser loads comes from here; the schema is at /openapi.json.
"""

import asyncio
import functools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response

from harray import __version__
from harray.errors import InputError
from harray.serving import browser_poses
from harray.serving.demo_clip import demo_clip
from harray.serving.guests import Refused, bearer_of, knows_token
from harray.serving.hub import Hub, Unavailable
from harray.serving.session import Session

PAGE = {
    "": ("index.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
}
KEYPOINTS_BYTES = 8 << 20  # longest JSON of keypoints
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0")  # FFmpeg would go and read what they name
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; "
    "media-src 'self' blob: mediastream:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "Permissions-Policy": "camera=(self), microphone=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
VIDEO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "video/mp4": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["keypoints", "height_px", "width_px"],
                    "properties": {
                        "keypoints": {
                            "type": "array",
                            "description": "[people][frames][joints][x px, y px, confidence]; absent = 0",
                            "items": {},
                        },
                        "height_px": {"type": "integer", "minimum": 1},
                        "width_px": {"type": "integer", "minimum": 1},
                    },
                }
            },
        },
    }
}


def web_application(hub: Hub) -> FastAPI:
    """The application around a hub, which is started and stopped with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()

    app = FastAPI(
        title="harray",
        version=__version__,
        description="Who does what, now. Live frames go over the socket /ws.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_page(app, hub)
    _add_health(app, hub)
    _add_predict(app, hub)

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        hub.num_sockets += 1
        hub.counters.sockets.set(hub.num_sockets)
        try:
            await Session(socket, hub).run()
        finally:
            hub.num_sockets -= 1
            hub.counters.sockets.set(hub.num_sockets)

    @app.exception_handler(Refused)
    async def refuse(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"error": error.message}, error.status, error.headers)

    return app


def _add_page(app: FastAPI, hub: Hub) -> None:
    folder = files("harray").joinpath("serving", "page")
    headers = HEADERS | (browser_poses.HEADERS if hub.config.browser_poses else {})

    def route(path: str, content: bytes, media_type: str) -> None:
        @app.get(f"/{path}", include_in_schema=not path, summary="The page")
        async def page() -> Response:
            return Response(content, media_type=media_type, headers=headers)

    for path, (name, media_type) in PAGE.items():
        route(path, folder.joinpath(name).read_bytes(), f"{media_type}; charset=utf-8")
    if hub.config.browser_poses:
        for path, (media_type, content) in browser_poses.runtime_files().items():
            route(path, content, media_type)
        _add_pose_network(app, hub, headers)

    clip = functools.cache(demo_clip)  # drawn at the first look

    @app.get("/demo.mp4", summary="A rendered clip to try the page with")
    async def demo(request: Request) -> Response:
        return _part_of(await asyncio.to_thread(clip), request.headers.get("range"))


def _add_pose_network(app: FastAPI, hub: Hub, headers: dict[str, str]) -> None:
    @app.get("/pose.onnx", summary="The model's pose network, for browsers")
    async def pose_network(request: Request) -> Response:
        _check_token(request, hub)
        try:
            content = await hub.networks.pose_network(hub.served.name)
        except InputError as error:
            raise Refused(422, str(error)) from error
        except Unavailable as error:
            raise Refused(503, str(error), {"Retry-After": "2"}) from error
        return Response(content, media_type="application/octet-stream", headers=headers)


def _part_of(content: bytes, wanted: str | None) -> Response:
    """A video, or the range of it that a browser asks for when it plays it in a loop (RFC 9110, 14)."""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "max-age=3600"}
    kind, _, span = (wanted or "").partition("=")
    start, dash, end = span.partition("-")
    if kind != "bytes" or not dash or not start.isdigit() or not (end.isdigit() or not end):
        return Response(content, media_type="video/mp4", headers=headers)
    first, last = int(start), min(int(end or len(content) - 1), len(content) - 1)
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, headers, "video/mp4")


def _add_health(app: FastAPI, hub: Hub) -> None:
    @app.get("/healthz", summary="Whether a model is ready, and which version")
    async def healthz() -> dict[str, Any]:
        served = hub.served
        health = {"status": "ok", "model": hub.model_name, "version": served.version}
        return {**health, "trouble": hub.following.trouble} if hub.following.trouble else health

    @app.get("/metrics", summary="Counters in Prometheus' text format")
    async def metrics(request: Request) -> Response:
        _check_token(request, hub)
        text = hub.counters.text(hub.model_name, hub.served.version)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_predict(app: FastAPI, hub: Hub) -> None:
    @app.post("/predict", summary="Recognise the action in a video or in keypoints", openapi_extra=VIDEO_BODY)
    async def predict(request: Request) -> JSONResponse:
        try:
            answer = await _predicted(request, hub)
        except Refused as error:
            hub.counters.uploads.labels(status=str(error.status)).inc()
            raise
        hub.counters.uploads.labels(status="200").inc()
        return JSONResponse(answer)


async def _predicted(request: Request, hub: Hub) -> dict[str, Any]:
    """Raises Refused: whatever is wrong with the request, or that the networks are away."""
    _check_token(request, hub)
    limits = hub.config.limits
    if hub.num_uploads >= limits.max_uploads:
        raise Refused(429, "other uploads are being worked on; try again in a moment", {"Retry-After": "2"})
    hub.num_uploads += 1
    try:
        served = hub.served
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("multipart/") or kind == "application/x-www-form-urlencoded":
            raise Refused(
                415, f"found {kind}, expected the video itself as the body, as `curl --data-binary @NEW.mp4 "
                "-H 'Content-Type: video/mp4'` sends it, or keypoints as application/json"
            )  # fmt: skip
        if kind == "application/json":
            answer = await _of_keypoints(
                await _body(request, KEYPOINTS_BYTES, limits.upload_sec), served.name, hub
            )
        else:
            answer = await _of_video(
                await _body(request, limits.max_upload_bytes, limits.upload_sec), served.name, hub
            )
        return {**answer, "model": hub.model_name, "version": served.version}
    except Unavailable as error:
        raise Refused(503, str(error), {"Retry-After": "2"}) from error
    finally:
        hub.num_uploads -= 1


async def _of_video(content: bytes, model: str, hub: Hub) -> dict[str, Any]:
    if content.lstrip()[:16].startswith(PLAYLISTS):
        raise Refused(422, "found a list of places where a video is, expected the video itself")
    try:
        answer = await hub.networks.predict_video(model, content)
    except InputError as error:
        raise Refused(422, str(error)) from error
    if "top" not in answer:
        raise Refused(413 if answer.pop("refused", False) else 422, answer["error"])
    return answer


async def _of_keypoints(content: bytes, model: str, hub: Hub) -> dict[str, Any]:
    expected = list(hub.served.facts.keypoints_shape)
    try:
        values = json.loads(content)
        keypoints = np.asarray(values["keypoints"], np.float32)
        height_px, width_px = int(values["height_px"]), int(values["width_px"])
        if (
            list(keypoints.shape) != expected
            or not np.isfinite(keypoints).all()
            or min(height_px, width_px) < 1
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise Refused(
            422, 'expected {"keypoints": ..., "height_px": ..., "width_px": ...} with finite keypoints of shape '
            f"{expected} [people, frames, joints, x px, y px, confidence]"
        ) from None  # fmt: skip
    try:
        return await hub.networks.predict_keypoints(model, keypoints, height_px, width_px)
    except InputError as error:
        raise Refused(422, str(error)) from error


async def _body(request: Request, max_bytes: int, within_sec: float) -> bytes:
    """The body, held in memory, where it is no longer than that and comes in time."""
    refused = Refused(413, f"found more than {max_bytes >> 20} MiB, which is the limit")
    if int(request.headers.get("content-length", "0") or 0) > max_bytes:
        raise refused
    body = bytearray()
    try:
        async with asyncio.timeout(within_sec):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise refused
    except TimeoutError:
        raise Refused(408, f"the upload had not arrived after {within_sec:g} s") from None
    if not body:
        raise Refused(422, "found an empty body, expected a video or keypoints")
    return bytes(body)


def _check_token(request: Request, hub: Hub) -> None:
    if not knows_token(hub.config.token, bearer_of(request.headers.get("authorization"))):
        raise Refused(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
