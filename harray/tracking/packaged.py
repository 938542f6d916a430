"""The file that MLflow stores as the model's code: a checkpoint folder behind the pyfunc interface.

MLflow runs this file when the model is loaded; nothing else imports it. The weights come from safetensors in
the artifact `checkpoint`, so nothing is unpickled.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

BY_VIDEO, BY_KEYPOINTS = ("video",), ("keypoints", "height_px", "width_px")
EXPECTED = (
    "expected a table with the column video, a path or URI that the serving machine can read, or with the columns "
    "keypoints [people, frames, joints, coordinates + 1], height_px and width_px"
)
ANSWERED = ("label", "probability", "probabilities")
EVIDENCE = ("verdict", "num_people_seen", "frames_seen_share", "joints_seen_share")
COLUMNS = ("video", *ANSWERED, *EVIDENCE, "error")


class Refused(MlflowException):
    """A request that is no table of videos or keypoints: status 400 and this line, whatever MLflow puts around it."""

    def __init__(self, found: str) -> None:
        super().__init__(f"found {found}; {EXPECTED}", error_code=INVALID_PARAMETER_VALUE)

    def serialize_as_json(self) -> str:
        return json.dumps({"error_code": self.error_code, "message": str(self)})


class ActionModel(PythonModel):
    """Videos or keypoints in, one label with its probabilities a row out.

    Each input row holds either `video`, a path or URI that the serving machine can read, or `keypoints`
    `[people, frames, joints, coordinates + 1]` (px, then confidence in [0, 1]) with `height_px` and `width_px`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint once, when the model is loaded; `model_config` may say where weights lie here."""
        from harray.inference.predictor import Predictor

        given = (context.model_config or {}).items()
        assignments = [f"{key}={value}" for key, value in given if value]
        self.predictor = Predictor.load(Path(context.artifacts["checkpoint"]), assignments)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A row for each of the input's: `video` as given, label, probability, probabilities (class name ->
        probability), and how much was seen, as in `harray predict --json`.

        A row that cannot be predicted has its `error` instead, and the others are answered.

        Raises:
            Refused: no table, or one without the columns.
        """
        rows = [self._answer(row) for row in _rows(model_input)]
        return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)  # object: None stays null, not NaN

    def _answer(self, row: dict[str, Any]) -> dict[str, Any]:
        from harray.inference.entries import reason_of, said_of

        try:
            prediction = self._prediction(row)
            said = said_of(prediction, top=len(self.predictor.classes))
        except Exception as error:  # the boundary at which one bad row must not take the others
            answer: dict[str, Any] = {"error": _without_folders(reason_of(error))}
        else:
            probabilities = {top["label"]: float(top["probability"]) for top in said.pop("top")}
            answer = {**said, "probabilities": probabilities or None}
        video = row.get("video")
        return {**dict.fromkeys(COLUMNS), **answer, "video": video if isinstance(video, str) else None}

    def _prediction(self, row: dict[str, Any]) -> Any:
        from harray.errors import InputError

        video, keypoints, height_px, width_px = (row.get(name) for name in (*BY_VIDEO, *BY_KEYPOINTS))
        if isinstance(video, str):
            return self.predictor.predict_video(video)
        if not isinstance(keypoints, list | np.ndarray):
            raise InputError(
                "found neither a video's path nor keypoints; expected video, or keypoints, height_px and width_px"
            )
        return self.predictor.predict_keypoints(_tensor(keypoints), _length(height_px), _length(width_px))


def _rows(model_input: Any) -> list[dict[str, Any]]:
    if not isinstance(model_input, pd.DataFrame):
        raise Refused(f"a {type(model_input).__name__}")
    found = set(model_input.columns)
    if not (found.issuperset(BY_VIDEO) or found.issuperset(BY_KEYPOINTS)):
        known = [name for name in (*BY_VIDEO, *BY_KEYPOINTS) if name in found]
        raise Refused(
            f"only {' and '.join(known)}" if known else "none of its columns"
        )  # MLflow drops others
    return model_input.to_dict("records")


def _length(value: Any) -> int:
    from harray.errors import InputError

    if isinstance(value, int | float | np.number) and np.isfinite(value) and value > 0:
        return int(value)
    raise InputError("keypoints without height_px and width_px of the frame they are in")


def _tensor(keypoints: Any) -> np.ndarray:
    """`[P, T, K, C + 1]` float32 from nested lists or arrays of arrays.

    Raises:
        InputError: ragged lists, or not numbers.
    """
    from harray.errors import InputError

    nested = (
        keypoints.tolist() if isinstance(keypoints, np.ndarray) and keypoints.dtype == object else keypoints
    )
    try:
        return np.asarray(nested, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            "keypoints: found ragged lists or what is no number, expected [people, frames, joints, coordinates + 1]"
        ) from error


def _without_folders(line: str) -> str:
    """The line with files named by their names alone: where they lie on this machine is nobody else's business."""
    return re.sub(r"(?<![\w./:])/(?:[^/\s'\"]+/)+", "", line)


set_model(ActionModel())
