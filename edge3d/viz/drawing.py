"""Drawing 68 landmarks, head axes and titles on an image.

Every function returns a new image. Lines scale with the face, so that faces of 120 px and of
4,000 px look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.landmarks68 import PARTS

Placing = Callable[[NDArray], NDArray]

_SHIFT = 4  # OpenCV's drawing takes whole numbers: sixteenths of a pixel
_FAR_PX = 1e6  # where a point beyond the picture is drawn at most, so that it fits in 32 bits


def draw_landmarks(
    image_rgb: NDArray[np.uint8],
    landmarks_px: NDArray,
    line_rgb: tuple[int, int, int] = (255, 255, 255),
    point_rgb: tuple[int, int, int] = (64, 224, 208),
) -> NDArray[np.uint8]:
    """Draw the 68 landmarks, the points of each part of the face joined by a line.

    Args:
        image_rgb: (H, W, 3) uint8.
        landmarks_px: (68, 2 or 3); landmarks with a NaN are left out.
        line_rgb: colour of the lines.
        point_rgb: colour of the points.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: not 68 landmarks.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] not in (2, 3):
        raise ValueError(f"landmarks of {points.shape}; (68, 2) or (68, 3) wanted")
    points = points[:, :2]
    known: NDArray[np.bool_] = np.isfinite(points.sum(axis=1))
    if not known.any():
        return image_rgb.copy()
    line_px = max(extent_px(points[known]) / 170.0, 0.5)
    segments = []
    for _, start, stop, closed in PARTS:
        ids = [*range(start, stop), *([start] if closed else [])]
        segments += [(a, b) for a, b in pairwise(ids) if known[a] and known[b]]

    def draw(canvas: NDArray[np.uint8], place: Placing, scale: int) -> None:
        spots = place(np.where(known[:, None], points, 0.0))
        width = line_px * scale
        # A dark rim keeps white lines readable on white skin.
        rim = canvas.copy()
        for a, b in segments:
            _line(rim, spots[a], spots[b], (0, 0, 0), 2.6 * width)
        cv2.addWeighted(rim, 0.35, canvas, 0.65, 0.0, dst=canvas)
        for a, b in segments:
            _line(canvas, spots[a], spots[b], line_rgb, width)
        for spot in spots[known]:
            _disc(canvas, spot, 2.0 * width, (20, 30, 40))
            _disc(canvas, spot, 1.45 * width, point_rgb)

    return _finely(image_rgb, points[known], 4.0 * line_px, draw)


def draw_pose(
    image_rgb: NDArray[np.uint8],
    rotation: NDArray,
    centre_px: NDArray | Sequence[float],
    size_px: float,
) -> NDArray[np.uint8]:
    """Draw the head's axes as arrows: x (to its right in the picture) red, y (up) green, z blue.

    The z axis comes out of the face. Arrows that point towards the viewer cover the others.

    Args:
        image_rgb: (H, W, 3) uint8.
        rotation: (3, 3) from the face model's frame to the camera's (x right, y up, z towards
            the camera), as `HeadPose.rotation`.
        centre_px: (x, y) where the axes meet.
        size_px: length of an arrow seen from its side.

    Returns:
        (H, W, 3) uint8.
    """
    rotation = np.asarray(rotation, np.float64)
    centre = np.asarray(centre_px, np.float64)[:2]
    tips = centre + size_px * rotation[:2].T * (1.0, -1.0)
    width_px = max(size_px / 28.0, 0.75)
    colours = ((232, 62, 62), (62, 190, 84), (62, 122, 240))

    def draw(canvas: NDArray[np.uint8], place: Placing, scale: int) -> None:
        middle, ends = place(centre), place(tips)
        for axis in np.argsort(rotation[2]):  # the one that points away the most comes first
            _arrow(canvas, middle, ends[axis], colours[axis], width_px * scale)
        _disc(canvas, middle, 1.15 * width_px * scale, (25, 25, 25))
        _disc(canvas, middle, 0.9 * width_px * scale, (245, 245, 245))

    return _finely(image_rgb, np.vstack([tips, centre]), 4.0 * width_px, draw)


def side_by_side(
    images_rgb: Sequence[NDArray[np.uint8]], titles: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Put pictures in a row, scaled to the height of the tallest, on white.

    Args:
        images_rgb: (H, W, 3) uint8 each.
        titles: one for each, drawn above it; plain ASCII (OpenCV's font has no more).

    Returns:
        (H', W', 3) uint8.

    Raises:
        ValueError: no pictures, or another number of titles.
    """
    if not images_rgb or (titles is not None and len(titles) != len(images_rgb)):
        raise ValueError(f"{len(images_rgb)} pictures, titles {titles}")
    height = max(len(image) for image in images_rgb)
    gap = max(2, height // 60)
    head = max(24, height // 12) if titles else 0
    columns = []
    for index, image_rgb in enumerate(images_rgb):
        image: NDArray = image_rgb
        width = max(1, round(image.shape[1] * height / len(image)))
        if len(image) != height:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        column = np.full((height + head, width, 3), 255, np.uint8)
        column[head:] = image
        if titles:
            draw_title(column[:head], titles[index])
        columns.append(column)
        columns.append(np.full((height + head, gap, 3), 255, np.uint8))
    return np.concatenate(columns[:-1], axis=1)


def extent_px(points: NDArray) -> float:
    """Return the side of a square of the points' box's area: the face's size in pixels."""
    return float(np.sqrt(np.prod(np.ptp(points[:, :2], axis=0)) + 1e-6)) if len(points) else 0.0


def _finely(
    image_rgb: NDArray[np.uint8],
    points: NDArray,
    margin_px: float,
    draw: Callable[[NDArray[np.uint8], Placing, int], None],
) -> NDArray[np.uint8]:
    """Draw on an enlarged copy of the part of a picture around points, and shrink it again.

    Lines get widths of a fraction of a pixel and round dots; what is not drawn on is unchanged.

    Args:
        image_rgb: the picture (H, W, 3).
        points: (N, 2), what the drawing reaches to, but for
        margin_px: how far it reaches beyond them.
        draw: draws in place; given the enlarged part, the function that takes points of the
            picture (..., 2) to it, and the enlargement.
    """
    canvas = image_rgb.copy()
    height, width = canvas.shape[:2]
    points = np.clip(points, -_FAR_PX, _FAR_PX)
    x0, y0 = np.maximum(np.floor(points.min(axis=0) - margin_px).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0) + margin_px).astype(int) + 1, [width, height])
    if x0 >= x1 or y0 >= y1:
        return canvas
    scale = int(np.clip(round(1600.0 / max(x1 - x0, y1 - y0)), 1, 4))
    under = canvas[y0:y1, x0:x1]
    large = under.repeat(scale, axis=0).repeat(scale, axis=1)
    corner = np.array([x0, y0])
    draw(large, lambda p: (np.asarray(p) - corner + 0.5) * scale - 0.5, scale)
    canvas[y0:y1, x0:x1] = cv2.resize(large, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return canvas


def _fixed(points: NDArray) -> NDArray[np.int32]:
    """Return points (..., 2) as OpenCV's drawing wants them, whole sixteenths of a pixel."""
    return np.rint(np.clip(points, -_FAR_PX, _FAR_PX) * (1 << _SHIFT)).astype(np.int32)


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray,
    end: NDArray,
    colour: tuple[int, ...],
    width_px: float,
) -> None:
    a, b = (tuple(int(v) for v in _fixed(p)) for p in (start, end))
    cv2.line(canvas, a, b, colour, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)


def _disc(
    canvas: NDArray[np.uint8], centre: NDArray, radius_px: float, colour: tuple[int, ...]
) -> None:
    middle = tuple(int(v) for v in _fixed(centre))
    radius = round(max(radius_px, 0.8) * (1 << _SHIFT))
    cv2.circle(canvas, middle, radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _arrow(
    canvas: NDArray[np.uint8],
    start: NDArray,
    tip: NDArray,
    colour: tuple[int, ...],
    width_px: float,
) -> None:
    """Draw an arrow with a dark rim; foreshortened to nothing, it is a disc."""
    rim_colour, rim_px = (25, 25, 25), 0.25 * width_px
    along = tip - start
    length = float(np.linalg.norm(along))
    if length < 1.5 * width_px:
        _disc(canvas, tip, 1.6 * width_px + rim_px, rim_colour)
        _disc(canvas, tip, 1.6 * width_px, colour)
        return
    along = along / length
    across = np.array([-along[1], along[0]])
    head = min(4.0 * width_px, 0.8 * length)
    half, wing = 0.5 * width_px, 0.5 * head
    neck = tip - head * along
    outline = [
        start + half * across,
        neck + half * across,
        neck + wing * across,
        tip,
        neck - wing * across,
        neck - half * across,
        start - half * across,
    ]
    polygon = [_fixed(np.array(outline))]
    cv2.polylines(canvas, polygon, True, rim_colour, max(1, round(2 * rim_px)), cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(canvas, polygon, colour, cv2.LINE_AA, _SHIFT)


def draw_title(strip: NDArray[np.uint8], text: str) -> None:
    """Write a dark line of text into the middle of a white strip, as large as fits."""
    height, width = strip.shape[:2]
    text = text.encode("ascii", "replace").decode()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 1.0
    (wide, tall), _ = cv2.getTextSize(text, font, scale, 1)
    scale = min(0.45 * height / max(tall, 1), 0.96 * width / max(wide, 1))
    weight = max(1, round(1.4 * scale))
    (wide, tall), _ = cv2.getTextSize(text, font, scale, weight)
    at = ((width - wide) // 2, (height + tall) // 2)
    cv2.putText(strip, text, at, font, scale, (40, 40, 40), weight, cv2.LINE_AA)
