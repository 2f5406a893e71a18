"""3DDFA's affine camera, in which 300W-LP, AFLW2000-3D and 2DASL state their parameters.

A (3, 4) matrix [A | t] takes points of the Basel Face Model to the 120 px crop in 3DDFA's
coordinates, 1-based with y up: y_down = 121 - y_up. Ours are 0-based with y down, and z is the
same. 3DDFA's crop coordinates are `x_image = x * (ex - sx) / 120 + sx` with 1-based image pixels; a
crop whose pixel areas fill the box has its pixel centres half a pixel before that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PROTOCOL_OFFSET_PX = 0.5
FLIP_PX = 121.0  # y_up + y_down, both 1-based
# Where 3DDFA's origin lies in our crop pixels (x, y, z).
ORIGIN_PX = (-PROTOCOL_OFFSET_PX, FLIP_PX - PROTOCOL_OFFSET_PX, 0.0)


def to_crop(matrix: NDArray) -> tuple[NDArray, NDArray]:
    """Return the linear part and translation, in crop pixels with y down, of 3DDFA's cameras.

    Args:
        matrix: (..., 3, 4).

    Returns:
        linear (..., 3, 3) and translation (..., 3).
    """
    linear, translation = matrix[..., :3].copy(), matrix[..., 3].copy()
    linear[..., 1, :] *= -1
    translation[..., 1] = FLIP_PX - translation[..., 1]
    translation[..., :2] -= PROTOCOL_OFFSET_PX
    return linear, translation


def from_crop(linear: NDArray, translation: NDArray) -> NDArray[np.float64]:
    """Return 3DDFA's cameras (..., 3, 4) of what `to_crop` gives, its inverse."""
    linear, translation = np.array(linear, np.float64), np.array(translation, np.float64)
    linear[..., 1, :] *= -1
    translation[..., :2] += PROTOCOL_OFFSET_PX
    translation[..., 1] = FLIP_PX - translation[..., 1]
    return np.concatenate([linear, translation[..., None]], axis=-1)
