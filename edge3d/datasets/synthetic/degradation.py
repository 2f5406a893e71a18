"""What cameras and files do to images of faces: blur, flicker, noise, compression, grey."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image (h, w, 3) uint8 RGB as a camera and a file would give it.

    In the order of a camera: shaking and focus, sensor (flickering light over the rows as a
    rolling shutter sees it, noise that grows with brightness), a small size, sharpening, JPEG.
    """
    size = image.shape[0]
    seen = image.astype(np.float32)
    if rng.random() < 0.12:
        seen = cv2.filter2D(seen, -1, _motion(rng.uniform(2, 9), rng.uniform(0, np.pi)))
    if rng.random() < 0.35:
        seen = cv2.GaussianBlur(seen, (0, 0), float(0.4 + rng.exponential(0.6)))
    if rng.random() < 0.06:
        rows = np.arange(size)[:, None, None] * rng.uniform(0.02, 0.2) + rng.uniform(0, 6.3)
        seen = seen * (1 + rng.uniform(0.02, 0.15) * np.sin(rows)).astype(np.float32)
    if rng.random() < 0.7:
        seen = seen + _noise(seen, rng)
    if rng.random() < 0.25:
        small = max(24, int(size * rng.uniform(0.25, 0.8)))
        seen = cv2.resize(seen, (small, small), interpolation=cv2.INTER_AREA)
        how = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        seen = cv2.resize(seen, (size, size), interpolation=how)
    if rng.random() < 0.2:
        blurred = cv2.GaussianBlur(seen, (0, 0), 1.2)
        seen = seen + rng.uniform(0.2, 1.2) * (seen - blurred)
    if rng.random() < 0.05:
        grey = seen @ np.array([0.299, 0.587, 0.114], np.float32)
        seen = np.repeat(grey[..., None], 3, axis=2)
    result = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.uniform(25, 95))
        coded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return result


def _noise(seen: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return sensor noise: shot noise grows with the root of brightness; coarse where smoothed."""
    height, width = seen.shape[:2]
    strength = min(rng.exponential(4.0), 13.0)
    coarse = 2 if rng.random() < 0.4 else 1
    shape = (height // coarse, width // coarse, 3)
    grain = rng.standard_normal(shape, np.float32)
    grey = rng.uniform(0.3, 1.0)
    grain = grey * grain[..., :1] + (1 - grey) * grain
    if coarse > 1:
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    return grain * np.float32(strength) * np.sqrt(np.clip(seen, 8, 255) / 128.0)


def _motion(length: float, angle: float) -> NDArray[np.float32]:
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle, reach = 0.5 * (size - 1), 0.5 * length
    for at in np.linspace(-reach, reach, 4 * size):
        x = int(np.clip(round(middle + at * np.cos(angle)), 0, size - 1))
        y = int(np.clip(round(middle + at * np.sin(angle)), 0, size - 1))
        kernel[y, x] += 1
    return kernel / kernel.sum()
