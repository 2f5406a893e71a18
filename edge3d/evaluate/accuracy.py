"""The accuracy of predictions on AFLW2000-3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.metrics import landmark_nme, pose_error, summarise_nme


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of N images; rows of NaN where it says nothing.

    Attributes:
        landmarks_px: (N, 68, 2 or 3), 0-based pixels of the image, y down.
        pose_deg: (N, 3), yaw, pitch, roll with AFLW2000-3D's signs.
    """

    landmarks_px: NDArray
    pose_deg: NDArray


def evaluate_predictions(dataset: Aflw2000, predictions: Predictions) -> dict[str, Any]:
    """Return `n`, `nme`, `nme_reannotated` (None without it) and `pose_mae_deg`."""
    yaw = dataset.pose_deg[:, 0]
    nme = landmark_nme(predictions.landmarks_px, dataset.landmarks_px)
    again = None
    if dataset.reannotated_px is not None:
        again = summarise_nme(landmark_nme(predictions.landmarks_px, dataset.reannotated_px), yaw)
    return {
        "n": int(np.isfinite(nme).sum()),
        "nme": summarise_nme(nme, yaw),
        "nme_reannotated": again,
        "pose_mae_deg": pose_error(predictions.pose_deg, dataset.pose_deg),
    }
