import pytest

from harray.distributed.autoscaler import cluster_limit, limit_of, parse_limit
from harray.errors import InputError

HEAD = {"resources": {"CPU": 0}, "node_config": {}}


@pytest.mark.parametrize(
    ("max_workers", "types", "limit"),
    [
        (8, {"gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 8}}, {"CPU": 64, "GPU": 8}),
        (2, {"gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 8}}, {"CPU": 16, "GPU": 2}),
        (3, {"cpu": {"resources": {"CPU": 4}}}, {"CPU": 12, "GPU": 0}),  # no limit of its own
        (
            3,  # the most CPUs: three of cpu; the most GPUs: two of gpu
            {
                "cpu": {"resources": {"CPU": 16}, "max_workers": 3},
                "gpu": {"resources": {"CPU": 8, "GPU": 4}, "max_workers": 2},
            },
            {"CPU": 48, "GPU": 8},
        ),
    ],
)
def test_the_limit_of_a_config_is_the_most_of_each_resource(max_workers, types, limit):
    config = {
        "max_workers": max_workers,
        "head_node_type": "head",
        "available_node_types": {"head": HEAD, **types},
    }
    assert limit_of(config) == limit


def test_the_owner_of_a_cluster_may_say_its_limit(monkeypatch):
    monkeypatch.setenv("HARRAY_CLUSTER_LIMIT", "CPU=64, GPU=8")
    assert cluster_limit("127.0.0.1:1") == {"CPU": 64, "GPU": 8}
    with pytest.raises(InputError, match="expected amounts such as CPU=64,GPU=8"):
        parse_limit("64 CPUs")


def test_without_an_autoscaler_here_there_is_no_limit_to_grow_to(monkeypatch):
    monkeypatch.delenv("HARRAY_CLUSTER_LIMIT", raising=False)
    assert cluster_limit("127.0.0.1:1") == {}
