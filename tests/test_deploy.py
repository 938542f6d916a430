"""The image and the Kubernetes manifest, as far as they can be checked without either.

The Dockerfile by hadolint. Of the manifest: kinds and versions, that every field of KubeRay's own is one that its API
reference (1.5) knows, required fields, quantities, that names which refer to each other agree, and that the entrypoint
is a job of this repository. What lies below a pod's template is Kubernetes' and is checked only where harray relies on
it.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import ray
import yaml
from typer.testing import CliRunner

from harray import __version__
from harray.distributed.autoscaler import parse_limit

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
KNOWN = {
    "RayJob": {
        *("activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint"),
        *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata"),
        *(
            "rayClusterSpec",
            "runtimeEnvYAML",
            "shutdownAfterJobFinishes",
            "submissionMode",
            "submitterConfig",
        ),
        *("submitterPodTemplate", "suspend", "ttlSecondsAfterFinished"),
    },
    "rayClusterSpec": {
        *("authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions"),
        *("headGroupSpec", "headServiceAnnotations", "managedBy", "rayVersion", "suspend", "upgradeStrategy"),
        "workerGroupSpecs",
    },
    "authOptions": {"mode"},
    "autoscalerOptions": {
        *("env", "envFrom", "idleTimeoutSeconds", "image", "imagePullPolicy", "resources", "securityContext"),
        *("upscalingMode", "version", "volumeMounts"),
    },
    "headGroupSpec": {
        "enableIngress",
        "headService",
        "labels",
        "rayStartParams",
        "resources",
        "serviceType",
        "template",
    },
    "workerGroupSpec": {
        *(
            "groupName",
            "idleTimeoutSeconds",
            "labels",
            "maxReplicas",
            "minReplicas",
            "numOfHosts",
            "rayStartParams",
        ),
        *("replicas", "resources", "scaleStrategy", "suspend", "template"),
    },
}


@pytest.fixture
def documents() -> dict[str, dict]:
    """The manifest's documents by kind."""
    return {
        document["kind"]: document for document in yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())
    }


@pytest.fixture
def cluster(documents) -> dict:
    return documents["RayJob"]["spec"]["rayClusterSpec"]


def pods(documents: dict[str, dict]) -> list[dict]:
    cluster = documents["RayJob"]["spec"]["rayClusterSpec"]
    groups = [documents["Deployment"]["spec"], cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_manifest_holds_what_a_job_needs_and_the_job_last(documents):
    versions = {kind: document["apiVersion"] for kind, document in documents.items()}
    assert versions == {
        "PersistentVolumeClaim": "v1",
        "Deployment": "apps/v1",
        "Service": "v1",
        "RayJob": "ray.io/v1",
    }
    assert list(versions)[-1] == "RayJob"
    assert all(document["metadata"]["name"] for document in documents.values())


def test_kuberay_knows_every_field(documents, cluster):
    parts = {
        "RayJob": [documents["RayJob"]["spec"]],
        "rayClusterSpec": [cluster],
        "authOptions": [cluster["authOptions"]],
        "autoscalerOptions": [cluster["autoscalerOptions"]],
        "headGroupSpec": [cluster["headGroupSpec"]],
        "workerGroupSpec": cluster["workerGroupSpecs"],
    }
    for part, found in parts.items():
        assert found
        for spec in found:
            assert set(spec) <= KNOWN[part], part


def test_workers_start_from_none_and_the_head_takes_no_work(cluster):
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert group["groupName"]
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
        parameters = {**group["rayStartParams"], **cluster["headGroupSpec"]["rayStartParams"]}
        assert all(isinstance(value, str) for value in parameters.values())  # Kubernetes takes no other


def test_the_cluster_runs_the_ray_that_harray_is_tested_with_and_asks_for_a_token(cluster):
    assert cluster["rayVersion"].split(".")[:2] == ray.__version__.split(".")[:2]
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_entrypoint_is_a_job_with_arguments_that_its_command_takes(documents):
    from harray.cli.app import app

    python, job, *arguments = shlex.split(documents["RayJob"]["spec"]["entrypoint"])
    assert python == "python"
    assert (ROOT / "jobs" / Path(job).name).is_file()
    assert Path(job).parent == Path("/opt/harray/jobs")  # where the image has it
    told = CliRunner().invoke(app, [Path(job).stem, "--help"], terminal_width=200).output
    flags = [argument for argument in arguments if argument.startswith("--")]
    assert flags
    assert all(flag in told for flag in flags)


def test_every_container_has_the_image_and_resources_that_parse(documents):
    for pod in pods(documents):
        for container in pod["containers"]:
            assert container["image"] == f"REGISTRY/harray:{__version__}"
            for amounts in container["resources"].values():
                assert amounts
                assert all(QUANTITY.fullmatch(str(amount)) for amount in amounts.values()), amounts


def test_the_tracking_server_has_a_disk_for_its_database_and_no_other_pod_mounts_any(documents):
    claim = documents["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert QUANTITY.fullmatch(claim["spec"]["resources"]["requests"]["storage"])
    server, *others = pods(documents)
    [volume], [container] = server["volumes"], server["containers"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    [mount] = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert f"--backend-store-uri=sqlite:///{mount['mountPath']}/mlflow.db" in container["args"]
    assert not any("volumes" in pod for pod in others)


def test_jobs_are_told_where_the_tracking_server_and_the_bucket_are(documents, cluster):
    service, deployment = documents["Service"], documents["Deployment"]
    [port] = service["spec"]["ports"]
    [server] = pods(documents)[0]["containers"]
    host = service["metadata"]["name"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert server["ports"] == [{"containerPort": port["port"]}]
    assert any(argument.startswith(f"--allowed-hosts={host}:*") for argument in server["args"])
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        told = {variable["name"]: variable["value"] for variable in container["env"]}
        assert told["MLFLOW_TRACKING_URI"] == f"http://{host}:{port['port']}"
        assert told["HARRAY_OUT"].startswith("s3://")


def test_jobs_are_told_how_far_the_cluster_may_grow(cluster):
    [head] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in head["env"]}
    most = {"CPU": 0, "GPU": 0}
    for group in cluster["workerGroupSpecs"]:
        [worker] = group["template"]["spec"]["containers"]
        limits = worker["resources"]["limits"]
        most["CPU"] += group["maxReplicas"] * int(limits["cpu"])
        most["GPU"] += group["maxReplicas"] * int(limits["nvidia.com/gpu"])
    assert parse_limit(told["HARRAY_CLUSTER_LIMIT"]) == most


def test_hadolint_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run([hadolint, "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_image_copies_what_the_repository_has_and_the_context_lets_through():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [
        source
        for line in re.findall(r"^COPY --chown=\d+ (.*)$", text, flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert {"pyproject.toml", "harray", "jobs"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in copied} == {line for line in ignore if line.startswith("!")}
