"""A thread that reads frames, so that the newest is at hand whenever the networks are free.

    frames --as they come, or at the film's own speed--> a few that wait, the oldest dropped and counted --> take()

What waits is bounded, so memory does not grow on a machine that is too slow for its camera.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from harray.videos.capture import Captured

FILM_WAITS = 8  # frames of a film; of a camera only the newest does


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A frame, and when it came."""

    frame: Captured
    monotonic_sec: float  # of the machine's clock that never leaps, for latencies
    unix_sec: float


class Reader:
    """Reads ahead of whoever takes frames.

    Args:
        frames: of `captured`.
        waits: how many frames may wait.
        own_speed: wait for each frame's time; for films.
        drops: the oldest that waits makes place for a new one; else reading waits for whoever takes.

    Attributes:
        num_read, num_skipped: frames that came, and those of them that nobody took.
    """

    def __init__(self, frames: Iterator[Captured], *, waits: int, own_speed: bool, drops: bool):
        self.num_read = self.num_skipped = 0
        self._frames, self._own_speed, self._drops = frames, own_speed, drops
        self._waits = waits
        self._waiting: deque[Arrived] = deque()
        self._changed = threading.Condition()
        self._is_over = self._is_closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="read frames", daemon=True)
        self._thread.start()

    def take(self, most: int, timeout_sec: float = 0.5) -> list[Arrived] | None:
        """Frames that wait, the oldest first; none where none came in time; None once the source has ended.

        Raises:
            InputError: as `captured`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over, timeout_sec)
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
            if taken or not self._is_over:
                return taken
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """Stop reading; what waits is not wanted."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout=2.0)

    def _read(self) -> None:
        try:
            started = time.monotonic()
            for frame in self._frames:
                if self._own_speed and not self._sleep(started + frame.time_sec - time.monotonic()):
                    break
                if not self._put(Arrived(frame=frame, monotonic_sec=time.monotonic(), unix_sec=time.time())):
                    break
        except BaseException as error:  # must reach whoever takes, whatever it is
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _sleep(self, seconds: float) -> bool:
        """Wait until a frame is due; False where nobody wants it any more."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._is_closed, max(0.0, seconds))

    def _put(self, arrived: Arrived) -> bool:
        with self._changed:
            self.num_read += 1
            if self._drops:
                while len(self._waiting) >= self._waits:
                    self._waiting.popleft()
                    self.num_skipped += 1
            else:
                self._changed.wait_for(lambda: len(self._waiting) < self._waits or self._is_closed)
            self._waiting.append(arrived)
            self._changed.notify_all()
            return not self._is_closed
