"""Accuracy on AFLW2000-3D, as the field measures it, and a page that shows it."""

from edge3d.evaluate.accuracy import Predictions, evaluate_predictions
from edge3d.evaluate.aflw2000 import Aflw2000, load_aflw2000
from edge3d.evaluate.predict import (
    DetectorPredictions,
    predict,
    predict_params62,
    predict_with_detector,
)

__all__ = [
    "Aflw2000",
    "DetectorPredictions",
    "Predictions",
    "evaluate_predictions",
    "load_aflw2000",
    "predict",
    "predict_params62",
    "predict_with_detector",
]
