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

CROP_SIZE_PX = 120
PROTOCOL_MARGIN = float(np.sqrt(2.0))


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


def landmark_box(landmarks_px: NDArray, margin: float = PROTOCOL_MARGIN) -> NDArray[np.float64]:
    """Return AFLW2000-3D's crop box of landmarks: (4,) float64 `xyxy`.

    A square about the middle of the landmarks' box, `margin` times its longer side; the margin of
    the protocol is sqrt(2).

    Args:
        landmarks_px: (N, 2 or 3) in pixels.
    """
    low, high = landmarks_px[:, :2].min(axis=0), landmarks_px[:, :2].max(axis=0)
    half = 0.5 * margin * (high - low).max()
    centre = 0.5 * (low + high) + 0.5  # from point coordinates to box edges
    return np.concatenate([centre - half, centre + half]).astype(np.float64)


def box_iou(box_xyxy: NDArray, other_xyxy: NDArray) -> float:
    """Return the intersection over union, 0..1, of two boxes (4,) with areas."""
    box, other = np.asarray(box_xyxy, np.float64), np.asarray(other_xyxy, np.float64)
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = float(np.maximum(sides, 0).prod())
    areas = float((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod())
    return common / (areas - common)


def square_box(box_xyxy: NDArray, image_size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the whole-pixel square that is cut for a box of any aspect: (4,) int64.

    The shorter side grows to the longer. A side that stops at the picture's border is taken to
    have been cut there and grows outwards; otherwise the square keeps the box's centre.

    Args:
        box_xyxy: (4,) finite, x0 < x1 and y0 < y1.
        image_size: (h, w) of the picture.

    Raises:
        ValueError: the box is empty or not finite.
    """
    box = np.asarray(box_xyxy, np.float64).reshape(-1)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise ValueError(
            f"box {box.tolist()} is not (x0, y0, x1, y1) in pixels with x0 < x1 and y0 < y1"
        )
    side = max(1, round(float((box[2:] - box[:2]).max())))
    low = np.empty(2, np.int64)
    for axis, limit in enumerate((image_size[1], image_size[0])):
        start, stop = box[axis], box[axis + 2]
        if side - (stop - start) > 1 and start <= 0 and stop < limit:
            low[axis] = round(float(stop)) - side
        elif side - (stop - start) > 1 and stop >= limit and start > 0:
            low[axis] = round(float(start))
        else:
            low[axis] = round(float(0.5 * (start + stop) - 0.5 * side))
    return np.concatenate([low, low + side])


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
