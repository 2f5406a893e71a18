"""Meshes of photographs in some 100 bytes each: pose, and principal components in whole steps.

A mesh is moved onto the mean mesh by a similarity; what is left is written in the principal
components of the meshes themselves, rounded to one step for all components. Later components have
small numbers, which compress well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.mesh_topology import POINTS, canonical_mesh
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d
from edge3d.geometry.similarity import Similarity, fit_similarity

COMPONENTS = 120
STEP = 0.004  # of the face's size, over all points together: 0.02 % a point
PROCRUSTES_ROUNDS = 3  # more move the mean by less than 1e-4 of the face
ROTATION_STEPS = 32767.0  # int16 for -1..1
CHUNK = 2048


@dataclass(frozen=True, eq=False)
class MeshCodes:
    """Meshes (N, 478, 3), compressed.

    Attributes:
        mean: (478, 3) float32, the mean mesh, frontal, centred, sqrt(w h) of its box 1.
        basis: (K, 1434) float16, principal components with norm 1.
        codes: (N, K) int16, in steps of `STEP`.
        rotation: (N, 6) int16, two rows of the rotation from the mean's frame to the photograph's.
        scale_px: (N,) float32, pixels for the mean's size.
        translation_px: (N, 3) float32.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float16]
    codes: NDArray[np.int16]
    rotation: NDArray[np.int16]
    scale_px: NDArray[np.float32]
    translation_px: NDArray[np.float32]

    def points_px(self, rows: NDArray | slice = slice(None)) -> NDArray[np.float32]:
        """Return meshes (n, 478, 3) float32 in pixels of their photographs.

        Args:
            rows: indices, a mask or a slice of the N.
        """
        codes = self.codes[rows].astype(np.float32)
        shapes = (codes @ self.basis.astype(np.float32)).reshape(-1, POINTS, 3)
        shapes = self.mean + np.float32(STEP) * shapes
        rotation = rotation_from_6d(self.rotation[rows] / ROTATION_STEPS)
        scale, translation = (
            self.scale_px[rows].astype(float),
            self.translation_px[rows].astype(float),
        )
        pose = Similarity(rotation, scale, translation)
        return pose.apply(shapes).astype(np.float32)

    def head_angles_deg(self, rows: NDArray | slice = slice(None)) -> NDArray[np.float32]:
        """Return yaw, pitch and roll (n, 3) against the mean mesh, as in `edge3d.geometry.pose`.

        They say how far a head is turned as the mesh network sees it; they are no pose labels.
        """
        rotation = rotation_from_6d(self.rotation[rows] / ROTATION_STEPS)
        up_and_near = np.diag([1.0, -1.0, -1.0])  # y up, z towards the camera
        angles = angles_from_rotation(up_and_near @ rotation @ up_and_near)
        return np.stack(angles, axis=-1).astype(np.float32)


def encode_meshes(points_px: NDArray, components: int = COMPONENTS) -> MeshCodes:
    """Compress meshes (N, 478, 3) in pixels of their photographs.

    Args:
        points_px: N at least 2, finite.
        components: at most; fewer meshes than that have one component less than there are meshes.
    """
    mean = _procrustes_mean(points_px)
    centred = np.concatenate([pose.undo(part) - mean for part, pose in _posed(points_px, mean)])
    flat = centred.reshape(len(centred), -1).astype(np.float32)
    basis = _principal(flat, min(components, len(flat) - 1)).astype(np.float16)
    codes = np.round(flat @ basis.T.astype(np.float32) / STEP)
    poses = [pose for _, pose in _posed(points_px, mean)]
    rotation = np.concatenate([pose.rotation for pose in poses])[:, :2].reshape(-1, 6)
    return MeshCodes(
        mean.astype(np.float32),
        basis,
        np.clip(codes, -32768, 32767).astype(np.int16),
        np.round(rotation * ROTATION_STEPS).astype(np.int16),
        np.concatenate([pose.scale for pose in poses]).astype(np.float32),
        np.concatenate([pose.translation for pose in poses]).astype(np.float32),
    )


def _posed(points_px: NDArray, mean: NDArray) -> Iterator[tuple[NDArray, Similarity]]:
    """Yield chunks of meshes with the similarities from the mean to them."""
    for first in range(0, len(points_px), CHUNK):
        part = points_px[first : first + CHUNK].astype(np.float64)
        yield part, fit_similarity(np.broadcast_to(mean, part.shape), part, np.ones(POINTS))


def _procrustes_mean(points_px: NDArray) -> NDArray[np.float64]:
    """Return the mean of meshes after alignment (generalised Procrustes), of unit size.

    The start makes it as frontal as MediaPipe's canonical face.
    """
    mean = _unit(canonical_mesh())
    for _ in range(PROCRUSTES_ROUNDS):
        total = sum(pose.undo(part).sum(axis=0) for part, pose in _posed(points_px, mean))
        mean = _unit(total)
    return mean


def _unit(mesh: NDArray) -> NDArray[np.float64]:
    centred = mesh - mesh.mean(axis=0)
    return centred / np.sqrt(np.prod(np.ptp(centred[:, :2], axis=0)))


def _principal(flat: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return the principal components (count, D) of centred data (N, D)."""
    if len(flat) < flat.shape[1]:
        return np.linalg.svd(flat.astype(np.float64), full_matrices=False)[2][:count]
    return np.linalg.eigh((flat.T @ flat).astype(np.float64))[1][:, ::-1][:, :count].T
