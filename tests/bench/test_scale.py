"""What the measurement of scale runs and what it concludes. How long anything takes is asserted nowhere."""

import pytest

from harray.bench.scale import CONFIG, SHOWN, DoNothing, ScaleBench, ScalePoint, sizes_up_to
from harray.distributed.extraction import store_settings
from harray.schema import EXTRACTED
from harray.store import FeatureStore
from harray.videos.sources import manifest_table
from tests.distributed.conftest import todo_of


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1000, [1000]), (20_000, [1000, 10_000, 20_000]), (100_000, [1000, 10_000, 100_000])],
)
def test_every_power_of_ten_below_the_largest_size_is_measured(largest, sizes):
    assert sizes_up_to(largest) == sizes


def test_a_worker_that_does_nothing_leaves_a_store_that_is_complete(tmp_path):
    paths = [tmp_path / f"{number}.mp4" for number in range(5)]
    for path in paths:
        path.touch()
    manifest = manifest_table([{"path": str(path), "label": "run"} for path in paths])
    settings = store_settings(CONFIG)
    store = FeatureStore.create(tmp_path / "store", settings)
    worker = DoNothing(
        config=CONFIG,
        store=str(store.path),
        provenance=settings.provenance,
        clip_ids=set(),
        device="cpu",
        num_threads=1,
    )
    outcomes = worker(todo_of(manifest))
    assert outcomes["status"].to_pylist() == [EXTRACTED] * 5
    assert store.read(columns=["keypoints"])["path"].to_pylist() == [str(path) for path in paths]


def test_ten_times_as_many_lie_on_the_line_through_the_last_two_sizes():
    small, large = point(10_000, 5.0, driver_mb=300.0), point(100_000, 14.0, driver_mb=390.0)
    bench = ScaleBench(points=[small, large])
    ten_times = bench.ten_times()
    assert ten_times is not None
    assert (ten_times.num_inputs, ten_times.seconds["run"], ten_times.driver_mb) == (1_000_000, 104.0, 1290.0)
    assert bench.ratio(large) == pytest.approx(14 / 5 / 10)
    assert ScaleBench(points=[small]).ten_times() is None


def point(num_inputs, run_sec, driver_mb):
    seconds = dict.fromkeys(SHOWN, 0.0) | {"run": run_sec}
    return ScalePoint(
        num_inputs=num_inputs, seconds=seconds, driver_mb=driver_mb, actor_mb=200.0, disk_mb=1.0, num_files=2
    )
