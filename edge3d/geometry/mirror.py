"""Mirroring points of an image left to right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mirror_points(points: NDArray, crop_size_px: int) -> NDArray:
    """Mirror points (..., 3) of a crop left to right."""
    return points * np.array([-1, 1, 1]) + np.array([crop_size_px - 1.0, 0, 0])
