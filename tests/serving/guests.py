"""Guests of a server: one who behaves, and some who do not."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import websockets

from harray.serving.protocol import pack_frame
from tests.serving.models import looped


@dataclass
class Visit:
    """What a guest got."""

    latencies_ms: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)  # in the order in which they came
    labels: list[str | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reconnects: int = 0
    longest_silence_sec: float = 0.0
    hellos: list[dict[str, Any]] = field(default_factory=list)

    @property
    def num_answers(self) -> int:
        return len(self.latencies_ms)


def socket_url(url: str) -> str:
    return url.replace("http", "ws", 1) + "/ws"


async def behave(
    url: str, jpegs: Sequence[bytes], stop: asyncio.Event, frames_per_sec: float, token: str = ""
) -> Visit:
    """Send a frame, read its answer, and so on, evenly; connects again when the connection is lost."""
    visit, started, connected = Visit(), time.monotonic(), False
    endless = looped(list(jpegs), 10**9)
    newest = started
    while not stop.is_set():
        try:
            async with websockets.connect(socket_url(url), max_queue=4, open_timeout=20) as socket:
                visit.reconnects += connected
                connected, num_read = True, 0
                await socket.send(json.dumps({"type": "hello", "token": token}))
                visit.hellos.append(json.loads(await asyncio.wait_for(socket.recv(), 20)))
                while not stop.is_set():
                    sent = time.monotonic()
                    await socket.send(pack_frame(1000 * (sent - started), num_read, next(endless)))
                    while (said := json.loads(await asyncio.wait_for(socket.recv(), 30)))["type"] == "hello":
                        visit.hellos.append(said)
                    num_read += 1
                    now = time.monotonic()
                    if said["type"] == "error":
                        visit.errors.append(said["code"])
                    else:
                        visit.longest_silence_sec = max(visit.longest_silence_sec, now - newest)
                        newest = now
                        visit.latencies_ms.append(1000 * (now - sent))
                        if said["version"] not in visit.versions[-1:]:
                            visit.versions.append(said["version"])
                        visit.labels.append(said["tracks"][0]["label"] if said["tracks"] else None)
                    await asyncio.sleep(max(0.0, 1 / frames_per_sec - (now - sent)))
        except (OSError, TimeoutError, websockets.WebSocketException):
            await asyncio.sleep(0.5)
    return visit


async def never_read(url: str, jpegs: Sequence[bytes], seconds: float, token: str = "") -> None:
    """Send and send, and read nothing."""
    end = time.monotonic() + seconds
    try:
        async with websockets.connect(socket_url(url), max_queue=1) as socket:
            await socket.send(json.dumps({"type": "hello", "token": token}))
            for number, jpeg in enumerate(looped(list(jpegs), 10**9)):
                if time.monotonic() > end:
                    return
                await asyncio.wait_for(socket.send(pack_frame(float(number + 1), 0, jpeg)), 2)
                await asyncio.sleep(0.02)
    except (OSError, TimeoutError, websockets.WebSocketException):
        return


async def open_and_drop(url: str, jpegs: Sequence[bytes], count: int, token: str = "") -> None:
    """Open sockets, send a frame each, and vanish without a word."""
    for _ in range(count):
        try:
            socket = await websockets.connect(socket_url(url))
            await socket.send(json.dumps({"type": "hello", "token": token}))
            await socket.send(pack_frame(1.0, 0, jpegs[0]))
            socket.transport.abort()
        except (OSError, websockets.WebSocketException):
            await asyncio.sleep(0.2)


async def talk_nonsense(url: str, count: int, seed: int = 0) -> int:
    """Malformed messages of many kinds; how many sockets were closed on us."""
    import random

    rng, num_closed, left = random.Random(seed), 0, count
    while left > 0:
        try:
            async with websockets.connect(socket_url(url)) as socket:
                await socket.send(
                    rng.choice(['{"type": "hello"}', '{"type": "hello"}', "{", "", "[[[", b"\0" * 9])
                )
                while left > 0:
                    left -= 1
                    kinds = [
                        rng.randbytes(rng.randrange(40)),
                        pack_frame(
                            rng.choice([1.0, float("nan"), -5.0, 1e300]),
                            rng.choice([0, 99]),
                            rng.randbytes(200),
                        ),
                        b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff" * 3,
                        "x" * rng.randrange(6000),
                        '{"type": "settings", "attention": "yes"}',
                        '{"type": "' + "\u0000" * 3,
                    ]
                    await socket.send(rng.choice(kinds))
                    await asyncio.sleep(0.01)
        except (OSError, TimeoutError, websockets.WebSocketException):
            num_closed += 1
            left -= 1
    return num_closed
