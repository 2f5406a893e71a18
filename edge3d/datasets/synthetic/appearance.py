"""What rendered faces look like: colours of skin, hair and eyes, light, and what is behind them.

Every vertex is coloured by what it is (see `edge3d.datasets.synthetic.anatomy`) and by smooth
random fields, lit by a sky and a few lamps, and drawn with `edge3d.viz.rasterizer.rasterize`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.synthetic.anatomy import FIELDS, Anatomy, ramp
from edge3d.datasets.synthetic.background import paint_background, paint_body
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.mesh import vertex_normals
from edge3d.viz.rasterizer import rasterize

SUPERSAMPLING = 2
SKIN_SRGB = np.array(
    [[244, 208, 190], [232, 190, 164], [212, 166, 134], [178, 128, 96], [126, 84, 62], [78, 52, 42]]
)
HAIR_SRGB = np.array(
    [[24, 20, 20], [58, 40, 30], [104, 72, 46], [168, 128, 78], [140, 66, 36], [178, 176, 172]]
)
IRIS_SRGB = np.array([[66, 40, 24], [100, 68, 36], [96, 110, 70], [90, 124, 160], [120, 130, 140]])


def paint(
    anatomy: Anatomy,
    vertices_px: NDArray,
    triangles: NDArray,
    px_per_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Draw one face with random colours, hair and light before a random background.

    Args:
        anatomy: of the face model. vertices_px: (V, 3) in the crop. triangles: (T, 3).
        px_per_mm: size of the head in the crop.
        rng: decides everything.

    Returns:
        (120, 120, 3) uint8 RGB.
    """
    dark = rng.random()
    skin = _palette(SKIN_SRGB, dark, rng)
    grey_hair = rng.random() < 0.1
    hair = _palette(HAIR_SRGB, 1.0 if grey_hair else rng.uniform(0, 0.9 - 0.7 * dark), rng)
    iris = _palette(IRIS_SRGB, rng.uniform(0, 1 - 0.8 * dark), rng)
    hair_share = ramp(anatomy.scalp_mm + rng.uniform(-10, 25) + 4 * anatomy.fields[:, 0], 5.0)
    hair_share = hair_share * (rng.random() < 0.88)
    albedo = _albedo(anatomy, (skin, hair, iris), hair_share, rng)
    normals = vertex_normals(vertices_px, triangles, y_down=True).astype(np.float32)
    lit = albedo * _light(anatomy, normals, rng)
    lit += rng.uniform(0, 0.10) * (1 - hair_share[:, None]) * _shine(normals, rng)
    thickness = px_per_mm * (rng.uniform(1, 16) + 3.0 * anatomy.fields[:, 1])
    head = vertices_px + (hair_share * np.maximum(thickness, 0))[:, None] * normals
    colours = 255 * np.clip(lit, 0, 1) ** (1 / 2.2)
    scale = SUPERSAMPLING
    placed = head * scale + np.array([1, 1, 0]) * 0.5 * (scale - 1)
    size = CROP_SIZE_PX * scale
    drawn, depth = rasterize(placed, triangles, (size, size), colours)
    covered = np.isfinite(depth).astype(np.float32)
    small = (CROP_SIZE_PX, CROP_SIZE_PX)
    alpha = cv2.resize(covered, small, interpolation=cv2.INTER_AREA)[..., None]
    front = cv2.resize(drawn, small, interpolation=cv2.INTER_AREA)
    neck, scalp = anatomy.neck > 0.5, hair_share > 0.5
    behind = paint_body(
        paint_background(rng),
        head[neck, :2],
        head[scalp, :2],
        colours[neck].mean(axis=0),
        colours[scalp].mean(axis=0) if scalp.any() else colours[neck].mean(axis=0),
        rng,
    )
    picture = front + (1 - alpha) * behind
    grain = cv2.resize(rng.normal(0, rng.uniform(0, 5), (60, 60)).astype(np.float32), small)
    return np.clip(picture + alpha * grain[..., None], 0, 255).astype(np.uint8)


def _palette(colours_srgb: NDArray, share: float, rng: np.random.Generator) -> NDArray:
    """Return a linear colour (3,) from a palette's first (share 0) to its last, a little off."""
    at = share * (len(colours_srgb) - 1)
    low = min(int(at), len(colours_srgb) - 2)
    mixed = colours_srgb[low] + (at - low) * (colours_srgb[low + 1] - colours_srgb[low])
    return (mixed / 255.0) ** 2.2 * np.exp(rng.normal(0, 0.06, 3))


def _albedo(
    anatomy: Anatomy,
    colours: tuple[NDArray, NDArray, NDArray],
    hair_share: NDArray,
    rng: np.random.Generator,
) -> NDArray:
    """Return linear colours (V, 3) of the unlit head; `colours` are skin's, hair's and iris's."""
    skin, hair, iris = colours
    blotches = rng.normal(0, 1, FIELDS) * rng.uniform(0.003, 0.015)
    red = rng.uniform(0, 1) * np.array([0.12, -0.20, -0.20])
    tone = np.exp(anatomy.fields @ blotches.astype(np.float32))[:, None]
    colour = tone * (skin + anatomy.cheeks[:, None] * (skin * red).astype(np.float32))

    def lay(share: NDArray, over: NDArray) -> None:
        at = np.flatnonzero(share > 0.01)
        colour[at] += share[at, None] * (np.broadcast_to(over, colour.shape)[at] - colour[at])

    stubble = anatomy.beard * (rng.random() < 0.3) * rng.uniform(0.2, 0.95)
    lay(np.clip(stubble * (1 + 0.2 * anatomy.fields[:, 20]), 0, 1), 0.8 * hair)
    lay(anatomy.brows * rng.uniform(0.45, 0.95), 0.6 * hair)
    painted = np.array([0.45, 0.03, 0.06]) if rng.random() < 0.2 else skin * [0.85, 0.42, 0.45]
    lay(anatomy.lips * rng.uniform(0.5, 1.0), painted * np.exp(rng.normal(0, 0.1, 3)))
    lay(anatomy.lashes * rng.uniform(0.5, 1.0), np.full(3, 0.02))
    lay(hair_share, hair * np.exp(0.25 * anatomy.fields[:, 15:16]))
    lay(anatomy.mouth, np.array([0.10, 0.02, 0.02]))
    if rng.random() < 0.8:
        lay(anatomy.teeth, np.array([0.75, 0.70, 0.60]) * rng.uniform(0.6, 1.0))
    lay(anatomy.eyes, np.array([0.72, 0.68, 0.66]) * rng.uniform(0.75, 1.1))
    lay(anatomy.iris, 0.8 * iris)
    lay(anatomy.pupil, np.full(3, 0.01))
    return colour


def _light(anatomy: Anatomy, normals: NDArray, rng: np.random.Generator) -> NDArray:
    """Return what light falls on vertices (V, 3): a sky, and one to three lamps."""
    sky = rng.uniform(0.25, 0.9) * np.exp(rng.normal(0, 0.08, 3))
    slope = np.append(rng.normal(0, 0.15, 2) - [0, 0.2], rng.normal(0.1, 0.1))
    light = (anatomy.openness * (1 + normals @ slope))[:, None] * sky
    for _ in range(int(rng.integers(1, 4))):
        direction = rng.normal(0, 1, 3) * [1, 0.6, 0.6] + [0, -0.5, 0.7]
        direction /= np.linalg.norm(direction)
        wrap = rng.uniform(0, 0.5)
        falling = np.maximum((normals @ direction + wrap) / (1 + wrap), 0)
        falling *= 0.25 + 0.75 * anatomy.openness
        light += falling[:, None] * rng.uniform(0.2, 1.2) * np.exp(rng.normal(0, 0.12, 3))
    seen = (normals[:, 2] > 0.2) & (anatomy.openness > 0.6)
    level = light[seen].mean() if seen.any() else light.mean()
    return light * (rng.uniform(0.55, 1.15) / max(float(level), 1e-3))


def _shine(normals: NDArray, rng: np.random.Generator) -> NDArray:
    """Return the gloss (V, 1) of skin and eyes under a lamp in front."""
    half = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.1), 1.0])
    return np.maximum(normals @ (half / np.linalg.norm(half)), 0)[:, None] ** 24
