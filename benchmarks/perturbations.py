"""How the detector benchmark changes images."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

GROWTH = np.linspace(1.0, 1.4, 9)

FRAME_SIZE = (1080, 1920)

Change = Callable[[NDArray, NDArray, np.random.Generator], tuple[NDArray, NDArray]]


def as_they_are(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Return the picture and its crop box."""
    return image, box


def picture_at(fraction: float) -> Change:
    """Return a change that shrinks the picture to a fraction of a large frame's height."""

    def change(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
        return _into_frame(image, box, fraction * FRAME_SIZE[0] / image.shape[0], random)

    return change


def face_at(fraction: float) -> Change:
    """Return a change that shrinks the *crop box* to a fraction of a large frame's height."""

    def change(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
        return _into_frame(image, box, fraction * FRAME_SIZE[0] / (box[3] - box[1]), random)

    return change


def cut_to(scale: float) -> Change:
    """Return a change that cuts the picture to its crop box, scaled about its centre."""

    def change(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * scale
        low = np.maximum(np.floor(middle - half), 0).astype(int)
        high = np.ceil(middle + half).astype(int)
        return image[low[1] : high[1], low[0] : high[0]], box - np.tile(low, 2)

    return change


def half_outside(image: NDArray, box: NDArray, random: np.random.Generator) -> tuple:
    """Cut the picture through the middle of its crop box and keep the left, right or upper part.

    A hit is measured against the whole crop box.
    """
    x, y = ((box[:2] + box[2:]) / 2).astype(int)
    side = random.integers(3)
    if side == 0:
        return image[:, :x], box
    if side == 1:
        return image[:, x:], box - [x, 0, x, 0]
    return image[:y], box


def turned_left(image: NDArray, box: NDArray, _: np.random.Generator) -> tuple:
    """Turn the picture by 90 degrees, as of a camera held upright without saying so."""
    x0, y0, x1, y1 = box
    width = image.shape[1]
    return np.rot90(image), np.array([y0, width - x1, y1, width - x0])


def _into_frame(
    image: NDArray, box: NDArray, scale: float, random: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Put a picture, shrunk, at a random place of a large frame.

    Around it the colours of the picture's corners run into each other: a picture out of focus
    would do as well, but the networks see faces even in that.
    """
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    height, width = FRAME_SIZE
    corners = np.ascontiguousarray(image[:: image.shape[0] - 1, :: image.shape[1] - 1])
    frame = np.array(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR))
    # A picture larger than the frame (a small face in it) is cut, around the face.
    room = np.array([width, height]) - size
    middle = (box[:2] + box[2:]) / 2 * scale
    centred = np.array([width, height]) / 2 - middle
    free = np.floor(random.uniform(0, 1, 2) * np.maximum(room, 1))
    x, y = np.where(room >= 0, free, np.clip(centred, room, 0)).astype(int)
    part = small[max(0, -y) : height - y, max(0, -x) : width - x]
    frame[max(0, y) : max(0, y) + part.shape[0], max(0, x) : max(0, x) + part.shape[1]] = part
    factor = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
    return frame, box * np.tile(factor, 2) + [x, y, x, y]


# name -> (change, every n-th picture: those in large frames take longer)
EXPERIMENTS: dict[str, tuple[Change, int]] = {
    "as they are": (as_they_are, 1),
    "cut to the crop box": (cut_to(1.0), 2),
    "cut to 0.75 of the crop box": (cut_to(0.75), 2),
    "half of the face outside": (half_outside, 2),
    "turned by 90 degrees": (turned_left, 2),
    "crop box 20 % of a 1080p frame's height": (face_at(0.20), 4),
    "crop box 10 % of a 1080p frame's height": (face_at(0.10), 4),
    "crop box 5 % of a 1080p frame's height": (face_at(0.05), 4),
    "picture 20 % of a 1080p frame's height": (picture_at(0.20), 4),
    "picture 10 % of a 1080p frame's height": (picture_at(0.10), 4),
    "picture 5 % of a 1080p frame's height": (picture_at(0.05), 4),
}
