"""Where the mesh network looks for a face: squares of a photograph.

The rule is MediaPipe's: 1.5 times the longer side of the face's box, turned so that the eyes lie
level. A first square comes from a detector, or from what is known of a data set; the mesh found in
it gives the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.detector import Detection

ROOM = 1.5  # side of a square over the longer side of the face's box: MediaPipe's crop rule
EYES = (33, 263)  # outer corners of the subject's right and left eye
MOST_MOVE, MOST_GROWTH, MOST_ROLL_DEG = 0.25, 1.5, 30.0  # of a first mesh from its square
LEAST_EYE_DISTANCE = 0.3  # of the face's size; nearer ones do not tell the roll


@dataclass(frozen=True)
class FaceSquare:
    """Where a face is in a photograph: the square that an average view shows.

    Attributes:
        centre_px: (x, y), pixel centres at whole numbers.
        side_px: of the square, about 1.5 times the longer side of the face's box.
        roll_deg: of the face, clockwise as seen: 0 has the eyes level.
    """

    centre_px: tuple[float, float]
    side_px: float
    roll_deg: float = 0.0


def face_size(points_px: NDArray) -> NDArray:
    """Return sqrt(w h) of the box of points (..., 478, 2 or 3), in their unit: (...)."""
    span = np.ptp(points_px[..., :2], axis=-2)
    return np.sqrt(span[..., 0] * span[..., 1])


def detected_square(detection: Detection) -> FaceSquare:
    """Return the square of a detected face."""
    x0, y0, x1, y1 = (float(edge) for edge in detection.box_xyxy)
    right_eye, left_eye = detection.keypoints_px[:2].astype(float)
    roll = float(np.degrees(np.arctan2(*(left_eye - right_eye)[::-1])))
    centre = (0.5 * (x0 + x1) - 0.5, 0.5 * (y0 + y1) - 0.5)  # from box edges to a point
    side = max(x1 - x0, y1 - y0)
    near = np.linalg.norm(left_eye - right_eye) < LEAST_EYE_DISTANCE * side
    return FaceSquare(centre, ROOM * side, 0.0 if near else roll)


def aimed_square(points_px: NDArray, given: FaceSquare) -> FaceSquare:
    """Return the square that MediaPipe's crop rule gives for a first mesh.

    1.5 times the longer side of the points' box, turned so that the eyes lie level; the roll is
    kept as given where the eyes are too close together to tell, in profile. A mesh that lies far
    from the square it was seen in is a wrong one: then that square is kept.

    Args:
        points_px: (478, 2 or 3) in pixels of the photograph. given: what the mesh was seen in.
    """
    low, high = points_px[:, :2].min(axis=0), points_px[:, :2].max(axis=0)
    centre, side = 0.5 * (low + high), ROOM * float((high - low).max())
    away = float(np.linalg.norm(centre - given.centre_px)) / given.side_px
    if away > MOST_MOVE or not 1 / MOST_GROWTH < side / given.side_px < MOST_GROWTH:
        return given
    right_eye, left_eye = points_px[EYES[0], :2], points_px[EYES[1], :2]
    along = left_eye - right_eye
    roll = float(np.degrees(np.arctan2(along[1], along[0])))
    near = np.linalg.norm(along) < LEAST_EYE_DISTANCE * face_size(points_px)
    if near or abs(roll - given.roll_deg) > MOST_ROLL_DEG:
        roll = given.roll_deg
    return FaceSquare((float(centre[0]), float(centre[1])), side, roll)
