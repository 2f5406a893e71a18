"""Images for parity checks where no data set is given."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import portrait_path
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.io.image import read_image

PARITY_IMAGES = 64
# Middle and side of the square about the face in the portrait that ships with the package.
_PORTRAIT_CENTRE_PX, _PORTRAIT_SIDE_PX = (222.0, 130.0), 130.0


def parity_images(count: int = PARITY_IMAGES) -> NDArray[np.uint8]:
    """Return crops of a face for a parity check where no data set is given.

    The package's portrait, shifted, scaled, turned, mirrored, brighter and darker; always the
    same. The first one is the portrait's plain crop.

    Returns:
        (count, 120, 120, 3) uint8 RGB.
    """
    portrait = read_image(portrait_path())
    rng = np.random.default_rng(120)
    images = np.empty((count, CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    for index in range(count):
        shift = rng.uniform(-0.15, 0.15, 2) * CROP_SIZE_PX
        zoom, turn_deg = 2.0 ** rng.uniform(-0.4, 0.4), rng.uniform(-45, 45)
        gain, offset = rng.uniform(0.5, 1.5), rng.uniform(-40, 40)
        mirrored = rng.random() < 0.5
        if index == 0:
            shift, zoom, turn_deg, gain, offset, mirrored = np.zeros(2), 1.0, 0.0, 1.0, 0.0, False
        to_crop = cv2.getRotationMatrix2D(
            _PORTRAIT_CENTRE_PX, turn_deg, zoom * CROP_SIZE_PX / _PORTRAIT_SIDE_PX
        )
        to_crop[:, 2] += 0.5 * (CROP_SIZE_PX - 1) + shift - np.array(_PORTRAIT_CENTRE_PX)
        pixels = cv2.warpAffine(portrait, to_crop, (CROP_SIZE_PX, CROP_SIZE_PX))
        pixels = pixels[:, ::-1] if mirrored else pixels
        images[index] = np.clip(gain * (pixels - 127.5) + 127.5 + offset, 0, 255)
    return images
