"""Head pose: rotation matrices and yaw, pitch, roll with AFLW2000-3D's signs and order.

Convention. A rotation R turns the face model's frame (x right, y up, z towards the camera) into
the camera's frame of the same directions. Its angles are those of AFLW2000-3D's `Pose_Para`,
R = Rx(pitch) Ry(yaw) Rz(roll), where

    Rx(a) = [1 0 0; 0 cos a  sin a; 0 -sin a cos a]
    Ry(a) = [cos a 0 -sin a; 0 1 0; sin a 0 cos a]
    Rz(a) = [cos a sin a 0; -sin a cos a 0; 0 0 1]

(RotationMatrix.m of 3DDFA by X. Zhu et al., CVPR 2016.) For a face that looks at the camera all
three are 0. Yaw is positive when the face turns to the image's left, pitch when it looks up, roll
when the head tilts clockwise in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HeadPose:
    """The pose of one head.

    Attributes:
        yaw_deg, pitch_deg, roll_deg: angles in degrees, see the module's convention.
        rotation: (3, 3) float32, from the face model's frame to the camera's (y up).
        scale_px: pixels of the picture in one unit of the face model.
        translation_px: (2,) float32, where the model's origin is in the picture (x, y down).
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    rotation: NDArray[np.float32]
    scale_px: float
    translation_px: NDArray[np.float32]


def rotation_from_angles(
    yaw_deg: NDArray | float, pitch_deg: NDArray | float, roll_deg: NDArray | float
) -> NDArray:
    """Return rotation matrices (..., 3, 3) of angles in degrees (...)."""
    yaw, pitch, roll = (np.radians(np.asarray(a, float)) for a in (yaw_deg, pitch_deg, roll_deg))
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    rows = [
        [cy * cr, cy * sr, -sy],
        [sp * sy * cr - cp * sr, sp * sy * sr + cp * cr, sp * cy],
        [cp * sy * cr + sp * sr, cp * sy * sr - sp * cr, cp * cy],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def angles_from_rotation(rotation: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return (yaw, pitch, roll) in degrees (...) of rotation matrices (..., 3, 3).

    Yaw lies within -90..90, pitch and roll within -180..180. At yaw = +-90 only the sum of pitch
    and roll is defined; roll is then given as 0.
    """
    rotation = np.asarray(rotation, float)
    sine = np.clip(-rotation[..., 0, 2], -1, 1)
    yaw = np.arcsin(sine)
    locked = abs(sine) > 1 - 1e-9
    pitch = np.where(
        locked,
        np.arctan2(-rotation[..., 2, 1], rotation[..., 1, 1]),
        np.arctan2(rotation[..., 1, 2], rotation[..., 2, 2]),
    )
    roll = np.where(locked, 0.0, np.arctan2(rotation[..., 0, 1], rotation[..., 0, 0]))
    return np.degrees(yaw), np.degrees(pitch), np.degrees(roll)


def rotation_from_6d(six: NDArray) -> NDArray:
    """Return proper rotations (..., 3, 3) from two rows each, made orthonormal.

    Formula: Gram-Schmidt, as in Y. Zhou et al., "On the continuity of rotation representations in
    neural networks", CVPR 2019, with the rotation's first two rows in place of its columns.

    Args:
        six: (..., 6): row one, then row two.
    """
    first, second = six[..., :3], six[..., 3:]
    first = first / np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-8)
    second = second - (first * second).sum(axis=-1, keepdims=True) * first
    second = second / np.maximum(np.linalg.norm(second, axis=-1, keepdims=True), 1e-8)
    return np.stack([first, second, np.cross(first, second)], axis=-2)


def scaled_rotation_from_affine(matrix: NDArray) -> tuple[NDArray, NDArray]:
    """Split the 3 x 3 part of a 3DDFA camera into a proper rotation and a scale.

    Formula: `P2sRt` of 3DDFA (X. Zhu et al.): the scale is the mean length of the first two rows,
    the third row is the cross product; rows one and two are made orthogonal first.

    Args:
        matrix: (..., 3, 3).

    Returns:
        rotation (..., 3, 3) and scale (...).
    """
    scale = 0.5 * np.linalg.norm(matrix[..., :2, :], axis=-1).sum(axis=-1)
    rows = matrix[..., :2, :] / np.linalg.norm(matrix[..., :2, :], axis=-1, keepdims=True)
    return rotation_from_6d(rows.reshape(*rows.shape[:-2], 6)), scale


def rotation_vectors(rotation: NDArray) -> NDArray[np.float64]:
    """Return the rotation vectors (..., 3), axis times angle in radians, of (..., 3, 3)."""
    flat = np.asarray(rotation, np.float64).reshape(-1, 3, 3)
    vectors = [cv2.Rodrigues(own)[0] for own in flat]
    return np.array(vectors, np.float64).reshape(np.shape(rotation)[:-1])


def rotations_from_vectors(vectors: NDArray) -> NDArray[np.float64]:
    """Return the rotations (..., 3, 3) of rotation vectors (..., 3), axis times angle in radians.

    Formula: Rodrigues'.
    """
    flat = np.asarray(vectors, np.float64).reshape(-1, 3)
    rotations = [cv2.Rodrigues(own)[0] for own in flat]
    return np.array(rotations, np.float64).reshape(*np.shape(vectors), 3)
