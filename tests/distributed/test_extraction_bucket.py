"""Extraction into a bucket, on a real S3 server that is disturbed; `bucket_under_fire.py` does so at length."""

import multiprocessing
import os
import signal

import pytest

from harray.distributed import extraction
from harray.distributed.extraction import Actors, extract
from harray.distributed.extraction_worker import FAULT
from harray.errors import InputError
from harray.files import bucket, lease, list_files, place
from harray.store import FeatureStore
from harray.store.lock import writing
from harray.store.verify import move_damaged, verify
from harray.videos.sources import list_videos
from tests.clusters import bucket as s3_bucket
from tests.distributed.conftest import todo_of, worker_for, write_video
from tests.servers import faulty

NUM_VIDEOS = 6
WHILE_RUNNING = ["attempts", "time"]  # columns that tell of the run, not of the videos


@pytest.fixture(scope="module")
def server():
    with s3_bucket("harray") as variables, faulty(variables["AWS_ENDPOINT_URL"]) as proxy:
        yield variables, proxy


@pytest.fixture
def proxy(server, monkeypatch, tmp_path):
    """Before the server that `store` is on."""
    variables, proxy = server
    proxy.fail_first()
    local = {"AWS_ENDPOINT_URL": proxy.url, "HARRAY_CACHE": str(tmp_path / "cache")}
    for name, value in {**variables, **local}.items():
        monkeypatch.setenv(name, value)
    known = (
        extraction.ACTOR_ENVIRONMENT["env_vars"] | variables | local
    )  # else they have what Ray was started with
    monkeypatch.setattr(extraction, "ACTOR_ENVIRONMENT", {"env_vars": known})
    monkeypatch.setattr(lease, "EXPIRY_SEC", 1.0)
    monkeypatch.setattr(lease, "WATCH_SEC", 0.1)
    return proxy


@pytest.fixture
def store(proxy, request):
    return place(f"s3://harray/{request.node.name[:40]}")


@pytest.fixture
def todo(tmp_path):
    for i in range(NUM_VIDEOS):
        write_video(tmp_path / "videos" / "run" / f"{i}.mp4", 10 + 20 * i)
    return todo_of(list_videos(tmp_path / "videos"))


def rows_of(store):
    return FeatureStore.open(store).read().drop_columns(WHILE_RUNNING)


@pytest.mark.s3
def test_a_bucket_holds_the_rows_that_a_folder_does_though_its_server_fails(
    store, proxy, todo, config, tmp_path
):
    worker_for(tmp_path / "store", config)(todo)
    worker, count = worker_for(store, config), iter(range(1000))
    faults = [503, None, 409, "cut", None, 500, "drop", None]
    proxy.fault = lambda method, path: faults[next(count) % len(faults)]
    outcomes = [worker(todo.slice(start, 2)) for start in range(0, NUM_VIDEOS, 2)]
    assert all(FAULT not in table["status"].to_pylist() for table in outcomes)
    proxy.fail_first()
    assert rows_of(store).equals(rows_of(tmp_path / "store"))
    found = verify(FeatureStore.open(store))
    assert (found.num_inputs, found.num_clips, found.problems, found.notes) == (
        NUM_VIDEOS,
        NUM_VIDEOS,
        [],
        [],
    )


@pytest.mark.s3
def test_a_server_that_stays_away_ends_the_run_in_one_line_and_records_nothing(
    store, proxy, todo, config, monkeypatch
):
    worker = worker_for(store, config)
    monkeypatch.setattr(bucket, "PATIENCE_SEC", 0.3)
    bucket._client.cache_clear()
    proxy.go_away(2)
    [outcome] = worker(todo).to_pylist()
    assert outcome["status"] == FAULT
    assert "does not answer" in outcome["message"]
    monkeypatch.undo()


def _begin_and_die(store, todo, config):
    """Write two batches of three, then the third's shard, and die before its ledger rows."""
    lease.BEAT_SEC = 0.2
    worker = worker_for(store, config)
    with writing(place(store), "harray extract"):
        for start in (0, 2, 4):
            if start == 4:
                worker.store.append_ledger = lambda rows: os.kill(os.getpid(), signal.SIGKILL)
            worker(todo.slice(start, 2))


@pytest.mark.s3
def test_what_a_killed_extraction_put_into_a_bucket_is_not_computed_again(
    ray_cluster, store, todo, config, tmp_path
):
    killed = multiprocessing.get_context("spawn").Process(target=_begin_and_die, args=(store, todo, config))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert len(FeatureStore.open(store).ledger()) == 4
    summary = extract(list_videos(tmp_path / "videos"), config, store, actors=Actors(number=1))
    assert (summary.inputs, summary.extracted, summary.computed) == (NUM_VIDEOS, NUM_VIDEOS, 0)
    assert verify(FeatureStore.open(store)).problems == []
    worker_for(tmp_path / "calm", config)(todo)
    assert rows_of(store).equals(rows_of(tmp_path / "calm"))


@pytest.mark.s3
def test_workers_without_credentials_are_refused_in_one_line(
    ray_cluster, store, todo, config, tmp_path, monkeypatch
):
    unknown = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    known = {"env_vars": extraction.ACTOR_ENVIRONMENT["env_vars"] | unknown}
    monkeypatch.setattr(extraction, "ACTOR_ENVIRONMENT", known)
    with pytest.raises(
        InputError, match=r"a worker could not start: .*: no credentials; set AWS_ACCESS_KEY_ID"
    ):
        extract(list_videos(tmp_path / "videos"), config, store, actors=Actors(number=1))


@pytest.mark.s3
def test_a_damaged_shard_of_a_bucket_is_moved_and_computed_again(store, todo, config):
    worker_for(store, config)(todo)
    [shard] = list_files(store / "clips", ".parquet")
    bucket.put(shard.path, b"PAR1")
    features = FeatureStore.open(store)
    found = verify(features)
    assert found.damaged == [f"clips/{shard.name}"]
    move_damaged(features, found)
    assert (store / "damaged" / f"clips-{shard.name}").read_bytes() == b"PAR1"
    worker_for(store, config)(todo)
    assert verify(features).problems == []
