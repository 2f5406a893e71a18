"""Geometry of triangle meshes: checks of their arrays, and normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def check_mesh(vertices: NDArray, triangles: NDArray) -> tuple[NDArray[np.float32], NDArray]:
    """Return vertices (N, 3) float32 and triangles (T, 3) that fit together, in C order.

    Raises:
        ValueError: shapes that do not fit, an index out of range, a vertex that is not finite.
    """
    vertices = np.ascontiguousarray(vertices, np.float32)
    triangles = np.ascontiguousarray(triangles)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices have shape {vertices.shape}, expected (N, 3)")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles have shape {triangles.shape}, expected (T, 3)")
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise ValueError(f"triangles point beyond {len(vertices)} vertices")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices are not finite")
    return vertices, triangles


def vertex_normals(
    vertices: NDArray, triangles: NDArray, y_down: bool = False
) -> NDArray[np.float64]:
    """Return the outward unit normals (N, 3), means of the triangles' weighted by their area.

    Args:
        vertices: (N, 3). triangles: (T, 3), counter-clockwise seen from outside.
        y_down: whether the vertices are in pixels with y down; their normals are too.

    Returns:
        (N, 3); (0, 0, 1) at a vertex of no triangle.
    """
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    # With y down the corners, seen from outside, run clockwise.
    flat = np.cross(c - a, b - a) if y_down else np.cross(b - a, c - a)
    index, weighted = triangles.ravel(), np.repeat(flat, 3, axis=0)
    # Several times faster than np.add.at.
    sums = [np.bincount(index, weighted[:, axis], len(vertices)) for axis in range(3)]
    total = np.stack(sums, axis=-1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-12, total / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
