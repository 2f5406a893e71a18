"""Rasterizing a triangle mesh with interpolated vertex attributes and a depth buffer.

Convention. Pixel coordinates: x to the right, y down, the centre of the first pixel at 0; z in the
same pixels, positive towards the viewer, so that of two points the one with the larger z hides
the other. The camera is orthographic: a vertex (x, y, z) is drawn at (x, y), exactly.

Triangles are counter-clockwise seen from outside. With y down that makes their signed area
(x1 - x0)(y2 - y0) - (y1 - y0)(x2 - x0) negative where they face the viewer; the others are not
drawn.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.mesh import check_mesh


def rasterize(
    vertices_px: NDArray,
    triangles: NDArray,
    size: tuple[int, int],
    attributes: NDArray,
    cull_back: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a mesh with attributes interpolated over its triangles, the nearest on top.

    A pixel is covered if its centre is. Attributes are linear over a triangle, to 2e-4 of
    their range there.

    Args:
        vertices_px: (N, 3) x, y, z in pixels.
        triangles: (T, 3) integer, counter-clockwise seen from outside.
        size: (h, w) of the picture.
        attributes: (N, C) of each vertex.
        cull_back: leave out triangles that are turned away.

    Returns:
        image (h, w, C) float32, 0 where nothing was drawn, and depth (h, w) float32: z in pixels,
        NaN where nothing was drawn.

    Raises:
        ValueError: shapes that do not fit, an index out of range, a vertex that is not finite.
    """
    vertices, triangles = check_image_mesh(vertices_px, triangles)
    attributes = np.asarray(attributes, np.float32)
    if attributes.ndim != 2 or len(attributes) != len(vertices):
        raise ValueError(f"attributes of {attributes.shape} for {len(vertices)} vertices")
    if cull_back:
        triangles = triangles[is_facing(vertices, triangles)]
    return rasterize_facing(vertices, triangles, size, attributes)


def check_image_mesh(vertices: NDArray, triangles: NDArray) -> tuple[NDArray, NDArray[np.int32]]:
    """Return vertices (N, 3) float32 and triangles (T, 3) int32 that can be drawn.

    Raises:
        ValueError: shapes that do not fit, an index out of range, a vertex that is not finite.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    return vertices, triangles.astype(np.int32, copy=False)


def signed_area(vertices: NDArray, triangles: NDArray) -> NDArray:
    """Return twice the signed area (T,) in the picture; negative where a triangle faces us."""
    a, b, c = (vertices[triangles[:, k], :2] for k in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def is_facing(vertices: NDArray, triangles: NDArray) -> NDArray[np.bool_]:
    """Return which triangles (T,) face the viewer."""
    return signed_area(vertices, triangles) < 0


def rasterize_facing(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Do the work of `rasterize` for checked arrays; no triangle is culled."""
    if not len(triangles) or not size[0] or not size[1]:
        channels = attributes.shape[1]
        return np.zeros((*size, channels), np.float32), np.full(size, np.nan, np.float32)
    if hasattr(cv2, "triangleRasterize"):  # OpenCV 5
        return _rasterize_opencv(vertices, triangles, size, attributes)
    return _rasterize_numpy(vertices, triangles, size, attributes)


def _rasterize_opencv(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw with OpenCV's rasterizer, ten times faster than the one below.

    Its camera has a perspective: a 90 degree field of view in y, seen along -z. Undoing the
    division by depth beforehand, x' = x * depth, puts every vertex where it is wanted, whatever
    the distance. The distance, here 1 with the mesh's depth 0.001 of it, decides only how far
    interpolation strays from linear, and the precision of depth in float32 (2e-4 of the range).
    """
    height, width = size
    mid = 0.5 * (float(vertices[:, 2].max()) + float(vertices[:, 2].min()))
    span = max(float(np.ptp(vertices[:, 2])), 1e-3)
    away = 1.0 - (vertices[:, 2].astype(np.float64) - mid) * (0.001 / span)
    near, far = 0.999, 1.001
    placed = np.stack(
        [
            (vertices[:, 0] + 0.5 - 0.5 * width) / (0.5 * height) * away,
            -(vertices[:, 1] + 0.5 - 0.5 * height) / (0.5 * height) * away,
            -away,
        ],
        axis=-1,
    ).astype(np.float32)
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    camera = (np.eye(4, dtype=np.float32), 0.5 * np.pi, near, far, settings)
    channels = attributes.shape[1]
    image = np.zeros((height, width, channels), np.float32)
    buffer = np.full(size, far, np.float32)
    if not channels:
        cv2.triangleRasterizeDepth(placed, triangles, buffer, *camera)
    for start in range(0, channels, 3):  # it takes three channels, between 0 and 1
        part = attributes[:, start : start + 3]
        base = np.minimum(part.min(axis=0), 0.0)
        reach = np.maximum((part - base).max(axis=0), 1e-12)
        colours = np.zeros((len(part), 3), np.float32)
        colours[:, : part.shape[1]] = (part - base) / reach
        drawn = np.zeros((height, width, 3), np.float32)
        buffer.fill(far)
        cv2.triangleRasterize(placed, triangles, colours, drawn, buffer, *camera)
        image[..., start : start + 3] = drawn[..., : part.shape[1]] * reach
        if base.any():
            image[..., start : start + 3] += base
    covered = buffer < 1.00075  # the empty depth does not come back exactly as it was given
    if attributes.size and attributes.min() < 0:
        image *= covered[..., None]
    depth = np.where(covered, mid + (1.0 - buffer) * (span / 0.001), np.nan)
    return image, depth.astype(np.float32)


def _rasterize_numpy(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw without OpenCV 5: every pixel of every triangle's box is tested, a chunk at a time."""
    height, width = size
    corners = vertices[triangles].astype(np.float64)  # (T, 3, 3)
    area = signed_area(vertices.astype(np.float64), triangles)
    low = np.maximum(np.ceil(corners[..., :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[..., :2].max(axis=1)), [width - 1, height - 1])
    extent = np.maximum(high.astype(np.int64) - low + 1, 0)
    count = extent.prod(axis=1)
    use = np.flatnonzero((count > 0) & (area != 0))
    depth = np.full(height * width, -np.inf)
    owner = np.zeros(height * width, np.int64)
    weights = np.zeros((height * width, 3), np.float32)
    chunks = np.searchsorted(np.cumsum(count[use]), np.arange(1 << 21, count[use].sum(), 1 << 21))
    for ids in np.split(use, chunks):
        triangle = np.repeat(ids, count[ids])
        start = np.repeat(np.cumsum(count[ids]) - count[ids], count[ids])
        row, column = np.divmod(np.arange(len(triangle)) - start, extent[triangle, 0])
        point = low[triangle] + np.stack([column, row], axis=-1)
        corner = corners[triangle]
        inside = []
        for k in range(3):
            u = corner[:, (k + 2) % 3, :2] - corner[:, (k + 1) % 3, :2]
            v = point - corner[:, (k + 1) % 3, :2]
            inside.append((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / area[triangle])
        share = np.stack(inside, axis=-1)
        keep = (share >= 0).all(axis=-1)
        triangle, point, share = triangle[keep], point[keep], share[keep]
        z = np.einsum("mk,mk->m", share, corners[triangle, :, 2])
        pixel = point[:, 1] * width + point[:, 0]
        np.maximum.at(depth, pixel, z)
        nearest = z == depth[pixel]
        owner[pixel[nearest]] = triangle[nearest]
        weights[pixel[nearest]] = share[nearest]
    covered = np.isfinite(depth)
    image = np.zeros((height * width, attributes.shape[1]), np.float32)
    image[covered] = np.einsum(
        "mk,mkc->mc", weights[covered], attributes[triangles[owner[covered]]]
    )
    depth[~covered] = np.nan
    return image.reshape(height, width, -1), depth.reshape(size).astype(np.float32)
