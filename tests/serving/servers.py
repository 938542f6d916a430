"""`harray serve` as a person starts it: a process of its own, with its own Ray."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

START_SEC, STOP_SEC = 180, 60


@dataclass
class Server:
    """One server on a port; may be stopped and started again there."""

    model: str
    port: int
    out: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.out / "serve.log"

    def start(self) -> "Server":
        """Until it answers."""
        self.out.mkdir(parents=True, exist_ok=True)
        code = "from harray.cli import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "serve",
            self.model,
            "--port",
            str(self.port),
            "--out",
            str(self.out),
        ]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *self.flags], stdout=log, stderr=log, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + START_SEC
        while self.health() is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"no server: {self.log.read_text()[-2000:]}")
            time.sleep(0.3)
        return self

    def health(self) -> dict[str, Any] | None:
        """What /healthz says; None where nothing answers."""
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as said,
        ):
            return json.load(said)
        return None

    def processes(self) -> list[psutil.Process]:
        """It and all that it started."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            mother = psutil.Process(self.process.pid)
            return [mother, *mother.children(recursive=True)]
        return []

    def replica(self, name: str) -> psutil.Process:
        """The process of a deployment's replica, by Ray's title for it."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if f"ServeReplica:harray:{name}" in " ".join(process.cmdline()):
                    return process
        raise LookupError(f"no replica of {name}")

    def stop(self) -> int | None:
        """Ctrl-C; its exit code. What will not go is killed."""
        if self.process is None:
            return None
        started = self.processes()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SEC)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return self.process.wait(STOP_SEC)
