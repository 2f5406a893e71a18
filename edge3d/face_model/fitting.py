"""Fitting a face model to known 3D points: a similarity, then bounded coefficients.

This is how labels move from one face model's space into another's, and how well one model
reaches another's faces is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.similarity import Similarity, fit_similarity


@dataclass(frozen=True, eq=False)
class LinearShape:
    """The points of a face model that are fitted, and how much each may cost.

    Attributes:
        mean: (N, 3). basis: (N, 3, C), identity and expression modes side by side.
        weights: (N,) of each point. ridge: (C,) of each coefficient squared, in units of squared
            distance. lower, upper: (C,) bounds, infinite where there are none.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    weights: NDArray[np.float64]
    ridge: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def points(self, coefficients: NDArray) -> NDArray:
        """Return the points (B, N, 3) of coefficients (B, C)."""
        flat = coefficients @ self.basis.reshape(-1, self.basis.shape[2]).T
        return self.mean + flat.reshape(-1, *self.mean.shape)


def fit_coefficients(
    shape: LinearShape, target: NDArray, start: NDArray, steps: int = 100
) -> NDArray:
    """Return the bounded coefficients that bring the shape's points to the targets.

    Minimises sum_n w_n |mean_n + basis_n c - target_n|^2 + sum_k ridge_k c_k^2 within bounds, by
    FISTA with restarts (A. Beck and M. Teboulle, 2009; B. O'Donoghue and E. Candes, 2015).

    Args:
        target: (B, N, 3) in the model's frame. start: (B, C). steps: of the iteration.

    Returns:
        (B, C).
    """
    root = np.sqrt(shape.weights)[:, None]
    matrix = (root[..., None] * shape.basis).reshape(-1, shape.basis.shape[2])
    hessian = matrix.T @ matrix + np.diag(shape.ridge)
    linear = (root * (target - shape.mean)).reshape(len(target), -1) @ matrix
    # Jacobi scaling: small modes converge as fast as large ones, boxes stay boxes.
    unit = 1.0 / np.sqrt(np.diag(hessian))
    hessian = hessian * unit[:, None] * unit
    linear = linear * unit
    lower, upper = shape.lower / unit, shape.upper / unit
    step = 1.0 / np.linalg.eigvalsh(hessian)[-1]
    current = start / unit
    ahead, momentum = current, np.ones((len(target), 1))
    for _ in range(steps):
        following = np.clip(ahead - step * (ahead @ hessian - linear), lower, upper)
        moved = following - current
        wrong_way = ((ahead - following) * moved).sum(axis=1, keepdims=True) > 0
        next_momentum = np.where(wrong_way, 1.0, 0.5 * (1 + np.sqrt(1 + 4 * momentum**2)))
        gain = np.where(wrong_way, 0.0, (momentum - 1) / next_momentum)
        ahead = following + gain * moved
        current, momentum = following, next_momentum
    return current * unit


def fit_shape(
    shape: LinearShape, target: NDArray, rounds: int = 8, steps: int = 60
) -> tuple[Similarity, NDArray]:
    """Fit pose and coefficients in turns.

    Args:
        target: (B, N, 3) points in any frame that is a similarity away from the model's.

    Returns:
        The similarities, and coefficients (B, C).
    """
    target = np.asarray(target, np.float64)
    coefficients = np.clip(np.zeros((len(target), shape.basis.shape[2])), shape.lower, shape.upper)
    for _ in range(rounds):
        pose = fit_similarity(shape.points(coefficients), target, shape.weights)
        coefficients = fit_coefficients(shape, pose.undo(target), coefficients, steps)
    return fit_similarity(shape.points(coefficients), target, shape.weights), coefficients
