"""Peak memory of this process and of the actors under it, while something runs."""

import threading
from types import TracebackType

PERIOD_SEC = 1.0  # a look at all processes costs tens of milliseconds, which the measurement would pay


class PeakMemory:
    """A context that watches resident memory.

    Attributes:
        driver_mb: highest seen of this process.
        actor_mb: highest seen of any one process under it whose title holds `actor`; 0 where none was seen.
    """

    def __init__(self, actor: str):
        self.actor = actor
        self.driver_mb = self.actor_mb = 0.0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        import psutil

        this = psutil.Process()
        while not self._done.wait(PERIOD_SEC):
            self.driver_mb = max(self.driver_mb, this.memory_info().rss / 1e6)
            for process in this.children(recursive=True):
                try:
                    if self.actor in " ".join(process.cmdline()):
                        self.actor_mb = max(self.actor_mb, process.memory_info().rss / 1e6)
                except psutil.Error:
                    continue  # it ended between the listing and the question
