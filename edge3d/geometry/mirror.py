"""Mirroring left to right, and changing between y up and y down.

Points are (..., 3) and rotations (..., 3, 3) or their first rows (..., 2, 3). With S the diagonal
matrix of the signs, a point p becomes S p and a rotation R becomes S R S.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIRROR_SIGNS = (-1, 1, 1)
FLIP_SIGNS = (1, -1, 1)


def mirror_x(points: NDArray) -> NDArray:
    """Mirror points (..., 3) at the plane x = 0, as in the face model's frame."""
    return points * np.array(MIRROR_SIGNS, points.dtype)


def mirror_points(points: NDArray, crop_size_px: int) -> NDArray:
    """Mirror points (..., 3) in pixels of a crop left to right."""
    return points * np.array(MIRROR_SIGNS) + np.array([crop_size_px - 1.0, 0, 0])


def mirror_rotation(rotation: NDArray) -> NDArray:
    """Return the rotations of mirrored heads, same shape."""
    return _conjugated(rotation, MIRROR_SIGNS)


def flip_y(points: NDArray) -> NDArray:
    """Change points (..., 3) from y up to y down, or back."""
    return points * np.array(FLIP_SIGNS, points.dtype)


def flip_rotation(rotation: NDArray) -> NDArray:
    """Change rotations between frames with y up and y down, same shape."""
    return _conjugated(rotation, FLIP_SIGNS)


def _conjugated(rotation: NDArray, signs: tuple[int, int, int]) -> NDArray:
    """Return S R S of rotations or of their first rows (..., 2 or 3, 3)."""
    diagonal = np.array(signs, rotation.dtype)
    return rotation * np.outer(diagonal[: rotation.shape[-2]], diagonal)
