"""The writer's lock of a store in a bucket."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harray.errors import InputError
from harray.files import lease, place
from harray.store.lock import HOLDER_FILE, writing
from tests.clusters import bucket as s3_bucket
from tests.servers import faulty

HOLD = """
import sys, time
from harray.files import lease, place
from harray.store.lock import writing
lease.BEAT_SEC = 0.2
with writing(place(sys.argv[1]), "harray extract"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def server():
    with s3_bucket("harray") as variables:
        yield variables


@pytest.fixture
def store(server, monkeypatch, request):
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lease, "BEAT_SEC", 0.2)
    monkeypatch.setattr(lease, "EXPIRY_SEC", 1.5)
    monkeypatch.setattr(lease, "WATCH_SEC", 0.1)
    return place(f"s3://harray/{request.node.name}")


@pytest.fixture
def holder(store):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(store)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.s3
def test_a_second_writer_is_told_who_the_first_one_is(store, holder):
    expected = rf"`harray extract` \(process {holder.pid} on .*\) is writing to it; wait for its end"
    with pytest.raises(InputError, match=expected), writing(store, "harray store verify --repair"):
        pass


@pytest.mark.s3
def test_a_killed_writers_lease_is_taken_over(store, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with writing(store, "harray extract") as check:
        assert f'"pid": {os.getpid()}' in (store / HOLDER_FILE).read_text()
        check()
    assert not (store / HOLDER_FILE).is_file()


@pytest.mark.s3
def test_a_holder_learns_that_another_one_took_over_and_leaves_it_alone(store):
    held = lease.take(store / HOLDER_FILE, {"command": "first"})
    assert isinstance(held, lease.Lease)
    (store / HOLDER_FILE).write_text('{"command": "second"}')
    assert held.lost.wait(10)
    with pytest.raises(InputError, match="another command took over"):
        held.check()
    held.release()
    assert (store / HOLDER_FILE).read_text() == '{"command": "second"}'


@pytest.mark.s3
def test_a_holder_outlives_a_server_that_is_away_for_a_while(store, server, monkeypatch):
    with faulty(server["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with writing(store, "first") as check:
            proxy.go_away(1)
            time.sleep(2)
            check()


@pytest.mark.s3
@pytest.mark.parametrize("fault", ["cut", 409, 503])
def test_a_lease_that_was_written_though_nobody_said_so_is_ones_own(store, server, monkeypatch, fault):
    with faulty(server["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.fail_first(fault, method="PUT")
        with writing(store, "first") as check:
            proxy.fail_first(fault, method="PUT")
            time.sleep(0.6)
            check()


@pytest.mark.s3
def test_a_bucket_that_writes_over_everything_is_refused(store, server, monkeypatch):
    with faulty(server["AWS_ENDPOINT_URL"]) as proxy:
        proxy.ignored_headers = {"if-none-match"}
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(InputError, match="ignores `If-None-Match`"), writing(store, "first"):
            pass
