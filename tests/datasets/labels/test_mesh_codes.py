from __future__ import annotations

import numpy as np

from edge3d.datasets.labels.mesh_codes import encode_meshes
from edge3d.datasets.labels.mesh_topology import canonical_mesh
from edge3d.geometry.pose import rotation_from_angles

ANGLES = [(0, 0, 0), (35, 5, -3), (-50, -10, 8), (10, 20, 25), (-20, 0, 0), (60, -5, 0)]


def turned_meshes(rng: np.random.Generator, size_px: float) -> np.ndarray:
    """Meshes (6, 478, 3) at `ANGLES`, with 3 ways to vary."""
    mean = canonical_mesh() / np.ptp(canonical_mesh()[:, 0])
    shapes = mean + np.einsum(
        "nk,kij->nij", 0.03 * rng.normal(size=(6, 3)), rng.normal(size=(3, 478, 3))
    )
    flip = np.diag([1.0, -1.0, -1.0])
    rotations = np.array([flip @ rotation_from_angles(*angles) @ flip for angles in ANGLES])
    return size_px * shapes @ rotations.transpose(0, 2, 1) + [200, 150, 10]


def test_meshes_come_back_with_their_pose(rng: np.random.Generator) -> None:
    meshes = turned_meshes(rng, 100.0)
    codes = encode_meshes(meshes)
    assert codes.codes.shape == (6, 5)
    away = np.linalg.norm(codes.points_px() - meshes, axis=-1)
    assert away.mean() < 0.05  # 0.05 % of the face
    np.testing.assert_array_equal(codes.points_px(np.array([4, 1])), codes.points_px()[[4, 1]])
    assert np.abs(codes.head_angles_deg() - np.array(ANGLES)).max() < 3  # shapes differ in 3D


def test_the_mean_mesh_is_frontal(rng: np.random.Generator) -> None:
    codes = encode_meshes(turned_meshes(rng, 80.0))
    right, left = codes.mean[33], codes.mean[263]
    assert right[0] < left[0]
    assert abs(right[1] - left[1]) < 0.02 and abs(right[2] - left[2]) < 0.02
