import contextlib
import os
import socket
import threading
import time

import pytest

from harray.distributed import resources
from harray.distributed.resources import Demand, check_demand, missing_resources, start_ray
from harray.errors import InputError
from tests.reporters import Recorder


@pytest.mark.parametrize(
    ("demand", "there", "missing"),
    [
        ({"CPU": 2}, {"CPU": 2.0}, None),
        ({"CPU": 3}, {"CPU": 2.0}, "3 CPU (there are 2)"),
        ({"CPU": 1, "GPU": 0.5}, {"CPU": 2.0}, "0.5 GPU (there are 0)"),
        ({"CPU": 3, "GPU": 2}, {"CPU": 2.0, "GPU": 1.0}, "3 CPU (there are 2) and 2 GPU (there are 1)"),
        ({"CPU": 0.3}, {"CPU": 0.1 + 0.2}, None),  # what floating point loses is not missing
        ({}, {}, None),
        (
            {"object_store_memory": 3e9},
            {"object_store_memory": 0.5e9},
            "3.0 GB of object store memory (there are 0.5)",
        ),
    ],
)
def test_what_is_missing_is_said_in_words(demand, there, missing):
    assert missing_resources(demand, there) == missing


def test_a_demand_that_can_never_be_met_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(resources, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(resources, "autoscaler_limit", dict)
    started = time.monotonic()
    with pytest.raises(
        InputError, match=r"training needs 3 CPU \(there are 2\); use fewer workers or a larger"
    ):
        check_demand(Demand(purpose="training", remedy="use fewer workers", cpus=3))
    assert time.monotonic() - started < 1


def test_a_demand_that_waits_for_other_work_is_refused_within_seconds(monkeypatch):
    monkeypatch.setattr(resources, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(resources, "autoscaler_limit", dict)
    monkeypatch.setattr(resources, "free_resources", lambda: {"CPU": 1.0})
    monkeypatch.setattr(resources, "GRACE_SEC", 0.1)
    with pytest.raises(InputError, match=r"needs 2 CPU \(free now 1\): other work holds the rest"):
        check_demand(Demand(purpose="training", remedy="use fewer workers", cpus=2))


def test_nodes_that_the_autoscaler_may_add_count_and_are_not_waited_for_here(ray_cluster, monkeypatch):
    monkeypatch.setattr(resources, "autoscaler_limit", lambda: {"CPU": 66.0, "GPU": 8.0})
    monkeypatch.setattr(resources, "free_resources", dict)
    there = resources.cluster_resources()
    assert (there["CPU"], there["GPU"]) == (66.0, 8.0)
    assert there["object_store_memory"] > 0
    told = Recorder()
    check_demand(Demand(purpose="extraction", remedy="use fewer workers", cpus=8, gpus=8), told)
    assert told.said == [
        "waiting for the cluster to grow: extraction needs 8 CPU (free now 0) and 8 GPU (free now 0)"
    ]
    with pytest.raises(InputError, match=r"9 GPU \(there are 8\)"):
        check_demand(Demand(purpose="extraction", remedy="use fewer workers", gpus=9))


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_not_waited_for(monkeypatch, address):
    with pytest.raises(InputError, match=f"RAY_ADDRESS={address}: no cluster answers there"):
        resources._join(address)


def _silent(connection):
    """Take what is sent, and say nothing."""
    while connection.recv(4096):
        pass


def _speaks_http(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n\r\n")
    _silent(connection)


def _speaks_rubbish(connection):
    connection.sendall(bytes(range(256)))
    _silent(connection)


@pytest.mark.parametrize("prefix", ["", "ray://"])
@pytest.mark.parametrize(
    "answer",
    [None, _silent, _speaks_http, _speaks_rubbish, lambda connection: None],
    ids=["accepted by the kernel alone", "silent", "http", "rubbish", "hangs up"],
)
def test_a_port_that_accepts_and_never_answers_is_given_up(monkeypatch, prefix, answer):
    monkeypatch.setattr(resources, "HANDSHAKE_SEC", 0.5)

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        if answer:
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        address = f"{prefix}127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(
            InputError,
            match=rf"RAY_ADDRESS={address}: no cluster answers there \(the port accepts .*0.5 s\); start one with",
        ):
            resources._join(address)


def test_what_is_freed_in_time_is_waited_for(monkeypatch):
    free = iter([{}, {"CPU": 1.0}, {"CPU": 2.0}])
    monkeypatch.setattr(resources, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(resources, "autoscaler_limit", dict)
    monkeypatch.setattr(resources, "free_resources", lambda: next(free))
    check_demand(Demand(purpose="training", remedy="use fewer workers", cpus=2))


def test_a_second_start_joins_and_leaves_the_cluster_running(ray_cluster):
    import ray

    with start_ray(num_cpus=64) as second:
        assert not second.is_local
        assert second.address == ray_cluster.address
        assert second.resources()["CPU"] == 2.0
    assert ray.is_initialized()


def test_workers_are_not_started_through_uv_again(ray_cluster):
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"
