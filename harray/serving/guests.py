"""Who is let in, and how much they may ask for."""

import hmac
import time
from urllib.parse import urlsplit

from harray.serving.config import Limits


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
    """Lets so many frames a second through, a few at a time."""

    def __init__(self, limits: Limits):
        self.per_sec = limits.max_frames_per_sec
        self._left, self._at = self.per_sec / 2, time.monotonic()

    def allows(self) -> bool:
        """Whether one more may pass now."""
        now = time.monotonic()
        self._left = min(self.per_sec / 2, self._left + (now - self._at) * self.per_sec)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
