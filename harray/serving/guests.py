"""Who is let in, and how much they may ask for."""

import hmac
import time
from urllib.parse import urlsplit

from harray.serving.config import Limits

BURST = 4.0  # frames that may come at once


class Refused(Exception):
    """A request that is not served; an HTTP status and a line for the guest."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(status, message, headers)
        self.status = status
        self.message = message
        self.headers = headers


def knows_token(token: str | None, said: str) -> bool:
    """Whether a guest knows the token; everybody does where there is none."""
    return token is None or hmac.compare_digest(token.encode(), said.encode())


def bearer_of(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer ...` header; empty where there is none."""
    kind, _, token = (authorization or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def is_own_page(origin: str | None, host: str | None) -> bool:
    """Whether a socket comes from a page of this server, or from no browser at all: another site's page must not use
    the server of whoever looks at it."""
    return origin is None or urlsplit(origin).netloc == host


class Pace:
    """Lets so many frames a second through; a few may come at once."""

    def __init__(self, limits: Limits):
        self.per_sec = limits.max_frames_per_sec
        self._left, self._at = BURST, time.monotonic()

    def wait_sec(self) -> float:
        """How long the next frame has to wait from now; counts it."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * self.per_sec) - 1
        self._at = now
        return max(0.0, -self._left / self.per_sec)
