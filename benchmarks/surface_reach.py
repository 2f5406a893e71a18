"""How closely a face model's surface reaches random faces of the Basel Face Model.

1,500 points of each face within 80 mm of the tip of its nose; pose and identity are fitted to them
in turns with closest points, with a ridge on the coefficients. Used by
`benchmarks.face_model_reach`; the Basel Face Model measures here and is no ingredient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.geometry.similarity import fit_similarity

FACES, POINTS, RADIUS_MM = 16, 1500, 80.0
INNER = np.r_[np.zeros(17), np.ones(51)]  # the jaw is defined in more than one way
RIDGE, ROUNDS = 20.0, 15  # of 1,000 points; of closest points


def surface_reach(model: FaceModel, bfm_file: Path, seed: int = 5) -> dict[str, float]:
    """Return the mean, median and 95 % distance in mm, and the mean size of a coefficient."""
    with np.load(bfm_file) as bfm:
        mean = bfm["mean_shape"].astype(np.float64).reshape(-1, 3) / 1000
        basis = bfm["shape_basis"].astype(np.float64).reshape(len(mean), 3, -1) / 1000
        centre, deviation = bfm["param_mean"][12:52], bfm["param_std"][12:52]
        marks = bfm["landmarks68"]
    rng = np.random.default_rng(seed)
    region = np.flatnonzero(np.linalg.norm(mean - mean[marks[30]], axis=1) < RADIUS_MM)
    region = region[rng.permutation(len(region))[:POINTS]]
    rows = []
    for _ in range(FACES):
        face = mean + basis @ (centre + deviation * rng.standard_normal(40))
        distance, coefficients = _fit(model, face[region], face[marks])
        rows.append(
            (
                distance.mean(),
                np.median(distance),
                np.quantile(distance, 0.95),
                abs(coefficients).mean(),
            )
        )
    names = ("surface_mean_mm", "surface_median_mm", "surface_95_mm", "mean_coefficient")
    return dict(zip(names, map(float, np.mean(rows, axis=0)), strict=True))


def _fit(model: FaceModel, goal: NDArray, goal68: NDArray) -> tuple[NDArray, NDArray]:
    mean = model.mean.astype(np.float64) * model.unit_mm
    modes = model.identity_basis.astype(np.float64) * model.unit_mm
    coefficients = np.zeros(model.identity_count)
    pose = fit_similarity(model.landmarks(mean)[None].astype(np.float64), goal68[None], np.ones(68))
    ones = np.ones(len(goal))
    ridge = RIDGE * len(goal) / 1000 * np.eye(len(coefficients))
    for _ in range(ROUNDS):
        shape = mean + modes @ coefficients
        triangle, weights = closest_on_surface(goal, pose.apply(shape[None])[0], model.triangles)
        corners = model.triangles[triangle]
        pose = fit_similarity(
            np.einsum("nk,nkc->nc", weights, shape[corners])[None], goal[None], ones
        )
        matrix = np.einsum("nk,nkcm->ncm", weights, modes[corners])
        matrix = matrix.reshape(-1, len(coefficients))
        wanted = pose.undo(goal[None])[0] - np.einsum("nk,nkc->nc", weights, mean[corners])
        coefficients = np.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ wanted.ravel())
    vertices = pose.apply((mean + modes @ coefficients)[None])[0]
    triangle, weights = closest_on_surface(goal, vertices, model.triangles)
    hits = np.einsum("nk,nkc->nc", weights, vertices[model.triangles[triangle]])
    return np.linalg.norm(hits - goal, axis=1), coefficients
