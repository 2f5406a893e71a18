"""Boxes in pixels: the protocol's crop box, the square that is cut, overlaps.

Convention. A box is `xyxy` in pixels, half-open: it covers the pixels x0 <= x < x1. A point is in
coordinates where the centre of the first pixel is 0, so a box's edges lie at x0 - 0.5 and
x1 - 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PROTOCOL_MARGIN = float(np.sqrt(2.0))


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


def box_iou(boxes: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Return the intersection over union, 0..1, of boxes (..., 4) and (..., 4), which broadcast."""
    common = intersection_area(boxes, others)
    union = box_area(boxes) + box_area(others) - common
    return np.asarray(common / np.maximum(union, 1e-9))


def intersection_area(boxes: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Return the area that boxes (..., 4) and (..., 4), which broadcast, have in common."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1, dtype=np.float64)


def box_area(boxes: NDArray) -> NDArray[np.float64]:
    """Return the area of boxes (..., 4); 0 where an end lies before its start."""
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1, dtype=np.float64)


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
