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

from harray.inference.predictor import Predictor
from harray.tracking.packaging import SERVING_REQUIREMENTS, input_example, package, requirements
from harray.tracking.registry import register
from harray.tracking.runs import TrainingRun

ROOT = Path(__file__).resolve().parents[2]


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
        assert list(answer.columns) == ["label", "probability", "probabilities"]
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
    assert seen == [Path("a.mp4")]
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
        ({"video": [None]}, "row 0: found neither a video path nor keypoints"),
        ({"keypoints": [[[[[1.0, 2.0, 1.0]]]]]}, "row 0: keypoints without height_px and width_px"),
        ({"keypoints": [[[1.0]]], "height_px": [240], "width_px": [320]}, r"found shape \[1, 1\], expected"),
    ],
)
def test_a_row_that_says_too_little_is_refused(model, row, message):
    with pytest.raises(ValueError, match=message):
        model.predict(pd.DataFrame(row))


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
