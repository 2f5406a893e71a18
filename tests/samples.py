"""Small made-up data that several tests share."""

from __future__ import annotations

import numpy as np

from edge3d.geometry.pose import rotation_from_angles


def random_params(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw `rotation6d` parameters (count, 140) of plausible faces in a 120 px crop."""
    rotation = rotation_from_angles(*rng.uniform(-40, 40, (3, count)))
    return np.concatenate(
        [
            rotation[:, :2].reshape(count, 6),
            rng.uniform(0.5, 0.6, (count, 1)),
            rng.uniform(55, 65, (count, 2)),
            0.5 * rng.standard_normal((count, 80)),
            rng.uniform(0, 0.3, (count, 51)),
        ],
        axis=1,
    ).astype(np.float32)
