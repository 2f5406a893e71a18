"""Draws 24 random faces of `open` beside 24 of `open-2`: `python -m tools.draw_face_models`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.face_model import FaceModel, load_face_model
from edge3d.geometry.pose import rotation_from_angles
from edge3d.io.image import write_image
from edge3d.viz import drawing, overlays

SIZE_PX, FACES, COLUMNS, SEED = 160, 24, 4, 12
YAW_DEG = (0, -35, 30, -75)  # of each column


def draw(model: FaceModel, shape: NDArray, yaw_deg: float) -> NDArray[np.uint8]:
    """Draw a shape (V, 3) on white, as large as its face."""
    nose = model.landmarks(shape)[27:31].mean(axis=0)
    points = (shape - nose * [1, 1, 0]) @ rotation_from_angles(yaw_deg, 0, 0).T
    scale = SIZE_PX / 250
    canvas = np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)
    pixels = scale * points * [1, -1, 1] + [0.5 * SIZE_PX, 0.5 * SIZE_PX, 0]
    return overlays.draw_mesh(canvas, pixels, model.triangles, alpha=1.0)


def wall(model: FaceModel) -> NDArray[np.uint8]:
    """Draw random people in rows."""
    rng = np.random.default_rng(SEED)
    faces = [
        draw(model, model.vertices(rng.standard_normal(model.identity_count)), YAW_DEG[n % COLUMNS])
        for n in range(FACES)
    ]
    rows = [np.concatenate(faces[n : n + COLUMNS], axis=1) for n in range(0, FACES, COLUMNS)]
    return np.concatenate(rows)


def main() -> None:
    """Draw and write the image."""
    names = ["open", "open-2"]
    image = drawing.side_by_side([wall(load_face_model(name)) for name in names], names)
    write_image(Path(__file__).parents[1] / "docs" / "images" / "face-models.jpg", image)


if __name__ == "__main__":
    main()
