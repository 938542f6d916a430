"""Extraction with a network of random weights: what is found in the videos does not matter here."""

import dataclasses
import re
import resource
import shutil
from pathlib import Path

import pytest

from harray.config import with_overrides
from harray.distributed import extraction
from harray.distributed.extraction import (
    Actors,
    Pool,
    batch_size_for,
    choose_pool,
    extract,
    pool_for,
    settled,
    store_settings,
    weights_messages,
)
from harray.distributed.extraction_worker import FAULT, ExtractionWorker
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.extraction.faults import ExtractionError
from harray.reporting import SILENT
from harray.store import FeatureStore
from harray.store.verify import verify
from harray.videos.sources import list_videos, manifest_table
from tests.distributed.conftest import todo_of, worker_for, write_video
from tests.reporters import Recorder
from tests.videos import test_frames


@pytest.fixture
def videos(tmp_path):
    """Two good videos, a copy of one, and three that cannot be read."""
    root = tmp_path / "videos"
    write_video(root / "run" / "a.mp4", 10)
    write_video(root / "sit" / "b.mp4", 90)
    shutil.copy(root / "run" / "a.mp4", root / "run" / "a copy.mp4")
    (root / "run" / "empty.mp4").touch()
    (root / "run" / "text.mp4").write_text("no video")
    lines = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.mp4"))]
    (root / "manifest.csv").write_text("\n".join(["path,label", *lines, "run/missing.mp4,run", ""]))
    return root


def outcomes_of(store):
    return {row["path"].rpartition("/")[2]: row for row in FeatureStore.open(store).ledger().to_pylist()}


def test_a_worker_extracts_what_it_can_and_quarantines_the_rest_with_reasons(videos, config, tmp_path):
    outcomes = worker_for(tmp_path / "store", config)(todo_of(list_videos(videos))).to_pylist()
    assert sum(row["computed"] for row in outcomes) == 2  # the copy is the same clip
    rows = outcomes_of(tmp_path / "store")
    assert {name: (row["status"], row["stage"]) for name, row in rows.items()} == {
        "a.mp4": ("extracted", None),
        "a copy.mp4": ("extracted", None),
        "b.mp4": ("extracted", None),
        "empty.mp4": ("quarantined", "open"),
        "text.mp4": ("quarantined", "open"),
        "missing.mp4": ("quarantined", "open"),
    }
    assert rows["missing.mp4"]["error"] == "FileNotFoundError"
    assert rows["a.mp4"]["clip_id"] == rows["a copy.mp4"]["clip_id"]
    table = FeatureStore.open(tmp_path / "store").read()
    assert table["label"].to_pylist() == ["run", "run", "sit"]
    assert table["frame_index"].to_pylist() == [[0, 2, 3, 5]] * 3


def test_a_store_goes_on_in_the_precision_that_it_was_made_in(config, tmp_path):
    made = with_overrides(config, {"poses.precision": "fp32"})
    FeatureStore.create(tmp_path / "store", store_settings(made))
    auto = with_overrides(config, {"poses.precision": "auto"})
    assert settled(auto, tmp_path / "store", SILENT).poses == made.poses
    other = with_overrides(config, {"poses.precision": "bf16"})
    with pytest.raises(InputError, match=r"poses.precision fp32 in the store, bf16 now"):
        FeatureStore.open_or_create(
            tmp_path / "store", store_settings(settled(other, tmp_path / "store", SILENT))
        )


def test_what_is_to_be_said_of_a_video_stands_in_the_ledger_and_is_counted_by_kind(videos, config, tmp_path):
    for name in ("c.avi", "d.avi"):
        path = test_frames.write_video(
            videos / "run" / name, 60, bright=lambda i, name=name: i + ord(name[0])
        )
        path.write_bytes(test_frames.without_packets(path.read_bytes(), range(52, 55)))
    (videos / "manifest.csv").write_text("path,label\nrun/a.mp4,run\nrun/c.avi,run\nrun/d.avi,run\n")
    worker_for(tmp_path / "store", config)(todo_of(list_videos(videos)))
    store = FeatureStore.open(tmp_path / "store")
    messages = {Path(row["path"]).name: row["message"] for row in store.ledger().to_pylist()}
    assert messages["a.mp4"] is None
    assert messages["c.avi"].startswith("damaged: 3 of 60 frames are damaged or lost")
    kind, count, example, text = next(note for note in store.info().notes if note[0] == "damaged")
    assert (kind, count, Path(example).name) == ("damaged", 2, "c.avi")
    assert text.startswith("3 of 60 frames")


def test_a_store_of_other_features_is_refused_in_one_line(videos, config, tmp_path):
    settings = store_settings(config)
    extraction = {**settings.provenance.extraction, "version": 1}
    older = dataclasses.replace(
        settings, provenance=dataclasses.replace(settings.provenance, extraction=extraction)
    )
    FeatureStore.create(tmp_path / "store", older)
    with pytest.raises(
        InputError, match=r"features of version 1, and this harray makes version \d+; extract into a"
    ):
        extract(list_videos(videos), config, tmp_path / "store")


def test_a_worker_that_died_between_shard_and_ledger_wasted_nothing(videos, config, tmp_path, monkeypatch):
    first = worker_for(tmp_path / "store", config)
    monkeypatch.setattr(first.store, "append_ledger", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        first(todo_of(list_videos(videos)))
    second = worker_for(tmp_path / "store", config)
    outcomes = second(todo_of(list_videos(videos))).to_pylist()
    assert not any(row["computed"] for row in outcomes)
    assert len(FeatureStore.open(tmp_path / "store").read()) == 3


def test_a_store_that_cannot_be_written_ends_the_run_and_records_nothing(videos, config, tmp_path):
    worker = worker_for(tmp_path / "store", config)
    (tmp_path / "store" / "clips").touch()  # a file where the folder should be
    [outcome] = worker(todo_of(list_videos(videos))).to_pylist()
    assert (outcome["status"], outcome["message"]) == (FAULT, "File exists")
    assert outcomes_of(tmp_path / "store") == {}


def test_a_disk_that_is_full_leaves_no_half_file_and_a_later_run_finishes(videos, config, tmp_path):
    """The disk is played by a limit on the size of files, at which writes fail in the middle."""
    worker, todo = worker_for(tmp_path / "store", config), todo_of(list_videos(videos))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        [outcome] = worker(todo).to_pylist()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outcome["status"] == FAULT
    store = FeatureStore.open(tmp_path / "store")
    assert (len(store.ledger()), verify(store).notes, worker.clip_ids) == (0, [], set())
    worker_for(tmp_path / "store", config)(todo)
    assert (verify(store).num_inputs, verify(store).problems) == (6, [])


@pytest.mark.slow
def test_a_video_that_kills_its_worker_is_given_up_and_the_others_are_not(
    videos, config, tmp_path, monkeypatch
):
    """A death is played by an exception that nothing catches; a new worker takes the same batch again."""

    def die_of_b(frames):
        if frames.rgb_THWC.mean() > 50:
            raise SystemExit
        return original(frames)

    todo = todo_of(list_videos(videos))
    for _ in range(4):
        worker = worker_for(tmp_path / "store", config)
        original = worker.extractor.extract_frames
        monkeypatch.setattr(worker.extractor, "extract_frames", die_of_b)
        try:
            worker(todo)
        except SystemExit:
            continue
    rows = outcomes_of(tmp_path / "store")
    assert (rows["b.mp4"]["status"], rows["b.mp4"]["error"]) == ("quarantined", "WorkerDied")
    assert {row["error"] for name, row in rows.items() if row["status"] == "extracted"} == {None}
    assert len(FeatureStore.open(tmp_path / "store").read()) == 2
    assert list((tmp_path / "store" / "tries").iterdir()) == []


def test_a_moved_folder_does_not_count_twice(ray_cluster, videos, config, tmp_path):
    worker_for(tmp_path / "store", config)(todo_of(list_videos(videos)))
    videos.rename(tmp_path / "moved")
    summary = extract(list_videos(tmp_path / "moved"), config, tmp_path / "store", actors=Actors(number=1))
    assert (summary.inputs, summary.extracted, summary.computed) == (6, 3, 0)
    assert len(FeatureStore.open(tmp_path / "store").read()) == 3


def test_a_worker_without_memory_ends_itself_and_blames_no_video(videos, config, tmp_path, monkeypatch):
    """The end of a process is played by an exception."""
    worker = worker_for(tmp_path / "store", config)
    monkeypatch.setattr(
        worker.extractor, "extract_frames", lambda frames: raise_(ExtractionError("pose", MemoryError()))
    )
    monkeypatch.setattr("os._exit", lambda code: raise_(SystemExit(code)))
    with pytest.raises(SystemExit):
        worker(todo_of(list_videos(videos)))
    assert outcomes_of(tmp_path / "store") == {}


def raise_(error):
    raise error


def test_a_worker_whose_weights_are_others_refuses(config, tmp_path):
    settings = store_settings(config)
    FeatureStore.create(tmp_path / "store", settings)
    with pytest.raises(InputError, match="other weights"):
        ExtractionWorker(
            config=config,
            store=str(tmp_path / "store"),
            provenance=dataclasses.replace(
                settings.provenance, weights={**settings.provenance.weights, "poses": "0"}
            ),
            clip_ids=set(),
            device="cpu",
            num_threads=1,
        )


def test_over_ray_a_rerun_computes_nothing_and_what_is_added_alone_is_computed(
    ray_cluster, videos, config, tmp_path
):
    store, told = tmp_path / "store", Recorder()
    first = extract(list_videos(videos), config, store, Actors(number=1), reporter=told)
    assert (first.inputs, first.extracted, first.quarantined, first.computed) == (6, 3, 3, 2)
    assert told.updates[0] == ("extracting", 0, 6, "")
    assert told.updates[-1] == ("extracting", 6, 6, "3 quarantined")
    digest = FeatureStore.open(store).digest()

    again = extract(list_videos(videos), config, store)
    assert (again.inputs, again.extracted, again.quarantined, again.computed) == (6, 3, 3, 0)
    assert FeatureStore.open(store).digest() == digest

    write_video(videos / "run" / "missing.mp4", 50)
    text = (videos / "manifest.csv").read_text().replace("sit/b.mp4,sit", "sit/b.mp4,stand")
    (videos / "manifest.csv").write_text(text)
    third = extract(list_videos(videos), config, store, Actors(number=1))
    assert (third.inputs, third.extracted, third.quarantined, third.computed) == (6, 4, 2, 1)
    assert FeatureStore.open(store).labels() == ["run", "stand"]
    assert outcomes_of(store)["missing.mp4"]["attempts"] == 2


def test_other_settings_are_refused_before_anything_starts(videos, config, tmp_path):
    FeatureStore.create(tmp_path / "store", store_settings(config))
    with pytest.raises(InputError, match=r"videos\.num_frames 4 in the store, 8 now"):
        extract(list_videos(videos), with_overrides(config, {"videos.num_frames": 8}), tmp_path / "store")


@pytest.mark.parametrize(
    ("resources", "num_actors", "pool"),
    [
        ({"CPU": 2}, 99, Pool(num_actors=2, num_threads=1, device="cpu", gpus_per_actor=0)),
        ({"CPU": 8}, 2, Pool(num_actors=2, num_threads=4, device="cpu", gpus_per_actor=0)),
        ({"CPU": 2}, 9, Pool(num_actors=2, num_threads=1, device="cpu", gpus_per_actor=0)),
        ({"CPU": 16, "GPU": 2}, 99, Pool(num_actors=8, num_threads=1, device="cuda", gpus_per_actor=0.25)),
        ({"CPU": 3, "GPU": 1}, 99, Pool(num_actors=3, num_threads=1, device="cuda", gpus_per_actor=0.25)),
        ({}, 99, Pool(num_actors=1, num_threads=1, device="cpu", gpus_per_actor=0)),
    ],
)
def test_actors_fit_the_machine(resources, num_actors, pool):
    assert choose_pool(resources, num_actors, gpus_per_actor=0.25) == pool


@pytest.mark.parametrize(
    ("resources", "num_actors", "gpus_per_actor", "said"),
    [
        (
            {"CPU": 2},
            64,
            0.25,
            "needs 9 times 1 CPU; there are 2 CPU and 0 GPU, which hold 2; lower --actors,",
        ),
        (
            {"CPU": 16, "GPU": 2},
            5,
            0.4,
            "needs 5 times 1 CPU and 0.4 GPU; there are 16 CPU and 2 GPU, which hold 4; lower --actors or "
            "poses.gpus_per_actor,",
        ),
        ({"CPU": 16, "GPU": 1}, None, 2, "needs 2 GPU an actor (there are 1); lower poses.gpus_per_actor"),
    ],
)
def test_actors_beyond_the_cluster_are_refused(monkeypatch, resources, num_actors, gpus_per_actor, said):
    monkeypatch.setattr(extraction, "cluster_resources", lambda: resources)
    monkeypatch.setattr(extraction, "cpus_of_one_task", lambda: 1)
    with pytest.raises(InputError, match=re.escape(said)):
        pool_for(9, num_actors, gpus_per_actor, "extraction")


def test_actors_beyond_this_machine_are_refused_before_a_cluster_is_started(
    videos, config, tmp_path, monkeypatch
):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match=r"extraction needs 6 CPU \(there are 2\); use fewer --actors"):
        extract(list_videos(videos), config, tmp_path / "store", actors=Actors(number=64))


def test_no_actor_asks_for_more_than_a_node_or_a_gpu_has():
    assert choose_pool({"CPU": 12}, 2, 0.25, max_threads=4).num_threads == 4  # three nodes of four CPUs
    assert choose_pool({"CPU": 16, "GPU": 2}, 99, 0.4).num_actors == 4  # two to a GPU


@pytest.mark.parametrize(
    ("num_videos", "num_actors", "size"),
    [(3, 2, 1), (60, 2, 7), (10_000, 2, 16), (1, 1, 1), (128, 8, 4), (1_000_000, 2, 100)],
)
def test_batches_are_small_enough_that_actors_end_together(num_videos, num_actors, size):
    assert batch_size_for(num_videos, num_actors) == size


@pytest.mark.parametrize(
    ("overrides", "datasets", "expected"),
    [
        ({"scenes.weights": "none"}, ["procedural"], []),
        (
            {"scenes.weights": "random", "scenes.seed": 3},
            ["procedural"],
            ["scene weights are random (seed 3)"],
        ),
        ({"scenes.weights": "none", "poses.weights": "embedded"}, ["procedural"], []),
        (
            {"scenes.weights": "none", "poses.weights": "embedded"},
            ["procedural", None],
            ["the embedded pose weights"],
        ),
    ],
)
def test_weights_that_are_not_for_these_videos_are_spoken_of(overrides, datasets, expected):
    manifest = manifest_table([{"path": str(i), "dataset": dataset} for i, dataset in enumerate(datasets)])
    messages = weights_messages(with_overrides(ExtractionConfig(), overrides), manifest)
    assert [message[: len(start)] for message, start in zip(messages, expected, strict=True)] == expected
