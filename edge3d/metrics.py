"""Accuracy metrics of AFLW2000-3D: NME, yaw bins, head pose error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

YAW_EDGES_DEG = (30.0, 60.0)
BIN_NAMES = ("0-30", "30-60", "60-90")
POSE_LIMIT_DEG = 99.0  # the pose error leaves out images with an angle beyond it


def landmark_nme(predicted_px: NDArray, known_px: NDArray) -> NDArray[np.float64]:
    """Return the NME of each image in %: (N,).

    The mean distance over the landmarks in the picture's plane, over sqrt(w h) of the box about
    the known ones (X. Zhu et al., "Face Alignment Across Large Poses", CVPR 2016).

    Args:
        predicted_px: (N, 68, 2 or 3). known_px: (N, 68, 2 or 3).
    """
    known = np.asarray(known_px, np.float64)[..., :2]
    distance = np.linalg.norm(np.asarray(predicted_px, np.float64)[..., :2] - known, axis=-1)
    area = np.ptp(known, axis=1).prod(axis=-1)
    return 100.0 * distance.mean(axis=1) / np.sqrt(area)


def yaw_bins(yaw_deg: NDArray) -> NDArray[np.int64]:
    """Return 0, 1 or 2 for |yaw| <= 30, <= 60 and beyond: (N,)."""
    return np.digitize(abs(np.asarray(yaw_deg)), YAW_EDGES_DEG, right=True)


def summarise_nme(nme: NDArray, yaw_deg: NDArray) -> dict[str, Any]:
    """Return `bins` (three means), `balanced` (their mean) and `all`, in %.

    Images without a prediction (NaN) are left out; a bin without images is None, and so is then
    `balanced`.

    Args:
        nme: (N,) in %. yaw_deg: (N,).
    """
    bins = yaw_bins(yaw_deg)
    known = np.isfinite(nme)
    members = [nme[known & (bins == number)] for number in range(len(BIN_NAMES))]
    means = [float(values.mean()) if len(values) else None for values in members]
    filled = [mean for mean in means if mean is not None]
    return {
        "bins": means,
        "balanced": float(np.mean(filled)) if len(filled) == len(means) else None,
        "all": float(nme[known].mean()) if known.any() else None,
    }


def pose_counts(known_deg: NDArray) -> NDArray[np.bool_]:
    """Return which images' pose counts (N,): all known angles (N, 3) lie within +-99 degrees."""
    return np.asarray((abs(known_deg) <= POSE_LIMIT_DEG).all(axis=1))


def pose_error(predicted_deg: NDArray, known_deg: NDArray) -> dict[str, Any]:
    """Return the mean absolute errors of yaw, pitch, roll and their mean, in degrees.

    Over the images that `pose_counts` takes.

    Args:
        predicted_deg, known_deg: (N, 3), yaw, pitch, roll.
    """
    used = pose_counts(known_deg) & np.isfinite(predicted_deg).all(axis=1)
    if not used.any():
        return {"n": 0, "yaw": None, "pitch": None, "roll": None, "mean": None}
    yaw, pitch, roll = abs(predicted_deg - known_deg)[used].mean(axis=0).tolist()
    mean = (yaw + pitch + roll) / 3
    return {"n": int(used.sum()), "yaw": yaw, "pitch": pitch, "roll": roll, "mean": mean}
