"""Smooth steps, and subsets of points that are spread as far as possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smoothstep(value: NDArray, width: float = 1.0) -> NDArray:
    """Return 0 below 0, 1 above `width` and the cubic 3 t^2 - 2 t^3 in between, same shape."""
    share = np.clip(value / width, 0, 1)
    return share * share * (3 - 2 * share)


def farthest_points(points: NDArray, count: int, first: int = 0) -> NDArray[np.int64]:
    """Return the rows of `count` points, or of all if there are fewer, by farthest-point sampling.

    Each next point is the one farthest from all points chosen before it (T. Gonzalez,
    "Clustering to minimize the maximum intercluster distance", 1985).

    Args:
        points: (N, C). first: the row that comes first.
    """
    chosen = [first]
    distance = np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen, np.int64)
