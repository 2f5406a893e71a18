"""Augmentation of 120 px crops and of what is known about them, in plain OpenCV.

kornia does the same on whole batches; on a CPU it takes several times as long as the training
step itself, these functions a twentieth of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge3d.geometry.similarity2d import Similarity2d

_Deviation = Annotated[float, Field(ge=0, le=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class AugmentConfig:
    """How strongly crops are changed; probabilities lie within 0..1.

    Attributes:
        strength: factor of all the others, within 0..1.
        rotation_deg: standard deviation of the in-plane rotation.
        wide_rotation: probability of a uniform rotation within +-100 degrees instead.
        scale: standard deviation of the logarithm of the size.
        shift: standard deviation of the shift, as a share of the crop's side.
        photometric, blur, low_resolution, jpeg, noise, grey, occlusion: probabilities.
    """

    strength: _Share = 1.0
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    wide_rotation: _Share = 0.12
    scale: _Deviation = 0.07
    shift: _Deviation = 0.025
    photometric: _Share = 0.7
    blur: _Share = 0.1
    low_resolution: _Share = 0.1
    jpeg: _Share = 0.15
    noise: _Share = 0.1
    grey: _Share = 0.08
    occlusion: _Share = 0.15

    def effective(self) -> AugmentConfig:
        """Return what `strength` makes of the others, at a strength of 1."""
        others = {name: value for name, value in asdict(self).items() if name != "strength"}
        return AugmentConfig(**{name: self.strength * value for name, value in others.items()})


def random_similarity(
    config: AugmentConfig, rng: np.random.Generator, size_px: int
) -> Similarity2d:
    """Draw a turn, scaling and shift."""
    if rng.random() < config.wide_rotation:
        angle = rng.uniform(-100, 100)
    else:
        angle = config.rotation_deg * rng.standard_normal()
    shift = config.shift * size_px * rng.standard_normal(2)
    return Similarity2d(
        angle_rad=float(np.radians(angle)),
        scale=float(np.exp(config.scale * rng.standard_normal())),
        shift_px=(float(shift[0]), float(shift[1])),
        centre_px=0.5 * (size_px - 1),
    )


def warp(
    image: NDArray[np.uint8], change: Similarity2d, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Apply a similarity to a crop; outside is black, or the crop mirrored, at even odds."""
    border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REFLECT_101
    return cv2.warpAffine(
        image, change.matrix(), image.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border
    )


def change_pixels(
    image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change light, colour and sharpness, and cover parts, as cameras and the world do."""
    size = image.shape[0]
    if rng.random() < config.occlusion:
        image = _cover(image, rng)
    if rng.random() < config.low_resolution:
        small = int(rng.uniform(0.3, 0.8) * size)
        how = cv2.INTER_AREA if rng.random() < 0.5 else cv2.INTER_LINEAR
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=how), (size, size))
    if rng.random() < config.blur:
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
        else:
            image = cv2.filter2D(image, -1, _motion_kernel(rng))
    if rng.random() < config.photometric:
        image = cv2.LUT(image, _tone_curves(rng))
    if rng.random() < config.grey:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < config.noise:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, rng.uniform(2, 12))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if rng.random() < config.jpeg:
        quality = int(rng.uniform(25, 85))
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _tone_curves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a look-up table (1, 256, 3): gamma, contrast, brightness, a cast of colour."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.25))
    contrast = np.exp(rng.normal(0, 0.15))
    cast = np.exp(rng.normal(0, 0.07, 3))
    curve = (level**gamma - 0.5) * contrast + 0.5 + rng.normal(0, 0.08)
    return (255 * curve * cast).clip(0, 255).astype(np.uint8)[None]


def _motion_kernel(rng: np.random.Generator) -> NDArray[np.float32]:
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = 0.5 * (length - 1)
    step = reach * np.array([np.cos(angle), np.sin(angle)])
    start, stop = np.round(reach - step).astype(int), np.round(reach + step).astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return kernel / kernel.sum()


def _cover(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cover a part with a shape of one colour, or of another place of the same crop."""
    size = image.shape[0]
    covered = image.copy()
    centre = rng.uniform(0.1, 0.9, 2) * size
    axes = rng.uniform(0.08, 0.28, 2) * size
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(
        mask, (centre.tolist(), (2 * axes).tolist(), float(rng.uniform(0, 180))), 255, cv2.FILLED
    )
    if rng.random() < 0.5:
        filling = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), image.shape)
    else:
        filling = np.roll(image, tuple(rng.integers(20, size - 20, 2)), axis=(0, 1))
    covered[mask > 0] = filling[mask > 0]
    return covered
