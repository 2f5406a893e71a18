"""Pictures of a reconstruction: the mesh over the photo, wireframe, landmarks, pose, depth.

Convention. Pixel coordinates: x to the right, y down, the centre of the first pixel at 0; z in the
same pixels, positive towards the viewer, so that of two points the one with the larger z hides
the other. The camera is orthographic: a vertex (x, y, z) is drawn at (x, y), exactly.

Triangles are counter-clockwise seen from outside, as the eye sees them. With y down that makes
their signed area (x1 - x0)(y2 - y0) - (y1 - y0)(x2 - x0) negative where they face the viewer; the
others are not drawn.

Every function returns a new picture. Lines grow with the face, so that a face of 120 px and one of
4,000 px look alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.mesh import vertex_normals
from edge3d.geometry.mirror import flip_y
from edge3d.viz.drawing import extent_px
from edge3d.viz.rasterizer import (
    check_image_mesh,
    is_facing,
    rasterize,
    rasterize_facing,
    signed_area,
)

CLAY_RGB = (226, 205, 188)

_SAMPLES_IN_A_BAND = 1 << 22  # bounds the memory of a large picture's supersampling


def draw_mesh(
    image_rgb: NDArray[np.uint8],
    vertices_px: NDArray,
    triangles: NDArray,
    alpha: float = 0.85,
    colour_rgb: tuple[int, int, int] = CLAY_RGB,
    opacity: NDArray | None = None,
) -> NDArray[np.uint8]:
    """Lay a shaded, anti-aliased mesh of clay over a photo.

    Args:
        image_rgb: (H, W, 3) uint8.
        vertices_px: (N, 3) in pixels of the photo.
        triangles: (T, 3), counter-clockwise seen from outside.
        alpha: 0 (nothing to see) to 1 (opaque).
        colour_rgb: of the clay.
        opacity: (N,) 0..1 of each vertex, times `alpha`; None is 1 everywhere. The face model's
            `mask` fades the mesh out towards hair, ears and neck.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: as `rasterize`, or another number of opacities than vertices.
    """
    vertices, triangles = check_image_mesh(vertices_px, triangles)
    facing = triangles[is_facing(vertices, triangles)]
    share = np.ones(len(vertices)) if opacity is None else np.asarray(opacity)
    if share.shape != (len(vertices),):
        raise ValueError(f"opacity of shape {share.shape} for {len(vertices)} vertices")
    shade = _shade(vertices, triangles, colour_rgb)
    attributes = np.column_stack([shade, alpha * share]).astype(np.float32)

    def paint(found: NDArray[np.float32], covered: NDArray, scale: int) -> tuple[NDArray, NDArray]:
        strength = found[..., 3] * covered
        return _shrink(found[..., :3] * strength[..., None], scale), _shrink(strength, scale)

    return _overlay(image_rgb, vertices, facing, attributes, paint)


def draw_wireframe(
    image_rgb: NDArray[np.uint8],
    vertices_px: NDArray,
    triangles: NDArray,
    alpha: float = 0.8,
    colour_rgb: tuple[int, int, int] = (255, 255, 255),
) -> NDArray[np.uint8]:
    """Draw the edges of the triangles that can be seen, hidden ones left out.

    Args and errors: as `draw_mesh`.

    Returns:
        (H, W, 3) uint8.
    """
    vertices, triangles = check_image_mesh(vertices_px, triangles)
    facing = triangles[is_facing(vertices, triangles)]
    # Each triangle gets corners of its own that carry the distance to the opposite edge; over the
    # triangle that interpolates to the distance to each edge, and the z-buffer hides what it must.
    corners = vertices[facing]  # (T, 3, 3)
    edges = np.roll(corners, -1, axis=1) - np.roll(corners, 1, axis=1)  # opposite each corner
    length = np.linalg.norm(edges[..., :2], axis=-1)
    area = abs(signed_area(vertices, facing))[:, None]
    distance = np.zeros((len(facing), 3, 3), np.float32)
    distance[:, range(3), range(3)] = area / np.maximum(length, 1e-6)
    half_width = 0.5 * float(np.clip(extent_px(vertices) / 1000.0, 0.4, 12.0))
    # Where triangles are hardly larger than the lines are wide, fainter lines leave the face seen.
    inner_radius = area / np.maximum(length.sum(axis=1, keepdims=True), 1e-6)
    crowding = float(np.median(inner_radius)) / half_width if len(facing) else 1.0
    alpha = alpha * float(np.clip(crowding / 2.0, 0.35, 1.0))

    def paint(found: NDArray[np.float32], covered: NDArray, scale: int) -> tuple[NDArray, NDArray]:
        nearest = found.min(axis=-1) * scale
        # A line thinner than a sample is drawn one sample wide and fainter instead.
        width = max(half_width * scale, 0.5)
        strength = alpha * min(half_width * scale / width, 1.0)
        weight = _shrink(covered * np.clip(width + 0.5 - nearest, 0.0, 1.0), scale) * strength
        return weight[..., None] * np.array(colour_rgb, np.float32), weight

    own = np.arange(3 * len(facing), dtype=np.int32).reshape(-1, 3)
    return _overlay(image_rgb, corners.reshape(-1, 3), own, distance.reshape(-1, 3), paint)


def draw_depth(
    vertices_px: NDArray, triangles: NDArray, size: tuple[int, int], colour: bool = False
) -> NDArray[np.uint8]:
    """Draw the depth of a mesh, near bright and far dark, on black.

    Args:
        vertices_px: (N, 3) in pixels.
        triangles: (T, 3), counter-clockwise seen from outside.
        size: (h, w) of the picture.
        colour: with OpenCV's Turbo colours (red is near) instead of grey.

    Returns:
        (h, w, 3) uint8; the range of depths that can be seen fills 40..255.

    Raises:
        ValueError: as `rasterize`.
    """
    _, depth = rasterize(vertices_px, triangles, size, np.zeros((len(vertices_px), 0)))
    seen: NDArray[np.bool_] = np.isfinite(depth)
    if not seen.any():
        return np.zeros((*size, 3), np.uint8)
    near, far = depth[seen].max(), depth[seen].min()
    level = 40.0 + 215.0 * (depth - far) / max(near - far, 1e-6)
    grey = np.where(seen, np.rint(np.nan_to_num(level)), 0).astype(np.uint8)
    if not colour:
        return np.repeat(grey[..., None], 3, axis=-1)
    mapped = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(seen[..., None], mapped, 0).astype(np.uint8)


def vertex_colours(image_rgb: NDArray[np.uint8], vertices_px: NDArray) -> NDArray[np.uint8]:
    """Return the photo's colour at each vertex, hidden or not: (N, 3) uint8.

    Bilinear; a vertex beyond the picture gets the colour of the nearest pixel.

    Args:
        image_rgb: (H, W, 3) uint8.
        vertices_px: (N, 2 or 3).
    """
    height, width = image_rgb.shape[:2]
    limit = np.array([width - 1, height - 1], np.float64)
    point = np.clip(np.asarray(vertices_px, np.float64)[:, :2], 0.0, limit)
    low = np.floor(point).astype(np.int64)
    high = np.minimum(low + 1, limit.astype(np.int64))
    (x0, y0), (x1, y1) = low.T, high.T
    wx, wy = (point - low).T[..., None]
    top = image_rgb[y0, x0] * (1 - wx) + image_rgb[y0, x1] * wx
    bottom = image_rgb[y1, x0] * (1 - wx) + image_rgb[y1, x1] * wx
    return np.rint(top * (1 - wy) + bottom * wy).astype(np.uint8)


def _shade(
    vertices: NDArray, triangles: NDArray, colour_rgb: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return each vertex's colour (N, 3), 0..255, under the studio's lights."""
    # Lights and normals have y up.
    normal = vertex_normals(flip_y(vertices), triangles)

    def light(x: float, y: float, z: float, wrap: float) -> NDArray:
        direction = np.array([x, y, z]) / np.linalg.norm([x, y, z])
        return np.maximum((normal @ direction + wrap) / (1.0 + wrap), 0.0)

    key = light(-0.45, 0.55, 0.75, 0.25)
    fill = light(0.75, 0.05, 0.50, 0.35)
    sky = 0.5 + 0.5 * normal[:, 1]
    shine = light(-0.22, 0.32, 0.95, 0.0) ** 40  # half way between the key light and the viewer
    albedo = (np.asarray(colour_rgb, np.float64) / 255.0) ** 2.2
    diffuse = (
        key[:, None] * np.array([0.98, 0.94, 0.88])
        + fill[:, None] * np.array([0.20, 0.22, 0.26])
        + sky[:, None] * 0.10
        + 0.06
    )
    linear = albedo * diffuse + 0.06 * shine[:, None]
    return (255.0 * np.clip(linear, 0.0, 1.0) ** (1.0 / 2.2)).astype(np.float32)


def _overlay(
    image_rgb: NDArray[np.uint8],
    vertices: NDArray,
    triangles: NDArray,
    attributes: NDArray[np.float32],
    paint: Callable[[NDArray[np.float32], NDArray, int], tuple[NDArray, NDArray]],
) -> NDArray[np.uint8]:
    """Draw triangles over a picture, anti-aliased by supersampling the part that they cover.

    Args:
        image_rgb: the picture (H, W, 3).
        vertices: (N, 3) in its pixels.
        triangles: (T, 3), those that face the viewer.
        attributes: (N, C) of each vertex.
        paint: given the samples' attributes (h s, w s, C), which of them are covered (h s, w s),
            and s, the samples along a pixel's side, returns the pixels' colour times opacity
            (h, w, 3) and opacity (h, w).
    """
    canvas = image_rgb.copy()
    height, width = canvas.shape[:2]
    if not len(triangles):
        return canvas
    used = vertices[triangles.ravel(), :2]
    x0, y0 = np.floor(np.clip(used.min(axis=0) - 1.0, 0, [width, height])).astype(int)
    x1, y1 = np.ceil(np.clip(used.max(axis=0) + 2.0, 0, [width, height])).astype(int)
    if x0 >= x1 or y0 >= y1:
        return canvas
    scale = int(np.clip(round(800.0 / max(x1 - x0, y1 - y0)), 2, 4))
    rows = max(1, _SAMPLES_IN_A_BAND // ((x1 - x0) * scale**2))
    low, high = (f(vertices[triangles, 1], axis=1) for f in (np.min, np.max))
    for top in range(y0, y1, rows):
        bottom = min(top + rows, y1)
        local = vertices * np.float32(scale)
        # The centre of a pixel's first sample lies half a sample, less half a pixel, after its own.
        local[:, :2] += 0.5 * (scale - 1) - scale * np.array([x0, top], np.float32)
        found, depth = rasterize_facing(
            local,
            triangles[(high >= top - 1) & (low <= bottom)],
            ((bottom - top) * scale, (x1 - x0) * scale),
            attributes,
        )
        colour, opacity = paint(found, ~np.isnan(depth), scale)
        mixed = canvas[top:bottom, x0:x1] * (1.0 - opacity[..., None]) + colour
        canvas[top:bottom, x0:x1] = np.rint(np.clip(mixed, 0, 255))
    return canvas


def _shrink(samples: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Average squares of samples into pixels."""
    height, width = samples.shape[:2]
    size = (width // scale, height // scale)
    return cv2.resize(samples, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


CLOSE_UP_PX = 480


def close_up(image: NDArray[np.uint8], box_xyxy: NDArray) -> NDArray[np.uint8]:
    """Return the part of a picture around a crop box, (480, 480, 3), so that details are seen."""
    middle, half = 0.5 * (box_xyxy[:2] + box_xyxy[2:]), 0.75 * (box_xyxy[2:] - box_xyxy[:2]).max()
    height, width = image.shape[:2]
    half = min(half, height / 2, width / 2)
    x, y = np.clip(middle, half, np.array([width, height]) - half) - half
    rows, columns = (slice(round(float(v)), round(float(v + 2 * half))) for v in (y, x))
    return np.asarray(
        cv2.resize(image[rows, columns], (CLOSE_UP_PX, CLOSE_UP_PX), interpolation=cv2.INTER_CUBIC),
        np.uint8,
    )
