"""A lock in a bucket: an object that its holder writes anew every few seconds, and that goes to another when it stops.

Nobody's clock is compared with another one's. Whoever finds the lease taken watches it: if it changes, its holder
lives; if it does not for `EXPIRY_SEC`, the holder is dead, and the lease is taken over by compare-and-set, which of
several watchers one can do. A holder that could not be heard for so long learns so at its next beat.
"""

import json
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from harray.errors import InputError
from harray.files import bucket
from harray.files.bucket import BucketError, BucketPath, Version

BEAT_SEC = 5.0
EXPIRY_SEC = 45.0  # a server may be away for half a minute
WATCH_SEC = 1.0


class Lease:
    """Held from `take` to `release`, or until `lost` says that another one has it.

    Attributes:
        lost: set when another one took it over, since this holder could not be heard.
    """

    def __init__(self, path: BucketPath, holder: Mapping[str, Any], version: Version) -> None:
        self.path = path
        self.holder = holder
        self.version = version
        self.lost = threading.Event()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {path}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """
        Raises:
            InputError: another one has taken the lease over.
        """
        if self.lost.is_set():
            raise InputError(
                f"{self.path}: another command took over, since this one could not be heard for {EXPIRY_SEC:.0f} s; "
                "what was finished is kept, run the same command again"
            )

    def release(self) -> None:
        """Let the next one have it."""
        self._released.set()
        self._thread.join()
        if not self.lost.is_set() and (seen := _seen(self.path)) and _is_of(seen[0], self.holder):
            bucket.delete([self.path])

    def _beat(self) -> None:
        number = 0
        while not self._released.wait(BEAT_SEC) and not self.lost.is_set():
            number += 1
            try:
                version = bucket.replace(self.path, _text(self.holder, number), self.version)
                if version is None:  # or a time-out hid that it was written
                    seen = _seen(self.path)
                    if seen is None or not _is_of(seen[0], self.holder):
                        self.lost.set()
                        return
                    version = seen[1]
                self.version = version
            except BucketError:  # it tries on: as long as nobody else takes it, it is still held
                continue


def take(path: BucketPath, about: Mapping[str, Any]) -> Lease | dict[str, Any]:
    """The lease, or what its living holder told about itself.

    It takes `EXPIRY_SEC` where its holder died, `BEAT_SEC` where it lives, else no time.

    Args:
        about: what others are told who want it meanwhile; plain values.

    Raises:
        BucketError: the bucket refuses, does not answer, or knows no conditional writes.
    """
    holder = {**about, "token": uuid.uuid4().hex}
    while True:
        version = bucket.create(path, _text(holder, 0))
        if version is not None:
            bucket.check_conditional(path)
            return Lease(path, holder, version)
        seen = _seen(path)
        if seen is None:  # released meanwhile
            continue
        if _is_of(seen[0], holder):  # a time-out hid that it was written
            return Lease(path, holder, seen[1])
        if (now := _watched(path, seen[1])) is None:
            version = bucket.replace(path, _text(holder, 0), seen[1])
            if version is not None:
                return Lease(path, holder, version)
            continue
        if now:
            return now


def _watched(path: BucketPath, version: Version) -> dict[str, Any] | None:
    """What the holder wrote next; empty when it was released, None when nothing came for `EXPIRY_SEC`."""
    started = time.monotonic()
    while time.monotonic() < started + EXPIRY_SEC:
        time.sleep(WATCH_SEC)
        seen = _seen(path)
        if seen is None:
            return {}
        if seen[1] != version:
            return seen[0]
    return None


def _seen(path: BucketPath) -> tuple[dict[str, Any], Version] | None:
    try:
        text, version = bucket.read(path)
    except FileNotFoundError:
        return None
    try:
        return dict(json.loads(text)), version
    except ValueError:
        return {}, version


def _is_of(seen: Mapping[str, Any], holder: Mapping[str, Any]) -> bool:
    return seen.get("token") == holder["token"]


def _text(holder: Mapping[str, Any], beat: int) -> bytes:
    """Another one with every beat, so that its etag is."""
    return json.dumps({**holder, "beat": beat}).encode()
