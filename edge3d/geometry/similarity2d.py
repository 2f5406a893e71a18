"""Similarity transforms of an image: rotation, scale, shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Similarity2d:
    """A rotation, scaling and shift of a crop, applied to pixels and points.

    What it does to parameters: `edge3d.model.camera.move_params`.

    Attributes:
        angle_rad: counter-clockwise in the image. scale: 1 keeps the size.
        shift_px: (x, y). centre_px: x and y of the crop's centre, the fixed point of the rotation.
    """

    angle_rad: float
    scale: float
    shift_px: tuple[float, float]
    centre_px: float

    def matrix(self) -> NDArray[np.float64]:
        """Return the (2, 3) affine on pixel coordinates, y down."""
        c, s = self.scale * np.cos(self.angle_rad), self.scale * np.sin(self.angle_rad)
        linear = np.array([[c, s], [-s, c]])
        centre = np.full(2, self.centre_px)
        return np.column_stack([linear, centre - linear @ centre + self.shift_px])

    def move_points(self, points: NDArray) -> NDArray[np.float32]:
        """Return points (..., 3) in pixels after the change; z is scaled alike."""
        matrix = self.matrix()
        planar = points[..., :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([planar, points[..., 2:] * self.scale], axis=-1).astype(np.float32)

    def undo_points(self, points: NDArray) -> NDArray[np.float64]:
        """Return where points (..., 3) after the change were before it."""
        matrix = self.matrix()
        planar = (points[..., :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return np.concatenate([planar, points[..., 2:] / self.scale], axis=-1)
