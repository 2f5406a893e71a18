"""The cameras in parameter vectors: reading, replacing and transforming them.

Both cameras of `edge3d.model.parameters` are scaled orthographic. Here they are a linear part and
a translation: `linear @ model_point + translation` is in crop pixels, y down, z towards the camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry import tddfa_camera
from edge3d.geometry.mirror import flip_y
from edge3d.geometry.pose import rotation_from_6d, scaled_rotation_from_affine
from edge3d.geometry.similarity2d import Similarity2d
from edge3d.model.parameters import ParameterLayout, camera_layout


def camera_of(layout: ParameterLayout, params: NDArray) -> tuple[NDArray, NDArray]:
    """Return the linear part (B, 3, 3) and translation (B, 3) of the cameras of (B, P)."""
    if layout.camera == "affine":
        return tddfa_camera.to_crop(layout.part(params, "camera").reshape(-1, 3, 4))
    rotation = rotation_from_6d(layout.part(params, "rotation"))
    scale = layout.part(params, "scale")
    linear = scale[:, :, None] * rotation
    linear[:, 1] *= -1
    shift = layout.part(params, "translation")
    return linear, np.concatenate([shift, np.zeros_like(scale)], axis=1)


def with_camera(
    layout: ParameterLayout, params: NDArray, linear: NDArray, translation: NDArray
) -> NDArray[np.float32]:
    """Return parameters (B, P) with other cameras, the inverse of `camera_of`.

    Args:
        layout: of the parameters.
        params: (B, P).
        linear: (B, 3, 3); of a `rotation6d` layout a scaled rotation with y flipped.
        translation: (B, 3).
    """
    changed = np.array(params, np.float32)
    if layout.camera == "affine":
        matrix = tddfa_camera.from_crop(linear, translation)
        layout.part(changed, "camera")[:] = matrix.reshape(-1, 12)
        return changed
    rows = np.array(linear, np.float64)
    rows[:, 1] *= -1
    scale = np.linalg.norm(rows[:, 0], axis=1)[:, None]
    layout.part(changed, "rotation")[:] = rows[:, :2].reshape(-1, 6) / scale
    layout.part(changed, "scale")[:] = scale
    layout.part(changed, "translation")[:] = translation[:, :2]
    return changed


def rotation_and_scale(layout: ParameterLayout, params: NDArray) -> tuple[NDArray, NDArray]:
    """Return proper rotations (B, 3, 3), model to camera, y up, and scales (B,) of (B, P)."""
    if layout.camera == "affine":
        matrix = layout.part(params, "camera").reshape(-1, 3, 4)
        return scaled_rotation_from_affine(matrix[:, :, :3])
    rotation = rotation_from_6d(layout.part(params, "rotation"))
    return rotation, layout.part(params, "scale")[:, 0]


def rotations(params: NDArray) -> NDArray:
    """Return the head rotations (B, 3, 3) of `rotation6d` parameters (B, P), model to camera."""
    return rotation_and_scale(camera_layout("rotation6d"), params)[0]


def move_params(
    params: NDArray, change: Similarity2d, camera: str = "rotation6d"
) -> NDArray[np.float32]:
    """Return parameters (P,) with this camera after a similarity transform of the crop."""
    layout = camera_layout(camera)
    moved = np.array(params, np.float32)
    matrix = change.matrix()
    if layout.camera == "affine":
        rows = layout.part(params, "camera").astype(np.float64).reshape(3, 4)
        linear, translation = tddfa_camera.to_crop(rows)
        linear[:2] = matrix[:, :2] @ linear[:2]
        linear[2] *= change.scale
        translation[:2] = matrix[:, :2] @ translation[:2] + matrix[:, 2]
        translation[2] *= change.scale
        layout.part(moved, "camera")[:] = tddfa_camera.from_crop(linear, translation).ravel()
        return moved
    # The rows of the rotation have y up, the transform has y down.
    c, s = np.cos(change.angle_rad), np.sin(change.angle_rad)
    first, second = layout.part(params, "rotation").reshape(2, 3)
    layout.part(moved, "rotation")[:] = np.concatenate(
        [c * first - s * second, s * first + c * second]
    )
    layout.part(moved, "scale")[:] *= change.scale
    shift = layout.part(params, "translation")
    layout.part(moved, "translation")[:] = matrix[:, :2] @ shift + matrix[:, 2]
    return moved


def params_of_similarity(
    rotation: NDArray, scale: NDArray, translation: NDArray, coefficients: NDArray
) -> NDArray[np.float32]:
    """Return `rotation6d` parameters (B, P) of a pose in pixels with y up.

    Args:
        rotation: (B, 3, 3). scale: (B,). translation: (B, 3) y up; its z is not a parameter.
        coefficients: (B, K + E).
    """
    rows = rotation[:, :2].reshape(-1, 6)
    shift = flip_y(translation)[:, :2]
    return np.concatenate([rows, scale[:, None], shift, coefficients], axis=1).astype(np.float32)
