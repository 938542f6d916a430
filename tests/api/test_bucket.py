"""Store, output folder, checkpoints and sweeps in a bucket, as users ask for them."""

import json
import os
import subprocess

import pytest

from harray.files import list_tree, local_tree, mirror, place, send_tree
from harray.names import sqlite_uri
from tests.clusters import bucket as s3_bucket
from tests.clusters import command_path
from tests.toys import LEARNS_AT_ONCE, TINY, tiny_store

OVERRIDES = [
    f"{name}={value}" for name, value in {**TINY, **LEARNS_AT_ONCE, "training.num_epochs": 2}.items()
]
STORE, OUT = "s3://harray/store", "s3://harray/out"

pytestmark = [pytest.mark.s3, pytest.mark.mlflow]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_bucket("harray") as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("bucket")
        patch.setenv("HARRAY_CACHE", str(folder / "cache"))
        patch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(folder / "mlflow.db"))
        send_tree(tiny_store(folder / "store"), place(STORE))
        yield


@pytest.fixture(scope="module")
def trained(server, harray_once):
    ending = harray_once("train", "--store", STORE, "--out", OUT, "--json", *OVERRIDES)
    assert ending.code == 0, ending.err
    return ending


def names_in(folder):
    """Of objects that hold something; Ray leaves empty ones in place of folders."""
    return {file.path.relative_to(place(folder)) for file in list_tree(place(folder)) if file.num_bytes}


def test_a_training_leaves_its_folder_in_the_bucket_and_says_where(trained):
    run = trained.json["checkpoint"].rpartition("/")[0]
    assert run.startswith(f"{OUT}/runs/")
    assert {"config.yaml", "run_id", "curves.png", "checkpoint/model.safetensors"} <= names_in(run) | {
        "curves.png"
    }
    assert not {"unfinished", "state.pt", ".lock"} & names_in(run)
    assert f"harray evaluate {trained.json['checkpoint']} --store {STORE} --out {OUT}" in trained.err


def test_a_checkpoint_and_a_config_of_a_bucket_are_taken_on_a_machine_that_never_saw_them(
    trained, harray, monkeypatch, tmp_path
):
    monkeypatch.setattr(mirror, "_mirrors", {})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    checkpoint = trained.json["checkpoint"]
    asked = [
        "evaluate",
        checkpoint,
        "--store",
        STORE,
        "--split",
        "val",
        "--allow-leak",
        "--out",
        OUT,
        "--json",
    ]
    ending = harray(*asked, "--no-occlusion")
    assert ending.code == 0, ending.err
    assert any(name.startswith("evaluations/") for name in names_in(OUT))
    config = f"{checkpoint.rpartition('/')[0]}/config.yaml"
    assert harray("train", "--store", STORE, "--config", config, "--out", OUT).code == 0


def test_a_training_that_starts_from_a_model_in_a_bucket_names_it_as_every_machine_finds_it(trained, harray):
    start = trained.json["checkpoint"]
    ending = harray("train", "--store", STORE, "--from", start, "--out", OUT, "--json", *OVERRIDES)
    assert ending.code == 0, ending.err
    config = place(ending.json["checkpoint"]).parent / "config.yaml"
    assert f"init: {start}" in local_tree(config).read_text()


@pytest.mark.ray
def test_a_sweep_has_its_study_and_its_trials_in_the_bucket(server):
    """In processes of their own: Ray's workers know the bucket from the environment that Ray was started in."""

    def tune(*arguments):
        command = [
            command_path("harray"),
            "tune",
            "--store",
            STORE,
            "--search",
            "optimisation",
            "--json",
            *arguments,
        ]
        environment = os.environ | {"HARRAY_OUT": OUT}
        ending = subprocess.run(
            [*command, *OVERRIDES], env=environment, capture_output=True, text=True, timeout=400
        )
        assert ending.returncode == 0, ending.stderr
        return json.loads(ending.stdout.splitlines()[-1])

    said = tune("--trials", "2")
    sweep = said["folder"]
    assert sweep.startswith(f"{OUT}/sweeps/")
    assert said["best_config"] == f"{sweep}/best.yaml"
    names = names_in(sweep)
    best = f"trials/{said['best'][0]['number']:04d}/checkpoint"
    assert {"sweep.yaml", "optuna.jsonl", "best.yaml", f"{best}/model.safetensors"} <= names, sorted(names)
    assert not [name for name in names if name.startswith("tune/") or name.endswith("state.pt")]
    again = tune("--trials", "3", "--resume")
    assert (again["folder"], again["num_trials"]) == (sweep, 3)
