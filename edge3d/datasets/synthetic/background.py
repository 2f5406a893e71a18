"""Random backgrounds, necks and clothes of rendered faces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.crop import CROP_SIZE_PX


def paint_background(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a picture (120, 120, 3), 0..255: a gradient, noise of any size, shapes."""
    size = CROP_SIZE_PX
    corners = np.stack([random_colour(rng) for _ in range(4)]).reshape(2, 2, 3)
    corners += rng.uniform(0, 1) * (corners.mean(axis=(0, 1)) - corners)
    picture = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    for cells in rng.choice([3, 6, 12, 30, 60], int(rng.integers(0, 4)), replace=False):
        noise = rng.normal(0, rng.uniform(5, 40), (cells, cells, 3)).astype(np.float32)
        if rng.random() < 0.8:
            noise = np.repeat(noise[..., :1], 3, axis=2)
        picture = picture + cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    picture = np.ascontiguousarray(picture, np.float32)
    for _ in range(int(rng.integers(0, 9)) if rng.random() < 0.7 else 0):
        colour = random_colour(rng).tolist()
        a, b = (tuple(int(v) for v in rng.integers(-20, size + 20, 2)) for _ in range(2))
        kind = rng.integers(4)
        if kind == 0:
            cv2.rectangle(picture, a, b, colour, cv2.FILLED)
        elif kind == 1:
            cv2.circle(picture, a, int(rng.integers(3, 40)), colour, cv2.FILLED)
        elif kind == 2:
            cv2.line(picture, a, b, colour, int(rng.integers(1, 10)))
        else:
            axes = tuple(int(v) for v in rng.integers(4, 40, 2))
            cv2.ellipse(picture, a, axes, float(rng.uniform(0, 180)), 0, 360, colour, cv2.FILLED)
    if rng.random() < 0.6:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 5))
    return np.clip(picture, 0, 255).astype(np.float32)


def random_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a colour (3,), 0..255, rather dull than bright."""
    grey, strength = rng.uniform(20, 235), 90 * rng.beta(1, 2)
    return np.clip(grey + strength * rng.standard_normal(3), 0, 255).astype(np.float32)


def paint_body(
    picture: NDArray[np.float32],
    neck_px: NDArray,
    scalp_px: NDArray,
    skin_rgb: NDArray,
    hair_rgb: NDArray,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw neck and clothes below the head, and sometimes long hair behind it.

    Args:
        picture: the background. neck_px: (N, 2) the mesh's lower end. scalp_px: (M, 2).
        skin_rgb: (3,) 0..255, as it is lit. hair_rgb: likewise.
    """
    picture = picture.copy()
    low, high = neck_px.min(axis=0), neck_px.max(axis=0)
    centre, width = 0.5 * (low + high), high[0] - low[0]

    def fill(points: NDArray, colour: NDArray) -> None:
        hull = cv2.convexHull(points.astype(np.float32))
        cv2.fillPoly(picture, [np.rint(hull * 16).astype(np.int32)], colour.tolist(), 16, 4)

    if rng.random() < 0.35 and len(scalp_px):
        middle = scalp_px.mean(axis=0)
        ends = (scalp_px - middle) * [rng.uniform(0.6, 0.9), 0.6] + middle
        length = np.array([0, rng.uniform(0.3, 1.3) * width])
        fill(np.concatenate([scalp_px, ends + length]), 0.8 * hair_rgb)
    cloth = random_colour(rng)
    reach = np.array([rng.uniform(1.0, 1.7) * width, rng.uniform(0.5, 0.9) * width])
    top = centre + np.array([0, rng.uniform(0.1, 0.5) * width])
    shoulders = top + np.array([[-0.5 * width, 0], [0.5 * width, 0]])
    sides = [top + reach * [-1, 0.5], top + reach * [1, 0.5]]
    bottom = [top + reach * [-1.2, 0] + [0, 200], top + reach * [1.2, 0] + [0, 200]]
    fill(np.concatenate([shoulders, sides, bottom]), cloth)
    below = neck_px + np.array([0, rng.uniform(0.2, 0.6) * width])
    fill(np.concatenate([neck_px, below]), 0.85 * skin_rgb)
    return picture
