"""What tests share: one Ray cluster, one set of rendered videos and its store, and the real material if present."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("RAY_DEDUP_LOGS", "0")

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


@pytest.fixture(scope="session")
def procedural_videos(tmp_path_factory) -> Path:
    """A small rendered set: a folder with class folders, truth and manifest.csv."""
    from harray.synth.config import SynthConfig
    from harray.synth.render import render_dataset

    folder = tmp_path_factory.mktemp("procedural")
    render_dataset(folder, SynthConfig(clips_per_action=4, seed=7))
    return folder


@pytest.fixture(scope="session")
def procedural_store(procedural_videos, tmp_path_factory, ray_cluster) -> Path:
    """The store of `procedural_videos`, extracted with the embedded weights and random scene features."""
    from harray.distributed.extraction import extract
    from harray.recipes import procedural
    from harray.videos.sources import list_videos

    store = tmp_path_factory.mktemp("store") / "store"
    manifest = list_videos(procedural_videos / "manifest.csv")
    extract(manifest, procedural().extraction, store)
    return store


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
    from harray.cli import main

    def run(*arguments: object) -> Ending:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ending(int(ending.value.code or 0), out, err)

    return run
