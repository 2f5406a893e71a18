"""Light on rendered faces: surroundings as small maps over the normal, and one lamp or sun.

Directions: x right, y up, z towards the camera. The camera is orthographic, so what a surface
gets from its surroundings depends on its normal alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

DIFFUSE_SIZE, ROUGH_SIZE, SHARP_SIZE = 24, 24, 48
_LUMINANCE = np.array([0.3, 0.59, 0.11], np.float32)
_BRIGHT = 6.0  # times the mean: what is above it is the lamp's light, the rest the surroundings'


@dataclass(frozen=True, eq=False)
class Surroundings:
    """An environment, prepared: maps over directions (h, w, 3), and its brightest light.

    A white environment of radiance 1 has 1 in all maps. The lamp's light is not in them.
    """

    diffuse: NDArray[np.float32]
    rough: NDArray[np.float32]
    sharp: NDArray[np.float32]
    lamp_direction: NDArray[np.float32]
    lamp: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Light:
    """The light of one image.

    Attributes:
        diffuse, rough, sharp: (n, n, 3) over n.xy, x right, y down.
        key_direction: (3,) to the lamp. key: (3,) its irradiance on a surface that faces it.
        softness: of its shadow, 0 hard to 1.
        level: luminance that falls on a face, on average.
        turn: (3, 3) from the camera's axes to those of the environment's map.
        surroundings: the environment, for a background.
    """

    diffuse: NDArray[np.float32]
    rough: NDArray[np.float32]
    sharp: NDArray[np.float32]
    key_direction: NDArray[np.float32]
    key: NDArray[np.float32]
    softness: float
    level: float
    turn: NDArray[np.float64]
    surroundings: Surroundings


def prepare(environment: NDArray[np.float32]) -> Surroundings:
    """Split an equirectangular map (h, w, 3) of mean 1 into surroundings and a lamp."""
    height, width = environment.shape[:2]
    directions = _directions(height, width)
    area = np.repeat(np.sin((np.arange(height) + 0.5) / height * np.pi), width)
    area = (area / area.sum() * 4 * np.pi).astype(np.float32)
    luminance = environment @ _LUMINANCE
    limit = _BRIGHT * float((luminance.ravel() * area).sum() / (4 * np.pi))
    kept = np.minimum(1.0, limit / np.maximum(luminance, 1e-6))[..., None]
    rest, excess = environment * kept, environment * (1 - kept)
    blurred = cv2.GaussianBlur(luminance, (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE)
    lamp_direction = directions[int(blurred.argmax())]
    near = np.maximum(directions @ lamp_direction, 0)[:, None]
    lamp = (excess.reshape(-1, 3) * area[:, None] * near).sum(axis=0) / np.pi

    def convolved(size: tuple[int, int], exponent: float) -> NDArray[np.float32]:
        lobe = np.maximum(_directions(*size) @ directions.T, 0) ** exponent * area
        lobe /= lobe.sum(axis=1, keepdims=True)
        return (lobe @ rest.reshape(-1, 3)).reshape(*size, 3).astype(np.float32)

    return Surroundings(
        diffuse=convolved((12, 24), 1.0),
        rough=convolved((24, 48), 24.0),
        sharp=rest.astype(np.float32),
        lamp_direction=lamp_direction.astype(np.float32),
        lamp=lamp.astype(np.float32),
    )


def draw_light(every: list[Surroundings], rng: np.random.Generator) -> Light:
    """Draw an environment, how it is turned, and a lamp.

    A third of images is lit by the environment's own sun or window; a third by a lamp anywhere in
    front or to the side; a sixth by a flash beside the lens; a sixth has no lamp.
    """
    around = every[rng.integers(len(every))]
    yaw, tilt = rng.uniform(0, 2 * np.pi), 0.15 * rng.standard_normal()
    cy, sy, ct, st = np.cos(yaw), np.sin(yaw), np.cos(tilt), np.sin(tilt)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, ct, -st], [0, st, ct]]
    )
    tint = np.exp(0.06 * rng.standard_normal(3))
    # Rooms have brighter ceilings and paler walls than their maps: mixed with plain light.
    plain = rng.uniform(0.05, 0.4) * np.exp(0.06 * rng.standard_normal(3))
    share = 1 - 0.6 * rng.random()
    maps = [
        share * _over_normals(m, size, turn, mirror) * tint + (1 - share) * plain
        for m, size, mirror in (
            (around.diffuse, DIFFUSE_SIZE, False),
            (around.rough, ROUGH_SIZE, True),
            (around.sharp, SHARP_SIZE, True),
        )
    ]
    ambient = float(maps[0][DIFFUSE_SIZE // 2, DIFFUSE_SIZE // 2] @ _LUMINANCE)
    kind = rng.random()
    softness = rng.uniform(0.1, 1.0)
    if kind < 0.36 and around.lamp.sum() > 0.05:
        direction = turn.T @ around.lamp_direction
        key = around.lamp * rng.uniform(0.6, 1.6)
    elif kind < 0.70:
        direction = rng.normal(0, 1, 3) * [1.0, 0.55, 0.6] + [0, 0.5, 0.6]
        key = ambient * rng.gamma(1.8, 1.1) * np.exp(0.10 * rng.standard_normal(3))
    elif kind < 0.86:
        direction = np.array([*rng.normal([0, 0.12], 0.12), 1.0])
        key = ambient * rng.uniform(0.5, 4.0) * np.exp(0.05 * rng.standard_normal(3))
        softness *= 0.4
    else:
        direction, key = np.array([0.0, 0.6, 0.8]), np.full(3, 0.02)
    direction = direction / np.linalg.norm(direction)
    strength = float(key @ _LUMINANCE)
    level = ambient * 0.8 + 0.75 * strength * max(float(direction[2]), 0.2)
    return Light(
        diffuse=maps[0].astype(np.float32),
        rough=maps[1].astype(np.float32),
        sharp=maps[2].astype(np.float32),
        key_direction=direction.astype(np.float32),
        key=np.asarray(key, np.float32),
        softness=float(softness),
        level=max(level, 1e-3),
        turn=turn,
        surroundings=around,
    )


def view_of(light: Light, size: int, field_deg: float, pitch_deg: float) -> NDArray[np.float32]:
    """Return what is behind the head: the surroundings (size, size, 3) through a lens."""
    reach = np.tan(np.radians(field_deg) / 2)
    grid = np.linspace(-reach, reach, size)
    x, y = np.meshgrid(grid, -grid)
    pitch = np.radians(pitch_deg)
    c, s = np.cos(pitch), np.sin(pitch)
    rays = np.stack([x, c * y - s, -s * y - c], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return _sample(light.surroundings.sharp, rays @ light.turn.T)


def _directions(height: int, width: int) -> NDArray[np.float32]:
    """Return unit directions (h w, 3) of an equirectangular map's pixels, the first row up."""
    down = (np.arange(height) + 0.5) / height * np.pi
    around = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    down, around = np.meshgrid(down, around, indexing="ij")
    parts = (np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around))
    return np.stack(parts, axis=-1).reshape(-1, 3).astype(np.float32)


def _sample(environment: NDArray[np.float32], rays: NDArray) -> NDArray[np.float32]:
    height, width = environment.shape[:2]
    around = np.arctan2(rays[..., 0], rays[..., 2]) / (2 * np.pi) + 0.5
    down = np.arccos(np.clip(rays[..., 1], -1, 1)) / np.pi
    columns, rows = around * width - 0.5, np.clip(down * height - 0.5, 0, height - 1)
    return cv2.remap(
        environment,
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )


def _normals_grid(size: int) -> NDArray[np.float64]:
    """Return normals (size, size, 3) over n.xy, x right, y down the rows; clamped to the disc."""
    grid = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(grid, -grid)
    length = np.maximum(np.hypot(x, y), 1.0)
    x, y = x / length, y / length
    return np.stack([x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0))], axis=-1)


_GRIDS = {size: _normals_grid(size) for size in {DIFFUSE_SIZE, ROUGH_SIZE, SHARP_SIZE}}


def _over_normals(
    environment: NDArray[np.float32], size: int, turn: NDArray, mirror: bool
) -> NDArray[np.float32]:
    rays = _GRIDS[size]
    if mirror:  # what a mirror with this normal shows a viewer at +z
        rays = 2 * rays[..., 2:] * rays - np.array([0.0, 0.0, 1.0])
    return _sample(environment, rays @ turn.T)
