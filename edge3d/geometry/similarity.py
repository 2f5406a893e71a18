"""Similarity transforms in 3D, and their least squares fit to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Similarity:
    """Similarities that map model points to target points: `scale * R @ x + translation`.

    Attributes:
        rotation: (B, 3, 3), proper rotations.
        scale: (B,).
        translation: (B, 3).
    """

    rotation: NDArray[np.float64]
    scale: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: NDArray) -> NDArray:
        """Map (B, N, 3) model points to the target's frame."""
        turned = np.einsum("bij,bnj->bni", self.rotation, points)
        return self.scale[:, None, None] * turned + self.translation[:, None]

    def undo(self, points: NDArray) -> NDArray:
        """Map (B, N, 3) points of the target's frame back to the model's."""
        centred = (points - self.translation[:, None]) / self.scale[:, None, None]
        return np.einsum("bji,bnj->bni", self.rotation, centred)


def fit_similarity(source: NDArray, target: NDArray, weights: NDArray) -> Similarity:
    """Return the weighted least-squares similarities from source to target points.

    Formula: S. Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", 1991.

    Args:
        source: (B, N, 3). target: (B, N, 3). weights: (N,), not negative, some positive.
    """
    share = (weights / weights.sum())[None, :, None]
    source_mean = (share * source).sum(axis=1)
    target_mean = (share * target).sum(axis=1)
    source_centred = source - source_mean[:, None]
    target_centred = target - target_mean[:, None]
    covariance = np.einsum("bni,bnj->bij", share * target_centred, source_centred)
    u, singular, vt = np.linalg.svd(covariance)
    flip = np.ones_like(singular)
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * flip[:, None]) @ vt
    scale = (singular * flip).sum(axis=1) / (share * source_centred**2).sum(axis=(1, 2))
    translation = target_mean - scale[:, None] * np.einsum("bij,bj->bi", rotation, source_mean)
    return Similarity(rotation, scale, translation)
