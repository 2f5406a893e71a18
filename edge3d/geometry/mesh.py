"""Geometry of triangle meshes: normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray, triangles: NDArray) -> NDArray[np.float32]:
    """Return unit normals (N, 3), the mean of the triangles' around, weighted by area."""
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    face = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    flat = triangles.ravel()
    total = np.stack([np.bincount(flat, face[:, k], len(vertices)) for k in range(3)], axis=-1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    # A vertex of no triangle has no normal, but glTF wants unit vectors.
    return np.where(length > 1e-12, total / np.maximum(length, 1e-12), [0, 0, 1]).astype(np.float32)


def image_normals(vertices_px: NDArray, triangles: NDArray) -> NDArray[np.float32]:
    """Return unit normals (V, 3) out of a mesh, x and y as in the picture, z to the viewer."""
    a, b, c = (vertices_px[triangles[:, k]] for k in range(3))
    flat = np.cross(c - a, b - a)  # with y down, counter-clockwise is clockwise
    normals = np.stack(
        [
            sum(np.bincount(triangles[:, k], flat[:, axis], len(vertices_px)) for k in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(length, 1e-9)).astype(np.float32)
