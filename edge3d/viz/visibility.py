"""Which vertices of a mesh are visible from a direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.mirror import flip_y
from edge3d.viz.rasterizer import rasterize


def visible(
    points_mm: NDArray, triangles: NDArray, direction: NDArray, tolerance_mm: float
) -> NDArray[np.bool_]:
    """Return which vertices (V,) of a mesh are seen from a direction (3,), from far away."""
    aside = np.cross([0.0, 1.0, 0.01], direction)
    aside /= np.linalg.norm(aside)
    rotation = np.stack([aside, np.cross(direction, aside), direction])
    placed = flip_y((points_mm - points_mm.mean(axis=0)) @ rotation.T)
    placed[:, :2] -= placed[:, :2].min(axis=0) - 1
    width, height = np.ceil(placed[:, :2].max(axis=0)).astype(int) + 2
    _, depth = rasterize(placed, triangles, (height, width), np.zeros((len(placed), 0)))
    nearest = np.rint(placed[:, :2]).astype(int)
    before = depth[nearest[:, 1], nearest[:, 0]]
    return ~(before > placed[:, 2] + tolerance_mm)  # also where nothing was drawn
