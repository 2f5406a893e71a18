"""Choosing calibration crops that differ as much as possible."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import DatasetError
from edge3d.geometry.sampling import farthest_points

Feature = Literal["yaw_deg", "pitch_deg", "brightness", "contrast", "sharpness"]
FEATURES: tuple[Feature, ...] = get_args(Feature)


def crop_features(
    crops: NDArray[np.uint8], angles_deg: tuple[NDArray, NDArray]
) -> NDArray[np.float64]:
    """Return what makes crops differ: (N, 5), in the order of `FEATURES`.

    Args:
        crops: (N, 120, 120, 3) uint8 RGB. angles_deg: yaw (N,) and pitch (N,) of the heads.

    Returns:
        Yaw and pitch in degrees, mean and standard deviation of the grey values, and the logarithm
        of the variance of their Laplacian, which is low in blurred and in enlarged crops.
    """
    grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
    sharpness = [np.log1p(cv2.Laplacian(picture, cv2.CV_64F).var()) for picture in grey]
    return np.column_stack(
        [
            *angles_deg,
            [picture.mean() for picture in grey],
            [picture.std() for picture in grey],
            sharpness,
        ]
    )


def choose_spread(features: NDArray, count: int) -> NDArray[np.int64]:
    """Return `count` rows of features (N, F) that are spread as far as they go.

    Farthest-point sampling of the standardised features, from the row nearest to their mean on:
    each next row is the one farthest from all chosen ones.

    Raises:
        DatasetError: fewer than `count` rows.
    """
    if len(features) < count:
        raise DatasetError(
            f"{len(features)} faces were found, {count} are wanted; give more pictures or a "
            "smaller --count"
        )
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    return farthest_points(scaled, count, int(np.linalg.norm(scaled, axis=1).argmin()))
