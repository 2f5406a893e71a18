"""Frames of the portrait with known motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edge3d
from edge3d.bundled import portrait_path

FACE_PX = (222.0, 130.0)  # the face's middle in the portrait
SIZE_HW = (240, 320)

Image = NDArray[np.uint8]
FrameMaker = Callable[..., Image]


@pytest.fixture(scope="session")
def reconstructor() -> edge3d.FaceReconstructor:
    pytest.importorskip("ai_edge_litert", reason="no LiteRT")
    return edge3d.FaceReconstructor()


@pytest.fixture(scope="session")
def frame() -> FrameMaker:
    """Return a function that draws the portrait's face at a place, over another frame or grey."""
    picture = edge3d.read_image(portrait_path())[:280, 80:360]
    share = np.ones(picture.shape[:2], np.float32)

    def draw(
        x: float = 160, y: float = 110, zoom: float = 0.7, turn_deg: float = 0,
        under: Image | None = None, mirrored: bool = False, noise: int = 0,
    ) -> Image:  # fmt: skip
        middle = (FACE_PX[0] - 80, FACE_PX[1])
        shown = picture[:, ::-1] if mirrored else picture
        if mirrored:
            middle = (picture.shape[1] - 1 - middle[0], middle[1])
        affine = cv2.getRotationMatrix2D(middle, turn_deg, zoom)
        affine[:, 2] += np.array([x, y]) - middle
        size = SIZE_HW[::-1]
        cover = cv2.warpAffine(share, affine, size)[..., None]
        if under is None:
            under = np.full((*SIZE_HW, 3), 120, np.uint8)
        image = cv2.warpAffine(shown, affine, size) * cover + under * (1 - cover)
        if noise:
            random = np.random.default_rng(noise)
            image = image + random.normal(0, 6, image.shape)
        return np.clip(image, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture
def video(frame: FrameMaker, tmp_path: Path) -> Path:
    """A video of 12 frames in which the face moves to the right."""
    from edge3d.io.video import VideoWriter

    path = tmp_path / "moving.mp4"
    writer = VideoWriter(path, 30)
    for number in range(12):
        writer.write(frame(x=120 + 4 * number))
    writer.close()
    return path
