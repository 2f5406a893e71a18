"""Which point of one face model's surface is which of another's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from edge3d.face_model.fitting import LinearShape, fit_shape
from edge3d.face_model.model import FaceModel


def closest_on_surface(
    points: NDArray, vertices: NDArray, triangles: NDArray
) -> tuple[NDArray, NDArray]:
    """Return the nearest triangle (N,) of each point and barycentric weights (N, 3) on it.

    Args:
        points: (N, 3). vertices: (V, 3). triangles: (T, 3); the 24 with the nearest centres are
            looked at.
    """
    tree = cKDTree(vertices[triangles].mean(axis=1))
    candidates = np.asarray(tree.query(points, k=24)[1])
    corners = vertices[triangles[candidates]]  # (N, 24, 3, 3)
    weights = barycentric(points[:, None], corners)
    hits = np.einsum("nkp,nkpc->nkc", weights, corners)
    best = ((hits - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    return candidates[rows, best], weights[rows, best]


def barycentric(points: NDArray, corners: NDArray) -> NDArray:
    """Return weights (..., 3), clipped to the triangle, of points (..., 3) in (..., 3, 3)."""
    ab, ac = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    ap = points - corners[..., 0, :]
    d00, d01, d11 = ((u * v).sum(-1) for u, v in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    scale = d00 * d11 - d01**2 + 1e-12
    v, w = (d11 * d20 - d01 * d21) / scale, (d00 * d21 - d01 * d20) / scale
    weights = np.stack([1 - v - w, v, w], axis=-1).clip(0)
    return weights / weights.sum(axis=-1, keepdims=True)


def identity_shape_of(model: FaceModel, vertex_ids: NDArray, ridge: float) -> LinearShape:
    """Return chosen vertices of a model as a shape of its identity modes alone, in mm."""
    count = model.identity_count
    return LinearShape(
        mean=model.mean[vertex_ids].astype(np.float64) * model.unit_mm,
        basis=model.identity_basis[vertex_ids].astype(np.float64) * model.unit_mm,
        weights=np.ones(len(vertex_ids)),
        ridge=np.full(count, ridge),
        lower=np.full(count, -np.inf),
        upper=np.full(count, np.inf),
    )


def dense_correspondence(
    source: FaceModel, target: FaceModel, count: int = 600, rounds: int = 12
) -> tuple[NDArray, NDArray, NDArray]:
    """Find the points of `target`'s surface that correspond to vertices of `source`.

    The target's mean is bent to the source's mean face, by the 68 landmarks first, then by
    closest points within its identity space; what is then further than 3 mm away is left out.

    Returns:
        Source vertex numbers (N,), the target's triangle vertices (N, 3) and weights (N, 3).
    """
    goal = source.mean.astype(np.float64) * source.unit_mm
    goal68 = source.landmarks(source.mean).astype(np.float64) * source.unit_mm
    landmarks = LinearShape(
        mean=target.landmarks(target.mean).astype(np.float64) * target.unit_mm,
        basis=target.landmark_basis[..., : target.identity_count].astype(np.float64)
        * target.unit_mm,
        weights=np.ones(68),
        ridge=np.full(target.identity_count, 3.0),
        lower=np.full(target.identity_count, -np.inf),
        upper=np.full(target.identity_count, np.inf),
    )
    pose, coefficients = fit_shape(landmarks, goal68[None])
    sample = np.linspace(0, len(goal) - 1, min(len(goal), 6 * count)).astype(int)
    for _ in range(rounds):
        bent = pose.apply(target.vertices(identity=coefficients[0])[None] * target.unit_mm)[0]
        distance, near = map(np.asarray, cKDTree(bent).query(goal[sample]))
        good = distance < max(2.0, float(np.quantile(distance, 0.7)))
        shape = identity_shape_of(target, near[good], ridge=20.0)
        both = LinearShape(
            mean=np.concatenate([shape.mean, landmarks.mean]),
            basis=np.concatenate([shape.basis, landmarks.basis]),
            weights=np.concatenate([shape.weights, np.full(68, 5.0)]),
            ridge=shape.ridge,
            lower=shape.lower,
            upper=shape.upper,
        )
        pose, coefficients = fit_shape(
            both, np.concatenate([goal[sample[good]], goal68])[None], rounds=3
        )
    bent = pose.apply(target.vertices(identity=coefficients[0])[None] * target.unit_mm)[0]
    triangle, weights = closest_on_surface(goal[sample], bent, target.triangles)
    corners = target.triangles[triangle]
    distance = np.linalg.norm(
        np.einsum("np,npc->nc", weights, bent[corners]) - goal[sample], axis=1
    )
    kept = np.flatnonzero(distance < 3.0)
    kept = kept[np.linspace(0, len(kept) - 1, min(count, len(kept))).astype(int)]
    return sample[kept], corners[kept], weights[kept]
