"""What tests share: one Ray cluster, one set of rendered videos and its store, and the real material if present."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harray.distributed.resources import prepare_ray

prepare_ray()  # before any test module imports Ray
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads wait by spinning: two on a busy core crawl

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real videos, skeletons and weights, kept beside the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real material at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def ray_cluster():
    """One local Ray with two CPUs for the whole run; whatever starts Ray joins it."""
    from harray.distributed.resources import start_ray

    handle = start_ray(num_cpus=2)
    yield handle
    handle.shutdown()


@dataclass
class Ending:
    """How a command ended: exit code, what it printed, and its JSON where it printed one."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def harray(capfd):
    """Run a command in this process: `harray("extract", folder, "--store", store)`."""
    return lambda *arguments: run_command(capfd.readouterr, *arguments)


@pytest.fixture(scope="session")
def harray_once():
    """As `harray`, for fixtures that outlive a test."""
    from _pytest.capture import FDCapture, MultiCapture

    def run(*arguments: object) -> Ending:
        capture = MultiCapture(in_=None, out=FDCapture(1), err=FDCapture(2))
        capture.start_capturing()
        try:
            return run_command(capture.readouterr, *arguments)
        finally:
            capture.stop_capturing()

    return run


def run_command(readouterr: Callable[[], tuple[str, str]], *arguments: object) -> Ending:
    """Run a command line and collect what it printed."""
    from harray.cli import main

    readouterr()
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    out, err = readouterr()
    return Ending(int(ending.value.code or 0), out, err)
