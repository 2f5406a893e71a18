"""Similarity transforms of an image: rotation, scale, shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.tddfa_camera import PROTOCOL_OFFSET_PX


@dataclass(frozen=True)
class Similarity2d:
    """A turn, scaling and shift of the crop: what it does to pixels and to labels.

    Attributes:
        angle_rad: counter-clockwise in the picture. scale: 1 keeps the size.
        shift_px: (x, y). centre_px: the crop's middle, which the turn keeps.
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

    def move_params(self, params: NDArray, camera: str = "rotation6d") -> NDArray[np.float32]:
        """Return parameters (P,) of a layout with this camera after the change."""
        moved = np.array(params, np.float32)
        if camera == "affine":
            moved[:12] = self._move_affine(params[:12])
            return moved
        c, s = np.cos(self.angle_rad), np.sin(self.angle_rad)
        first, second = params[0:3], params[3:6]  # rows of the rotation, y up
        moved[0:3], moved[3:6] = c * first - s * second, s * first + c * second
        moved[6] = params[6] * self.scale
        matrix = self.matrix()
        moved[7:9] = matrix[:, :2] @ params[7:9] + matrix[:, 2]
        return moved

    def _move_affine(self, camera: NDArray) -> NDArray[np.float64]:
        """Return the 3 x 4 matrix (12,) of an `affine` camera after the change."""
        rows = np.array(camera, np.float64).reshape(3, 4)
        rows[1] *= -1  # y down, 0-based; see `edge3d.model.decoder.Decoder.camera`
        offset = np.array([-PROTOCOL_OFFSET_PX, 121.0 - PROTOCOL_OFFSET_PX])
        rows[:2, 3] += offset
        matrix = self.matrix()
        planar = matrix[:, :2] @ rows[:2]
        planar[:, 3] += matrix[:, 2] - offset
        planar[1] *= -1
        return np.concatenate([planar, self.scale * rows[2:]]).ravel()
