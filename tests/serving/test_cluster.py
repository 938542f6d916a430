"""The Serve config as a cluster runs it: deployed on a local Ray, two ingress replicas, sockets of both answered."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml

from tests.clusters import free_ports
from tests.serving.guests import behave
from tests.serving.models import frames_of, jpegs_of

pytestmark = [pytest.mark.slow, pytest.mark.ray]

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "serve-config.yaml"
START_SEC, TOKEN, LABEL = 240.0, "secret", "jumping_jacks"


@pytest.fixture
def config_file(little_model, tmp_path) -> tuple[Path, int]:
    """The deployed config but for the model, the port, and what a machine without GPU has."""
    config = yaml.safe_load(CONFIG.read_text())
    (port,) = free_ports(1)
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    [app] = config["applications"]
    app["args"]["model"] = str(little_model)
    for deployment in app["deployments"]:
        deployment["ray_actor_options"] = {"num_cpus": 0}
        if deployment["name"] == "Ingress":
            deployment["autoscaling_config"]["min_replicas"] = 2
    file = tmp_path / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    return file, port


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as said:
            return said.status == 200
    except OSError:
        return False


def replicas(mother: psutil.Process, name: str) -> int:
    titles = []
    for process in mother.children(recursive=True):
        try:
            titles.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return sum(f"ServeReplica:harray:{name}" in title for title in titles)


async def visits(url: str, seconds: float) -> list:
    stop, jpegs = asyncio.Event(), jpegs_of(frames_of(LABEL))
    guests = [asyncio.create_task(behave(url, jpegs, stop, 8.0, TOKEN)) for _ in range(4)]
    await asyncio.sleep(seconds)
    stop.set()
    return await asyncio.gather(*guests)


def test_the_deployed_config_answers_the_sockets_of_two_ingress_replicas(config_file, tmp_path):
    file, port = config_file
    url, log = f"http://127.0.0.1:{port}", tmp_path / "serve.log"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"HARRAY_TOKEN": TOKEN, "PYTHONPATH": str(CONFIG.parents[1])}
    serve = Path(sys.executable).with_name("serve")
    with log.open("w") as written:
        process = subprocess.Popen(
            [serve, "run", file], stdout=written, stderr=written, env=environment, start_new_session=True
        )
    mother = psutil.Process(process.pid)
    try:
        deadline = time.monotonic() + START_SEC
        while not (is_up(url) and replicas(mother, "Ingress") == 2):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
        found = asyncio.run(visits(url, 20.0))
        assert all(LABEL in visit.labels and visit.errors == [] for visit in found)
        assert replicas(mother, "Networks") >= 1
    finally:
        started = mother.children(recursive=True)
        process.terminate()
        psutil.wait_procs([mother], timeout=60)
        for each in started:
            if each.is_running():
                each.kill()
