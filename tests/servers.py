"""A proxy before an S3 server that fails as real ones do."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HANG_SEC = 60.0
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host"}

# What becomes of a request: a status to answer with at once, "hang" or "drop" to say nothing for a minute or to close,
# "cut" to hand it on and close without an answer, None to pass it through.
Fault = int | str | None


class FaultyServer:
    """Attributes:
    fault: asked for every request.
    requests: "METHOD path" of each, in order.
    ignored_headers: that the server behind never sees, in lower case.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.fault: Callable[[str, str], Fault] = lambda method, path: None
        self.requests: list[str] = []
        self.ignored_headers: set[str] = set()
        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def fail_first(self, *faults: Fault, method: str = "") -> None:
        """Let the next requests (of a method) fail so, then none."""
        left = list(faults)
        self.fault = lambda asked, path: left.pop(0) if left and asked.startswith(method) else None

    def go_away(self, seconds: float) -> None:
        """Answer nobody for so long."""
        until = time.monotonic() + seconds
        self.fault = lambda method, path: "drop" if time.monotonic() < until else None

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def faulty(behind: str) -> Generator[FaultyServer]:
    server = FaultyServer(behind)
    try:
        yield server
    finally:
        server.close()


def _handler_of(owner: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            owner.requests.append(f"{self.command} {self.path}")
            body = self._body()
            fault = owner.fault(self.command, self.path)
            if fault in ("hang", "drop"):
                if fault == "hang":
                    owner.closing.wait(HANG_SEC)
                self.close_connection = True
            elif isinstance(fault, int):
                self._answer(fault, [], b"<Error><Code>SlowDown</Code></Error>")
            else:
                self._pass_on(body, is_cut=fault == "cut")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return b"".join(chunks)

        def _pass_on(self, body: bytes, is_cut: bool) -> None:
            connection = http.client.HTTPConnection(owner.behind, timeout=60)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in HOP_BY_HOP | owner.ignored_headers
            }
            connection.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
            answer = connection.getresponse()
            content = answer.read()
            if is_cut:
                self.close_connection = True
            else:
                self._answer(answer.status, answer.getheaders(), content)
            connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            length = len(content)
            for name, value in headers:
                if self.command == "HEAD" and name.lower() == "content-length":
                    length = int(value)
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
