"""cluster.yaml against the schema and the checks that `ray up` itself applies."""

import copy
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def cluster() -> dict:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def validate(cluster: dict) -> dict:
    """The config as `ray up` completes it; raises where it would refuse."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_ray_accepts_the_cluster(cluster):
    assert validate(cluster)["head_node_type"] == "head"


@pytest.mark.parametrize(
    "change", [{"worker_nodes_typo": {}}, {"max_workers": "many"}, {"auth": {"user": "me"}}]
)
def test_rays_schema_refuses_what_it_does_not_know(cluster, change):
    with pytest.raises(jsonschema.ValidationError):
        validate(cluster | change)


def test_gpu_workers_start_from_none_and_the_head_takes_no_work(cluster):
    prepared = validate(cluster)
    head, gpu = (prepared["available_node_types"][name] for name in ("head", "gpu"))
    assert head["resources"] == {"CPU": 0}
    assert (gpu["min_workers"], gpu["resources"]["GPU"]) == (0, 1)
    assert 0 < gpu["max_workers"] <= prepared["max_workers"]
    assert gpu["node_config"]["ImageId"] == head["node_config"]["ImageId"]
    assert gpu["node_config"]["InstanceType"] != head["node_config"]["InstanceType"]


def test_every_file_that_is_mounted_is_in_the_repository(cluster):
    locals_ = [Path(local) for local in cluster["file_mounts"].values() if not local.startswith("~")]
    assert locals_
    assert all((ROOT / local).is_file() for local in locals_)


def test_every_command_is_valid_shell(cluster):
    commands = [command for key, lines in cluster.items() if key.endswith("commands") for command in lines]
    assert len(commands) >= 5
    for command in commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_every_node_starts_ray_from_the_projects_environment_with_the_token(cluster):
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        start = cluster[key][-1]
        assert "harray/.venv/bin" in start
        assert "RAY_AUTH_MODE=token" in start
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_nodes_share_a_bucket_that_is_named_once_and_no_file_system(cluster):
    shell = "\n".join(line for key, lines in cluster.items() if key.endswith("commands") for line in lines)
    assert shell.count("YOUR-BUCKET") == 1
    assert "mount" not in shell
    assert "HARRAY_OUT=s3://$BUCKET/out" in cluster["head_start_ray_commands"][-1]


def test_workers_are_spot_machines_and_the_head_is_not(cluster):
    spot = {
        name: "InstanceMarketOptions" in kind["node_config"]
        for name, kind in cluster["available_node_types"].items()
    }
    assert spot == {"head": False, "gpu": True}
