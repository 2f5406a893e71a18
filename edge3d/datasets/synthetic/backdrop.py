"""What is behind a rendered head: its blurred surroundings, a photograph, or painted shapes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.synthetic.background import paint_background
from edge3d.datasets.synthetic.lights import Light, view_of
from edge3d.errors import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Photographs:
    """A folder of photographs for backgrounds.

    Raises:
        DatasetError: the folder has none.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self._paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise DatasetError(
                f"{folder} has no photographs ({', '.join(SUFFIXES)}) for backgrounds; name a "
                "folder that has, or none"
            )

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return a part (size, size, 3) of a photograph, RGB, sometimes out of focus.

        Raises:
            DatasetError: the file is no image.
        """
        path = self._paths[rng.integers(len(self._paths))]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise DatasetError(f"{path} is no image; take it out of the folder of backgrounds")
        side = int(min(image.shape[:2]) * rng.uniform(0.4, 1.0))
        top, left = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
        part = image[top : top + side, left : left + side]
        part = cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)
        if rng.random() < 0.5:
            part = part[:, ::-1]
        if rng.random() < 0.6:
            part = cv2.GaussianBlur(part, (0, 0), rng.uniform(0.5, 8.0))
        return np.ascontiguousarray(part[..., ::-1])


def draw_backdrop(
    size: int,
    light: Light,
    exposure: NDArray,
    photographs: Photographs | None,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return a background (size, size, 3) uint8 sRGB."""
    kind = rng.random()
    if photographs is not None and kind < 0.6:
        return photographs.draw(size, rng)
    if kind < 0.8:
        small = view_of(light, 64, rng.uniform(25, 80), rng.normal(0, 12))
        strength = np.exp(rng.normal(0, 0.5)) * exposure[:3] * 0.5
        seen = 255 * np.clip(small * strength, 0, 1) ** (1 / 2.2)
        view = cv2.resize(seen.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        if rng.random() < 0.4:  # things that the coarse map does not have
            cells = int(rng.choice([5, 9, 16, 40]))
            grain = rng.normal(0, 1, (cells, cells, 1)).astype(np.float32) * rng.uniform(0, 25)
            view = view + cv2.resize(grain, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]
        return np.clip(view, 0, 255).astype(np.uint8)
    painted = paint_background(rng)
    return np.asarray(cv2.resize(painted, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
