"""A checkpoint and a clip -> a prediction and what explains it."""

from harray.inference.predictor import ClipPredictions, Prediction, Predictor

__all__ = ["ClipPredictions", "Prediction", "Predictor"]
