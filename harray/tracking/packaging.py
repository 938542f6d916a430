"""A checkpoint folder as an MLflow model: code, weights, signature, example and requirements, no pickle.

model/
  MLmodel  requirements.txt  input_example.json
  packaged.py              what MLflow runs
  code/harray/             this package, since harray is on no index
  artifacts/checkpoint/    model.safetensors, checkpoint.yaml, clips.txt
"""

import importlib.metadata
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harray

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHECKPOINT = "artifacts/checkpoint"  # below a model's artifact location

# What `mlflow.pyfunc.load_model(uri, model_config={"poses.weights": PATH})` or MLFLOW_PYFUNC_INFERENCE_CONFIG may
# say where videos are to be extracted on a machine that has the weights elsewhere; "" is as recorded.
LOAD_KEYS = ("poses.weights", "scenes.weights")

# What prediction imports; the rest of harray's dependencies are for training, tuning and the command line.
# ultralytics brings opencv-python along, which wants a display library: on a server without one, serve from
# harray's own environment (`mlflow models serve --env-manager local`), which overrides it.
SERVING_REQUIREMENTS = (
    "av",
    "matplotlib",
    "mlflow",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "safetensors",
    "scipy",
    "torch",
    "torchvision",
    "ultralytics",
)


def log_model(
    client: "MlflowClient", experiment_id: str, run_id: str, checkpoint: Path, *, name: str, step: int
) -> str:
    """Package a checkpoint and log it as an output of a run; the answer is its model id (`m-...`).

    This is `mlflow.pyfunc.log_model` by way of the client, since that function takes the tracking URI and the
    active run from the process.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    logged = client.create_logged_model(experiment_id, name=name, source_run_id=run_id)
    description = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_id=logged.model_id,
        model_uuid=logged.model_id,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            package(checkpoint, Path(folder) / "model", description)
            client.log_model_artifacts(logged.model_id, f"{folder}/model")
        client.log_outputs(run_id, models=[LoggedModelOutput(logged.model_id, step)])
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return logged.model_id


def package(checkpoint: Path, folder: Path, description: Any = None) -> None:
    """Write the MLflow model of a checkpoint into `folder`, which must be absent or empty.

    Args:
        description: the `mlflow.models.Model` to fill in; a new one by default.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as staging:
        shutil.copytree(checkpoint, f"{staging}/checkpoint")  # MLflow keeps the folder's own name
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=description,
            python_model=Path(__file__).parent / "packaged.py",
            code_paths=[str(Path(harray.__file__).parent)],
            artifacts={"checkpoint": f"{staging}/checkpoint"},
            signature=signature(),
            input_example=input_example(checkpoint),
            model_config=dict.fromkeys(LOAD_KEYS, ""),
            pip_requirements=requirements(),  # inferring them would load the model in another process
            uv_project_path=staging,  # else the lock file of whatever project stands in the working directory
        )


def signature() -> "ModelSignature":
    """Either `video`, or `keypoints` with `height_px` and `width_px`; out come label, probabilities, how much was seen,
    and the error of a row that could not be predicted, all but that empty then.

    All are of any type to MLflow and checked by the model itself, row by row: MLflow's check of a column refuses the
    whole table for one row, its check of nested arrays takes 60 ms a clip (measured), and no number type of its takes
    both whole lengths and the NaN of a row without.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Map

    inputs = [
        ColSpec(AnyType(), "video", required=False),
        ColSpec(AnyType(), "keypoints", required=False),
        ColSpec(AnyType(), "height_px", required=False),
        ColSpec(AnyType(), "width_px", required=False),
    ]
    outputs = [
        ColSpec(DataType.string, "video", required=False),
        ColSpec(DataType.string, "label", required=False),
        ColSpec(DataType.double, "probability", required=False),
        ColSpec(Map(DataType.double), "probabilities", required=False),
        ColSpec(DataType.string, "verdict", required=False),
        ColSpec(DataType.long, "num_people_seen", required=False),
        ColSpec(DataType.double, "frames_seen_share", required=False),
        ColSpec(DataType.double, "joints_seen_share", required=False),
        ColSpec(DataType.string, "error", required=False),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def requirements() -> list[str]:
    """`name==version` of what prediction needs, as installed here (local suffixes such as +cpu dropped)."""
    versions = {name: importlib.metadata.version(name) for name in SERVING_REQUIREMENTS}
    return [f"{name}=={version.partition('+')[0]}" for name, version in versions.items()]


def input_example(checkpoint: Path) -> "pd.DataFrame":
    """One clip of keypoints that the model accepts anywhere: one person about, the others absent.

    Random positions, whole px, in a frame of 240 x 320; a real clip would put a person's data into every model.
    """
    import numpy as np
    import pandas as pd

    from harray.training.checkpoint import load_checkpoint

    people, frames, joints, coordinates = load_checkpoint(checkpoint).network.shape
    random = np.random.default_rng(0)
    standing = random.integers(60, 180, size=(joints, coordinates))
    moving = random.integers(-4, 5, size=(frames, joints, coordinates)).cumsum(axis=0)
    keypoints_PTKC1 = np.zeros((people, frames, joints, coordinates + 1))
    keypoints_PTKC1[0, ..., :-1] = standing + moving
    keypoints_PTKC1[0, ..., -1] = 1
    return pd.DataFrame({"keypoints": [keypoints_PTKC1.tolist()], "height_px": [240], "width_px": [320]})
