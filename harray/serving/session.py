"""One socket: what its guest sends, the stream that is followed, and what is answered.

receive --newest frame only--> see (networks, batched over sockets) --> Stream --> answer
                                               `--due windows--> decide, beside the frames --^
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter
from starlette.websockets import WebSocket, WebSocketDisconnect

from harray.live.networks import SeenFrame
from harray.live.stream import Stream
from harray.live.windows import Window
from harray.serving import protocol
from harray.serving.browser_poses import browser_poses, seen_in_browser
from harray.serving.following import Served
from harray.serving.guests import Pace, is_own_page, knows_token
from harray.serving.hub import Hub, Unavailable
from harray.serving.networks import FrameJob
from harray.serving.protocol import FrameMessage, Malformed

LOOK_SEC = 1.0  # how often an idle socket is looked at


class Closed(Exception):
    """The socket is to be closed, with a code and a reason that the page shows."""

    def __init__(self, code: int, reason: str):
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Mailbox:
    """Holds the newest frame; one that nobody took in time is skipped."""

    def __init__(self, skipped: Counter) -> None:
        self.num_skipped = 0
        self._skipped = skipped
        self._frame: tuple[FrameMessage, float] | None = None
        self._filled = asyncio.Event()

    def put(self, frame: FrameMessage) -> None:
        if self._frame is not None:
            self.skip()
        self._frame = frame, time.monotonic()
        self._filled.set()

    def newer(self) -> tuple[FrameMessage, float] | None:
        """A frame that came after the one that was taken, which is then skipped."""
        taken, self._frame = self._frame, None
        self._filled.clear()
        if taken is not None:
            self.skip()
        return taken

    def skip(self) -> None:
        """A frame is not looked at."""
        self.num_skipped += 1
        self._skipped.inc()

    async def take(self) -> tuple[FrameMessage, float]:
        """The newest frame and when it came."""
        await self._filled.wait()
        self._filled.clear()
        assert self._frame is not None
        taken, self._frame = self._frame, None
        return taken


class Session:
    """The life of one socket."""

    def __init__(self, socket: WebSocket, hub: Hub):
        self.socket = socket
        self.hub = hub
        self.limits = hub.config.limits
        self.mailbox = Mailbox(hub.counters.frames.labels(outcome="skipped"))
        self.pace = Pace(self.limits)
        self.attention = False
        self.num_sent = self.num_read = self.num_errors = 0
        self.heard_at = self.read_at = time.monotonic()
        self.served: Served | None = None
        self.stream: Stream | None = None
        self.newest_ms = -1.0
        self.events: list[dict[str, Any]] = []
        self.deciding: asyncio.Task | None = None

    async def run(self) -> None:
        """From the handshake to the end, whoever ends it."""
        await self.socket.accept()
        tasks: list[asyncio.Task] = []
        try:
            self._admit()
            await self._hello()
            tasks += [asyncio.create_task(loop) for loop in (self._receive(), self._answer(), self._watch())]
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()  # raises what ended it
        except Closed as closed:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self.socket.close(closed.code, closed.reason[:120])
        except (WebSocketDisconnect, RuntimeError):  # gone; a send to who is gone is a RuntimeError
            pass
        finally:
            for task in [*tasks, *([self.deciding] if self.deciding else [])]:
                task.cancel()

    def _admit(self) -> None:
        headers = self.socket.headers
        if not is_own_page(headers.get("origin"), headers.get("host")):
            raise Closed(protocol.CLOSED_ORIGIN, "this page is not of this server")
        if self.hub.num_sockets > self.limits.max_sockets:
            raise Closed(
                protocol.CLOSED_FULL, f"all {self.limits.max_sockets} places are taken; try again later"
            )

    async def _hello(self) -> None:
        try:
            message = await asyncio.wait_for(self.socket.receive(), self.limits.hello_sec)
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            said = protocol.parse_text(message.get("text") or "")
        except TimeoutError:
            raise Closed(protocol.CLOSED_IDLE, "no hello came") from None
        except Malformed as error:
            raise Closed(protocol.CLOSED_MALFORMED, f"no hello: {error.message}") from None
        if said["type"] != "hello":
            raise Closed(protocol.CLOSED_MALFORMED, "the first message must be a hello")
        if not knows_token(self.hub.config.token, said.get("token", "")):
            raise Closed(protocol.CLOSED_TOKEN, "a token is needed")
        self.attention = said.get("attention", False)
        await self._change_over()

    async def _change_over(self) -> None:
        """Go over to the model that is served now; who is followed stays."""
        served = self.hub.served
        before, self.served = self.served, served
        if self.stream is None or before is None or before.facts.bones != served.facts.bones:
            self.stream = Stream(served.facts.traits, self.hub.config.live)
        else:
            self.stream.adopt(served.facts.traits)
        await self._send(hello_of(self.hub, served), counts=False)

    async def _receive(self) -> None:
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            self.heard_at = time.monotonic()
            try:
                if (data := message.get("bytes")) is not None:
                    self._take(protocol.parse_frame(data, self.limits.max_frame_bytes))
                else:
                    said = protocol.parse_text(message.get("text") or "")
                    self.attention = said.get("attention", self.attention)
            except Malformed as error:
                await self._complain(error)

    def _take(self, frame: FrameMessage) -> None:
        if frame.num_read > self.num_sent:
            raise Malformed("read", f"found {frame.num_read} answers read, of {self.num_sent} sent")
        if frame.num_read > self.num_read:
            self.num_read, self.read_at = frame.num_read, time.monotonic()
        if frame.captured_ms <= self.newest_ms:
            raise Malformed("time", "found a capture time that is not after the one before")
        self.newest_ms = frame.captured_ms
        if self._is_unread():
            self.mailbox.skip()
            return
        self.mailbox.put(frame)

    def _is_unread(self) -> bool:
        return self.num_sent - self.num_read >= self.limits.max_unread

    async def _answer(self) -> None:
        while True:
            frame, came_at = await self.mailbox.take()
            if (too_early_sec := self.pace.wait_sec()) > 0:
                await asyncio.sleep(too_early_sec)  # meanwhile a newer one may come
                frame, came_at = self.mailbox.newer() or (frame, came_at)
            if self.served is not self.hub.served:
                await self._change_over()
            try:
                answer = await self._look_at(frame)
            except Malformed as error:
                await self._complain(error)
                continue
            except Unavailable as error:
                await self._complain(Malformed("busy", str(error)), is_theirs=False)
                continue
            seconds = time.monotonic() - came_at
            self.num_errors = 0
            self.hub.counters.latency.observe(seconds)
            self.hub.counters.frames.labels(outcome="answered").inc()
            await self._send({**answer, "server_ms": round(1000 * seconds, 1)})

    async def _look_at(self, frame: FrameMessage) -> dict[str, Any]:
        assert self.stream is not None and self.served is not None
        self.stream.take(await self._seen(frame, self.served, self.stream))
        if self.deciding is None or self.deciding.done():
            if windows := self.stream.due():
                self.deciding = asyncio.create_task(self._decide(self.served, self.stream, windows))
            else:
                self.events += [event.to_json() for event in self.stream.decided([], [])]
        events, self.events = self.events, []
        return {
            "type": "answer",
            "captured_ms": frame.captured_ms,
            "skipped": self.mailbox.num_skipped,
            "version": self.served.version,
            "events": events,
            **self.stream.view(with_attention=self.attention),
        }

    async def _seen(self, frame: FrameMessage, served: Served, stream: Stream) -> SeenFrame:
        """What the networks see in a frame, or what the guest's own network saw."""
        time_sec = frame.captured_ms / 1000
        if frame.poses is not None:
            if not (self.hub.config.browser_poses and served.facts.poses):
                raise Malformed("poses", "this server takes pictures only")
            return seen_in_browser(frame.poses, time_sec, served.facts.poses)
        wants_scene = stream.wants_scene(time_sec)
        job = FrameJob(model=served.name, jpeg=frame.jpeg, time_sec=time_sec, wants_scene=wants_scene)
        with self.hub.counters.queue.track_inprogress():
            seen = await self.hub.networks.see(job)
        if isinstance(seen, Malformed):
            raise seen
        return seen

    async def _decide(self, served: Served, stream: Stream, windows: Sequence[Window]) -> None:
        """Decide beside the frames that go on coming; the next answer shows it."""
        try:
            predictions = await self.hub.networks.decide(served.name, windows)
        except Unavailable:
            return  # the next decision comes in a moment
        if stream is not self.stream:
            return
        self.events += [event.to_json() for event in stream.decided(windows, predictions)]
        for prediction in predictions:
            self.hub.counters.decisions.labels(verdict=prediction.evidence.verdict).inc()
        if self.hub.shadow is not None:
            self.hub.shadow.watch(served, windows, predictions)

    async def _watch(self) -> None:
        """Close a socket that is silent, or whose guest reads nothing."""
        while True:
            await asyncio.sleep(LOOK_SEC)
            now = time.monotonic()
            if now - self.heard_at > self.limits.max_idle_sec:
                raise Closed(protocol.CLOSED_IDLE, f"nothing came for {self.limits.max_idle_sec:g} s")
            if self._is_unread() and now - self.read_at > self.limits.max_idle_sec:
                raise Closed(protocol.CLOSED_IDLE, f"nothing was read for {self.limits.max_idle_sec:g} s")

    async def _complain(self, error: Malformed, is_theirs: bool = True) -> None:
        self.num_errors += is_theirs
        self.hub.counters.frames.labels(outcome="refused").inc()
        if self.num_errors > self.limits.max_errors:
            raise Closed(protocol.CLOSED_MALFORMED, f"{self.num_errors} messages in a row were no good")
        if not self._is_unread():
            await self._send(error.answer())

    async def _send(self, message: dict[str, Any], counts: bool = True) -> None:
        self.num_sent += counts
        await self.socket.send_json(message)


def hello_of(hub: Hub, served: Served) -> dict[str, Any]:
    """What the page must know before the first frame."""
    facts, limits = served.facts, hub.config.limits
    return {
        "type": "hello",
        "model": hub.model_name,
        "version": served.version,
        "classes": list(facts.classes),
        "bones": [list(bone) for bone in facts.bones],
        "has_scene": facts.traits.num_scene_frames > 0,
        "sees_pictures": facts.sees_videos,
        "frame_px": min(facts.frame_px, limits.max_frame_px),
        "browser_poses": browser_poses(facts.poses) if hub.config.browser_poses else None,
        "limits": {
            "max_frame_bytes": limits.max_frame_bytes,
            "max_frames_per_sec": limits.max_frames_per_sec,
        },
    }
