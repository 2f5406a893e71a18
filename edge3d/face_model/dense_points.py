"""Points all over the face that correspond between two face models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.face_model.correspondence import closest_on_surface, dense_correspondence
from edge3d.geometry.mirror import mirror_x


@dataclass(frozen=True, eq=False)
class DensePoints:
    """Points all over the face, known on both face models.

    Attributes:
        source_ids: (N,) vertices of the source model.
        mirrored_ids: (N,) the source vertices that a mirror takes to them.
        target_triangles: (N, 3) vertices of the target model's triangles. target_weights: (N, 3).
    """

    source_ids: NDArray[np.int64]
    mirrored_ids: NDArray[np.int64]
    target_triangles: NDArray[np.int32]
    target_weights: NDArray[np.float64]

    def on_target(self, per_vertex: NDArray) -> NDArray:
        """Return the points (N, ...) of per-vertex values (V, ...) of the target model."""
        return np.einsum("nk,nk...->n...", self.target_weights, per_vertex[self.target_triangles])


def find_dense_points(source: FaceModel, target: FaceModel, count: int = 600) -> DensePoints:
    """Return points that correspond between two face models, and their mirror images."""
    ids, triangles, weights = dense_correspondence(source, target, count)
    mirrored = mirror_x(source.mean[ids])
    triangle, at = closest_on_surface(mirrored, source.mean, source.triangles)
    nearest = source.triangles[triangle][np.arange(len(ids)), at.argmax(axis=1)]
    return DensePoints(ids, nearest.astype(np.int64), triangles, weights)
