"""Things to watch: a camera on the network as many are (Motion JPEG over HTTP), and a film as a pipe carries it."""

import contextlib
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np

from tests.serving.models import jpegs_of

FRAMES_PER_SEC = 25.0


class NetworkCamera:
    """Plays frames there and back, as long as somebody watches.

    Attributes:
        num_connections: so far.
    """

    def __init__(self, frames_THWC: np.ndarray):
        jpegs = jpegs_of(frames_THWC)
        self._jpegs = [*jpegs, *jpegs[-2:0:-1]]
        self.num_connections = 0
        self._hung_up = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.num_connections += 1
                camera._hung_up.clear()
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):  # the watcher has gone
                    camera._play(self.wfile)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stream.mjpg"

    def _play(self, file) -> None:
        number, started = 0, time.monotonic()
        while not self._hung_up.is_set():
            jpeg = self._jpegs[number % len(self._jpegs)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            file.write(head.encode() + jpeg + b"\r\n")
            number += 1
            time.sleep(max(0.0, started + number / FRAMES_PER_SEC - time.monotonic()))

    def hang_up(self) -> None:
        """Break off every connection; new ones are taken."""
        self._hung_up.set()

    def close(self) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()


def write_film(path: Path, frames_THWC: Sequence[np.ndarray]) -> Path:
    """A film whose container can be read from a pipe, MPEG-TS."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=round(FRAMES_PER_SEC))
        stream.height, stream.width = frames_THWC[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path
