"""One Catmull-Clark step as a linear map, so that bases can be subdivided like positions.

Formula: E. Catmull and J. Clark, "Recursively generated B-spline surfaces on arbitrary
topological meshes", 1978; at a boundary the cubic B-spline rule of the boundary curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Subdivision:
    """A subdivided quad mesh and the linear map that makes its vertices.

    The new vertices are, in this order: the moved old ones, one on each edge (edges sorted by
    their two vertex numbers), one in each quad. So the numbering is the same on every machine.

    Attributes:
        quads: (4 Q, 4) int32, the new faces, wound as the old ones.
        index: (M,) int32, old vertex numbers, grouped by new vertex.
        weight: (M,) float64, the weight of each of them.
        start: (V,) int64, where the group of each new vertex begins.
    """

    quads: NDArray[np.int32]
    index: NDArray[np.int32]
    weight: NDArray[np.float64]
    start: NDArray[np.int64]

    def apply(self, values: NDArray) -> NDArray[np.float32]:
        """Map per-vertex values of the old mesh to the new one.

        Args:
            values: (V_old, ...) float.

        Returns:
            (V_new, ...) float32.
        """
        flat = np.asarray(values, np.float32).reshape(len(values), -1)
        terms = flat[self.index] * self.weight[:, None].astype(np.float32)
        return np.add.reduceat(terms, self.start, axis=0).reshape(-1, *values.shape[1:])


def catmull_clark(quads: NDArray, vertex_count: int) -> Subdivision:
    """Return one Catmull-Clark step of a quad mesh.

    Args:
        quads: (Q, 4) int, vertex numbers. Every vertex is used by some quad.
        vertex_count: number of vertices.
    """
    quads = np.asarray(quads, np.int64)
    quad_count = len(quads)
    corner_pairs = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2)  # (Q, 4, 2)
    sorted_pairs = np.sort(corner_pairs.reshape(-1, 2), axis=1)
    edges, edge_of_side, sides = np.unique(
        sorted_pairs, axis=0, return_inverse=True, return_counts=True
    )
    edge_of_side = edge_of_side.reshape(quad_count, 4)
    boundary = sides == 1

    rows: list[NDArray] = []
    columns: list[NDArray] = []
    weights: list[NDArray] = []

    def add(row: NDArray, column: NDArray, weight: NDArray | float) -> None:
        rows.append(np.asarray(row).ravel())
        columns.append(np.asarray(column).ravel())
        weights.append(np.broadcast_to(weight, np.shape(row)).astype(np.float64).ravel())

    # Face points: the mean of the four corners.
    face_row = vertex_count + len(edges) + np.arange(quad_count)
    add(np.repeat(face_row, 4), quads, 0.25)

    # Edge points: the mean of the two ends and the two face points; on a boundary, of the ends.
    edge_row = vertex_count + np.arange(len(edges))
    add(np.repeat(edge_row, 2), edges, np.repeat(np.where(boundary, 0.5, 0.25), 2))
    side_weight = np.where(boundary[edge_of_side], 0.0, 0.25 / 4)
    for corner in range(4):
        add(edge_row[edge_of_side], np.repeat(quads[:, [corner]], 4, axis=1), side_weight)

    # Old vertices inside: (mean face point + 2 mean edge middle + (n - 3) vertex) / n.
    valence = np.bincount(edges.ravel(), minlength=vertex_count).astype(np.float64)
    on_boundary = np.zeros(vertex_count, bool)
    on_boundary[edges[boundary].ravel()] = True
    inner = ~on_boundary
    ids = np.arange(vertex_count)
    own = np.where(inner, (valence - 3) / valence, 0.75)
    add(ids, ids, own)
    inner_scale = np.where(inner, 1.0 / valence**2, 0.0)
    for corner in range(4):
        for other in range(4):
            add(quads[:, corner], quads[:, other], inner_scale[quads[:, corner]] * 0.25)
    for end in range(2):
        for other in range(2):
            add(edges[:, end], edges[:, other], inner_scale[edges[:, end]])
    # Old vertices on a boundary: 3/4 of itself, 1/8 of each boundary neighbour.
    for end in range(2):
        add(edges[boundary, end], edges[boundary, 1 - end], 0.125)

    row = np.concatenate(rows)
    column = np.concatenate(columns)
    weight = np.concatenate(weights)
    key = row * vertex_count + column
    unique, inverse = np.unique(key, return_inverse=True)
    summed = np.bincount(inverse, weights=weight)
    keep = summed != 0
    unique, summed = unique[keep], summed[keep]
    new_count = vertex_count + len(edges) + quad_count
    start = np.searchsorted(unique // vertex_count, np.arange(new_count))

    edge_point = edge_row[edge_of_side]
    new_quads = np.stack(
        [
            quads,
            edge_point,
            np.broadcast_to(face_row[:, None], (quad_count, 4)),
            np.roll(edge_point, 1, axis=1),
        ],
        axis=2,
    ).reshape(-1, 4)
    return Subdivision(
        quads=new_quads.astype(np.int32),
        index=(unique % vertex_count).astype(np.int32),
        weight=summed,
        start=start,
    )


def triangulate(quads: NDArray) -> NDArray[np.int32]:
    """Split each quad (a, b, c, d) into the triangles (a, b, c) and (a, c, d): (2 Q, 3) int32."""
    quads = np.asarray(quads)
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
