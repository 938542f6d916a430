"""What tests share: one Ray cluster, one set of rendered videos and its store, and the real material if present."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harray.distributed.resources import prepare_ray

prepare_ray()  # before any test module imports Ray
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads wait by spinning: two on a busy core crawl

# What a test starts, by the fixture that starts it; tests without such a fixture carry the marker themselves.
STARTED_BY = {
    "ray": {"ray_cluster", "job_cluster"},
    "mlflow": {"empty_database", "server_process"},
    "s3": {"bucket"},
}
SLOW_STARTS = ("ray", "mlflow", "s3", "browser")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what their fixtures start; whatever starts a server is slow."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for name in STARTED_BY:
            if fixtures & STARTED_BY[name]:
                item.add_marker(name)
        if any(item.get_closest_marker(name) for name in SLOW_STARTS):
            item.add_marker("slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU, and torch finds none here")


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


@pytest.fixture(scope="session")
def little_model(tmp_path_factory) -> Path:
    """A checkpoint that tells `tests.serving.models.LABELS` apart by poses, trained within seconds."""
    from tests.serving.models import little_checkpoint

    return little_checkpoint(tmp_path_factory.mktemp("little"))


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


@pytest.fixture
def clip_fields():
    """Annotations as other programs write them; content follows from the seed."""

    def fields(frame_dir, seed=0, people=1, frames=5, joints=17, coordinates=2, **changes):
        random = np.random.default_rng(seed)
        values = {
            "frame_dir": frame_dir,
            "total_frames": frames,
            "label": 0,
            "img_shape": (240, 320),
            "original_shape": (240, 320),
            "keypoint": random.uniform(1, 240, (people, frames, joints, coordinates)).astype(np.float16),
            "keypoint_score": random.uniform(0.1, 1, (people, frames, joints)).astype(np.float16),
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    return fields


@pytest.fixture
def saved(tmp_path):
    def save(content, name="clips.pkl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(content, 2))
        return path

    return save
