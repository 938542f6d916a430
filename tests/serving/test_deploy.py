"""What `serve deploy` and KubeRay are given, as far as it can be checked without a cluster."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from harray import __version__
from harray.config import leaf_types
from harray.errors import InputError
from harray.serving.config import ServingConfig
from harray.serving.deployments import TOKEN_VARIABLE, Ingress, NetworksReplica, application

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RAY_SERVICE = {  # of KubeRay's API reference, 1.5
    *("excludeHeadPodFromServeSvc", "rayClusterConfig", "rayClusterDeletionDelaySeconds", "serveConfigV2"),
    *("serveService", "serviceUnhealthySecondThreshold", "suspend", "upgradeStrategy"),
}


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((DEPLOY / "serve-config.yaml").read_text())


@pytest.fixture
def service() -> dict:
    return yaml.safe_load((DEPLOY / "serve.yaml").read_text())


def test_ray_serve_takes_the_config(config):
    deployed = ServeDeploySchema(**config)
    [app] = deployed.applications
    module, _, name = app.import_path.partition(":")
    assert getattr(import_module(module), name) is application
    assert app.route_prefix == "/"


def test_the_config_names_the_deployments_and_settings_that_there_are(config):
    [app] = config["applications"]
    assert {each["name"] for each in app["deployments"]} == {NetworksReplica.name, Ingress.name}
    assert all("target_ongoing_requests" in each["autoscaling_config"] for each in app["deployments"])
    known = leaf_types(ServingConfig)
    named = {key for key in app["args"] if key != "limits"} | {
        f"limits.{key}" for key in app["args"]["limits"]
    }
    assert named <= set(known)


def test_kuberay_is_given_the_same_config(config, service):
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == config


def test_kuberay_knows_the_service_and_its_image_and_token(service):
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    assert set(service["spec"]) <= RAY_SERVICE
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        assert container["image"] == f"REGISTRY/harray:{__version__}"
        assert TOKEN_VARIABLE in {variable["name"] for variable in container["env"]}


def test_on_a_cluster_there_is_no_server_without_a_token_or_a_model(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(InputError, match=TOKEN_VARIABLE):
        application({"model": "models:/actions@champion"})
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    with pytest.raises(InputError, match="found no model"):
        application({})
    with pytest.raises(InputError, match="limits"):
        application({"model": "/checkpoint", "limits": {"max_socks": 3}})
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match="no registry"):
        application({"model": "models:/actions@champion"})
    assert (
        application({"model": "models:/actions@champion", "tracking_uri": "http://mlflow:5000"}) is not None
    )
