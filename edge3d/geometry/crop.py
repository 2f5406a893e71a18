"""From a box in a picture to the network's input, and back.

Convention. A box is `xyxy` in pixels, half-open: it covers the pixels x0 <= x < x1. A point is in
coordinates where the centre of the first pixel is 0, so a box's edges lie at x0 - 0.5 and
x1 - 0.5. A crop maps the box's edges to the crop's, pixel areas to pixel areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.boxes import square_box

CROP_SIZE_PX = 120


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop and its way back to the frame.

    Attributes:
        pixels: (120, 120, 3) uint8 RGB.
        box_xyxy: (4,) int64, the square that was cut, in pixels of the frame, half-open; it may
            reach over the frame, where the crop is black.
        to_frame: (2, 3) float64, the affine that takes a point of the crop to the frame.
    """

    pixels: NDArray[np.uint8]
    box_xyxy: NDArray[np.int64]
    to_frame: NDArray[np.float64]

    @property
    def scale(self) -> float:
        """Pixels of the frame in one pixel of the crop."""
        return float(self.to_frame[0, 0])

    def points_to_frame(self, points: NDArray) -> NDArray[np.float32]:
        """Take points (..., 2 or 3) from crop pixels to frame pixels; z is scaled alike."""
        points = np.asarray(points)
        moved = points[..., :2] * self.scale + self.to_frame[:, 2]
        return np.concatenate([moved, points[..., 2:] * self.scale], axis=-1).astype(np.float32)


def crop_face(image_rgb: NDArray[np.uint8], box_xyxy: NDArray) -> Crop:
    """Cut a face out of a picture as the network wants it.

    Shrinks by area averaging and grows by bilinear interpolation, so that a face of a 100-megapixel
    picture does not alias; what lies outside of the picture is black.

    Args:
        image_rgb: (H, W, 3) uint8.
        box_xyxy: (4,) crop box in pixels, any aspect (see `square_box`).

    Raises:
        ValueError: the box is empty or not finite.
    """
    height, width = image_rgb.shape[:2]
    x0, y0, x1, y1 = square = square_box(box_xyxy, (height, width))
    inside = image_rgb[max(y0, 0) : max(min(y1, height), 0), max(x0, 0) : max(min(x1, width), 0)]
    if inside.size == 0:
        pixels = np.zeros((CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8)
    else:
        if inside.shape[:2] != (y1 - y0, x1 - x0):
            canvas = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
            top, left = max(-y0, 0), max(-x0, 0)
            canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
            inside = canvas
        shrinking = inside.shape[0] > CROP_SIZE_PX
        pixels = cv2.resize(
            np.ascontiguousarray(inside),
            (CROP_SIZE_PX, CROP_SIZE_PX),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        ).astype(np.uint8, copy=False)
    scale = (x1 - x0) / CROP_SIZE_PX
    offset = 0.5 * scale - 0.5
    to_frame = np.array([[scale, 0.0, x0 + offset], [0.0, scale, y0 + offset]])
    return Crop(pixels=pixels, box_xyxy=square, to_frame=to_frame)
