"""The model as MLflow loads it: in this process for its inputs, in a fresh one for what it depends on."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from harray.errors import InputError
from harray.extraction.faults import ExtractionError
from harray.inference.predictor import Predictor
from harray.tracking.packaging import SERVING_REQUIREMENTS, input_example, package, requirements
from harray.tracking.registry import register
from harray.tracking.runs import TrainingRun
from tests.toys import untrained_checkpoint, video_of_nobody, video_of_somebody

ROOT = Path(__file__).resolve().parents[2]
EVIDENCE = ["verdict", "num_people_seen", "frames_seen_share", "joints_seen_share"]
COLUMNS = ["video", "label", "probability", "probabilities", *EVIDENCE, "error"]


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 7


@pytest.fixture(scope="module")
def packaged(checkpoint, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packaged") / "model"
    package(checkpoint, folder)
    return folder


@pytest.fixture(scope="module")
def model(packaged):
    return mlflow.pyfunc.load_model(str(packaged))


def test_keypoints_in_any_nesting_give_what_the_predictor_gives(model, checkpoint):
    example = input_example(checkpoint)
    keypoints_PTKC1 = np.array(example["keypoints"][0], dtype=np.float32)
    expected = Predictor.load(checkpoint).predict_keypoints(keypoints_PTKC1, 240, 320)
    for form in (keypoints_PTKC1.tolist(), keypoints_PTKC1, keypoints_PTKC1.astype(int).tolist()):
        answer = model.predict(pd.DataFrame({"keypoints": [form, form], "height_px": 240, "width_px": 320}))
        assert list(answer.columns) == COLUMNS
        assert answer["label"].tolist() == [expected.label] * 2
        assert answer["probability"].tolist() == pytest.approx([expected.probability] * 2, abs=1e-6)
        assert answer["probabilities"][0] == pytest.approx(expected.probabilities, abs=1e-6)


def test_videos_and_keypoints_may_stand_in_one_table(model, checkpoint, monkeypatch):
    example = input_example(checkpoint)
    keypoints = example["keypoints"][0]
    seen = []

    def predict_video(self, path):
        seen.append(path)
        return self.predict_keypoints(np.array(keypoints, dtype=np.float32), 240, 320)

    monkeypatch.setattr(Predictor, "predict_video", predict_video)
    mixed = pd.DataFrame(
        {"video": ["a.mp4", None], "keypoints": [None, keypoints], "height_px": [None, 240.0]}
    )
    answer = model.predict(mixed.assign(width_px=[None, 320.0]))
    assert seen == ["a.mp4"]
    assert answer["video"].tolist() == ["a.mp4", None]
    assert answer["probability"][0] == answer["probability"][1]
    assert len(model.predict(pd.DataFrame({"video": ["a.mp4", "b.mp4"]}))) == 2


def test_a_serving_machine_may_say_where_its_weights_lie(packaged):
    elsewhere = mlflow.pyfunc.load_model(str(packaged), model_config={"poses.weights": "/weights/pose.pt"})
    assert elsewhere.unwrap_python_model().predictor.overrides == {"poses.weights": "/weights/pose.pt"}


def test_weights_are_as_recorded_unless_said_otherwise(model):
    assert model.unwrap_python_model().predictor.overrides == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"video": None}, "found neither a video's path nor keypoints"),
        ({"video": 5}, "found neither a video's path nor keypoints"),
        ({"keypoints": [[[[1.0, 2.0, 1.0]]]]}, "keypoints without height_px and width_px"),
        ({"keypoints": [[[[1.0]]]], "height_px": "tall", "width_px": 320}, "keypoints without height_px"),
        ({"keypoints": [[1.0]], "height_px": 240, "width_px": 320}, "found shape [1, 1], expected"),
        ({"keypoints": [[1.0], [1.0, 2.0]], "height_px": 240, "width_px": 320}, "found ragged lists"),
        ({"keypoints": [["x"]], "height_px": 240, "width_px": 320}, "what is no number"),
        ({"video": "gone.mp4"}, "this model learned from imported skeletons"),
    ],
)
def test_a_row_that_cannot_be_predicted_has_its_error_and_the_next_is_answered(
    model, checkpoint, row, message
):
    good = input_example(checkpoint).to_dict("records")[0]
    answer = model.predict(pd.DataFrame([row, good, row]))
    assert message in answer["error"][0] == answer["error"][2]
    assert answer["label"].tolist()[::2] == [None, None]
    assert answer["label"][1] in ("run", "sit", "wave")
    assert (answer["error"][1], answer["verdict"][1], answer["num_people_seen"][1]) == (None, "ok", 1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of videos behind MLflow's own scoring server."""
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init

    folder = tmp_path_factory.mktemp("served")
    package(untrained_checkpoint(folder / "checkpoint"), folder / "model")
    client = TestClient(init(mlflow.pyfunc.load_model(str(folder / "model"))), raise_server_exceptions=False)
    return lambda body: client.post("/invocations", json=body)


def test_a_broken_video_in_a_request_has_its_error_and_the_others_are_answered(served, tmp_path):
    broken, empty = tmp_path / "broken.mp4", tmp_path / "empty.mp4"
    broken.write_text("no video")
    empty.write_text("")
    videos = [str(video_of_somebody(tmp_path / "a.mp4")), str(broken), str(empty), "/gone/12:30.mp4"]
    videos.append(str(video_of_nobody(tmp_path / "nobody.mp4")))
    answer = served({"dataframe_records": [{"video": video} for video in videos]})
    assert answer.status_code == 200
    rows = answer.json()["predictions"]
    assert [row["video"] for row in rows] == videos
    assert [row["verdict"] for row in rows] == ["ok", None, None, None, "nobody"]
    assert set(rows[0]["probabilities"]) == {"run", "sit", "wave"}
    assert (rows[4]["label"], rows[4]["probabilities"], rows[4]["error"]) == (None, None, None)
    for row, said in zip(rows[1:4], ("FFmpeg", "the file is empty", "No such file"), strict=True):
        assert said in row["error"]
        assert "/" not in row["error"]


ONE = {"video": "a.mp4"}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"dataframe_records": [{"path": "a.mp4"}, {"path": "b.mp4"}]}, "none of its columns"),
        ({"dataframe_records": ["a.mp4"]}, "none of its columns"),
        ({"dataframe_records": []}, "none of its columns"),
        ({"dataframe_split": {"columns": ["x"], "data": [["a.mp4"]]}}, "none of its columns"),
        ({"instances": ["a.mp4", "b.mp4"]}, "none of its columns"),
        ({"inputs": "a.mp4"}, "none of its columns"),
        ({"inputs": ["a.mp4"]}, "none of its columns"),
        ({"inputs": {"file": ["a.mp4"]}}, "none of its columns"),
        (
            {"dataframe_records": [{"keypoints": [[1]], "width": 5, "height_px": 3}]},
            "only keypoints and height_px",
        ),
    ],
)
def test_a_request_that_is_no_table_of_ours_is_refused_with_the_columns(served, body, found):
    answer = served(body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error_code", "message"}
    message = answer.json()["message"]
    assert message.startswith(f"found {found}; expected a table with the column video")
    assert all(name in message for name in ("keypoints", "height_px", "width_px"))
    assert "\n" not in message and "/" not in message and "a.mp4" not in message


@pytest.mark.parametrize("form", ["a.mp4", ["a.mp4"], ["a.mp4", "b.mp4"], {"path": "a.mp4"}])
def test_the_same_is_refused_without_a_server(model, form):
    with pytest.raises(MlflowException, match=r"^found none of its columns; expected a table"):
        model.predict(form)


def test_a_dictionary_of_a_video_is_a_table_of_one(model):
    assert model.predict(ONE)["video"].tolist() == ["a.mp4"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InputError("poses.weights=/srv/secret/pose.pt: no such file"),
            "poses.weights=pose.pt: no such file",
        ),
        (OSError(13, "Permission denied", "/srv/x.mp4"), "Permission denied"),
        (
            RuntimeError("cannot open '/opt/venv/lib/x.so' or \"/a/b/c\""),
            "RuntimeError: cannot open 'x.so' or \"c\"",
        ),
        (ExtractionError("open", OSError("s3://bucket/a/b.mp4: away")), "open: s3://bucket/a/b.mp4: away"),
        (ValueError("1/2 of them, in a/b"), "ValueError: 1/2 of them, in a/b"),
    ],
)
def test_an_error_names_no_folder_of_the_serving_machine(model, monkeypatch, error, said):
    def fail(self, path):
        raise error

    monkeypatch.setattr(Predictor, "predict_video", fail)
    answer = model.predict(pd.DataFrame([ONE]))
    assert (answer["video"][0], answer["error"][0]) == ("a.mp4", said)


def test_nothing_in_the_package_is_a_pickle(packaged):
    suffixes = {path.suffix for path in packaged.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".joblib"}
    assert not (packaged / "python_model.pkl").exists()
    assert (packaged / "code" / "harray" / "inference" / "predictor.py").is_file()
    assert not list(packaged.rglob("__pycache__"))
    assert not (packaged / "uv.lock").exists()


def test_requirements_are_pinned_dependencies_of_the_project(packaged):
    ours = {re.split(r"[\[<>=;, ]", line)[0] for line in importlib.metadata.requires("harray") or ()}
    transitive = {"pandas"}  # comes with mlflow
    assert set(SERVING_REQUIREMENTS) - transitive <= ours
    assert (packaged / "requirements.txt").read_text().split() == requirements()
    assert all(re.fullmatch(r"[a-z-]+==[\d.a-z]+", line) for line in requirements())


SCRIPT = """
import json, sys
import mlflow
model = mlflow.pyfunc.load_model("models:/actions@champion")
answer = model.predict(model.input_example)
import harray
print(json.dumps({"label": answer["label"][0], "harray": harray.__file__, "signature": str(model.metadata.signature)}))
"""


def test_a_fresh_process_loads_the_champion_with_unpickling_forbidden(uri, checkpoint, tmp_path):
    """A process of its own, so that the package's own code is what runs: 10 s of imports."""
    with TrainingRun(uri, Config()) as run:
        register(uri, "actions", run.log_model(checkpoint))
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["label"] in ("run", "sit", "wave")
    assert Path(found["harray"]).is_relative_to(tmp_path / "mlartifacts")
    assert "video" in found["signature"]
    assert "keypoints" in found["signature"]
