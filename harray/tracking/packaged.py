"""The file that MLflow stores as the model's code: a checkpoint folder behind the pyfunc interface.

MLflow runs this file when the model is loaded; nothing else imports it. The weights come from safetensors in
the artifact `checkpoint`, so nothing is unpickled.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class ActionModel(PythonModel):
    """Videos or keypoints in, one label with its probabilities a row out.

    Each input row holds either `video`, a path that the serving machine can read, or `keypoints`
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
        """Columns label, probability and probabilities (class name -> probability)."""
        predictions = [self._predict_row(i, row) for i, row in enumerate(model_input.to_dict("records"))]
        return pd.DataFrame(predictions, columns=["label", "probability", "probabilities"])

    def _predict_row(self, index: int, row: dict[str, Any]) -> dict[str, Any]:
        video, keypoints = row.get("video"), row.get("keypoints")
        if isinstance(video, str):
            prediction = self.predictor.predict_video(Path(video))
        elif isinstance(keypoints, list | np.ndarray):
            height_px, width_px = row.get("height_px"), row.get("width_px")
            if height_px is None or width_px is None or pd.isna(height_px) or pd.isna(width_px):
                raise ValueError(
                    f"row {index}: keypoints without height_px and width_px of the frame they are in"
                )
            prediction = self.predictor.predict_keypoints(_tensor(keypoints), int(height_px), int(width_px))
        else:
            raise ValueError(
                f"row {index}: found neither a video path nor keypoints; columns: {', '.join(row)}"
            )
        return {
            "label": prediction.label,
            "probability": float(prediction.probability),
            "probabilities": {label: float(p) for label, p in prediction.probabilities.items()},
        }


def _tensor(keypoints: Any) -> np.ndarray:
    """`[P, T, K, C + 1]` float32 from nested lists or arrays of arrays."""
    nested = (
        keypoints.tolist() if isinstance(keypoints, np.ndarray) and keypoints.dtype == object else keypoints
    )
    keypoints_PTKC1 = np.asarray(nested, dtype=np.float32)
    if keypoints_PTKC1.ndim != 4:
        raise ValueError(
            f"keypoints: found shape {list(keypoints_PTKC1.shape)}, expected [people, frames, joints, coordinates + 1]"
        )
    return keypoints_PTKC1


set_model(ActionModel())
